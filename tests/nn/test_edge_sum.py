"""The compiled sum over edges against the same convolution in PyTorch's own operations."""

import numpy as np
import pytest
import torch
from torch import Tensor

from densnet.nn import edge_sum
from densnet.nn.angular import SphericalHarmonics
from densnet.nn.graph import complete_graph
from densnet.nn.message import Convolution

needs_compiled = pytest.mark.skipif(
    edge_sum.compiled() is None, reason="the compiled loops were not built"
)
N_ATOMS, N_STRUCTURES, N_RADIAL = 4, 2, 5


def derivatives_to_second_order(
    convolution: Convolution, vectors: Tensor, radial: Tensor, features: Tensor, l_max: int
) -> list[Tensor]:
    graph = complete_graph(N_ATOMS, N_STRUCTURES)
    harmonics = SphericalHarmonics(l_max).to(vectors.dtype)
    inputs = [t.clone().requires_grad_() for t in (vectors, radial, features)]
    unit = inputs[0] / torch.linalg.vector_norm(inputs[0], dim=1, keepdim=True)
    result = convolution(inputs[2], inputs[1], harmonics(unit.t()), graph.receivers, graph.senders)
    first = torch.autograd.grad(torch.tanh(result).sum(), inputs, create_graph=True)
    scalar = sum(torch.sin(gradient).sum() for gradient in first)
    assert isinstance(scalar, Tensor)
    second = torch.autograd.grad(scalar, [*inputs, *convolution.parameters()])
    return [result, *first, *second]


@needs_compiled
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(
    ("l_filter", "l_features", "n_channels"), [(3, 2, 32), (0, 1, 3), (2, 1, 20), (5, 2, 16)]
)
def test_the_compiled_sum_is_that_of_torch_to_second_order(
    dtype, l_filter, l_features, n_channels, monkeypatch
) -> None:
    torch.manual_seed(3)
    convolution = Convolution(l_filter, l_features, 2, N_RADIAL, 6, n_channels, 3.0).to(dtype)
    n_edges = N_STRUCTURES * N_ATOMS * (N_ATOMS - 1)
    vectors = torch.randn(n_edges, 3, dtype=dtype)
    radial = torch.randn(n_edges, N_RADIAL, dtype=dtype)
    features = torch.randn((l_features + 1) ** 2, N_STRUCTURES * N_ATOMS, 6, dtype=dtype)
    arguments = (convolution, vectors, radial, features, max(l_filter, 1))
    polynomials = torch.zeros(n_edges, l_filter + 1, 1, dtype=dtype)
    assert convolution.sum.is_compiled(polynomials)
    compiled = derivatives_to_second_order(*arguments)
    monkeypatch.setattr(edge_sum, "compiled", lambda: None)
    assert not convolution.sum.is_compiled(polynomials)
    plain = derivatives_to_second_order(*arguments)
    tolerance = 1e-12 if dtype is torch.float64 else 2e-4
    for one, other in zip(compiled, plain, strict=True):
        assert (one - other).abs().max() <= tolerance * other.abs().max()


@needs_compiled
def test_filters_above_the_compiled_degrees_take_the_other_way() -> None:
    assert edge_sum.is_available(torch.device("cpu"), 5)
    assert not edge_sum.is_available(torch.device("cpu"), 6)
    assert not edge_sum.is_available(torch.device("meta"), 2)


@needs_compiled
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"radial": np.zeros((3, 2))}, "radial must have the shape"),
        ({"polynomials": np.zeros((4, 2, 5))}, "polynomials must have the shape"),
        ({"radial": np.zeros((3, 7, 6)), "polynomials": np.zeros((3, 7, 5))}, "1 to 6 degrees"),
        ({"values": np.zeros((5, 4, 7))}, "values must have the shape"),
        ({"to_nodes": np.array([0, 1, 4])}, "to_nodes names a node that is not there"),
        ({"from_nodes": np.array([0, -1, 2])}, "from_nodes names a node that is not there"),
        ({"from_nodes": np.array([0, 1])}, "from_nodes must hold one node of every edge"),
    ],
)
def test_wrong_shapes_and_nodes_are_refused_by_name(change, message) -> None:
    loops = edge_sum.compiled()
    assert loops is not None
    arguments = {
        "radial": np.zeros((3, 2, 6)),
        "polynomials": np.zeros((3, 2, 5)),
        "values": np.zeros((5, 4, 6)),
        "from_nodes": np.array([0, 1, 2]),
        "to_nodes": np.array([1, 2, 3]),
        "result": np.zeros((5, 4, 6)),
    }
    loops.sum(**arguments)
    with pytest.raises(ValueError, match=message):
        loops.sum(**(arguments | change))
