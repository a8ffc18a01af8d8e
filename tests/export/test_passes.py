"""A traced gradient computes the same after sums of parts have become concatenations."""

import pytest
import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from densnet.export.passes import join_parts, simplify

aten = torch.ops.aten
OF_PARTS = (aten.slice_backward.default, aten.select_backward.default)


def in_parts(x: Tensor) -> Tensor:
    return (x[:2] ** 2).sum() + (x[2:] ** 3).sum()


def in_overlapping_parts(x: Tensor) -> Tensor:
    return (x[:3] ** 2).sum() + (x[2:4] * x[0]).sum() + (x**2).sum()


def with_a_gap(x: Tensor) -> Tensor:
    return (x[:1] ** 2).sum() + (x[3:4] ** 3).sum()


def only_the_middle(x: Tensor) -> Tensor:
    return (x[2:3] ** 3).sum()


def in_parts_of_parts(x: Tensor) -> Tensor:
    y = x[:, 1:]
    return (y[:, :2] ** 2).sum() + (y[:, 2:] * x[:, :1]).sum() + (y[1:3] ** 3).sum()


def all_of_it(x: Tensor) -> Tensor:
    return (x[0:] ** 3).sum()


@pytest.mark.parametrize(
    "function",
    [
        in_parts,
        in_overlapping_parts,
        with_a_gap,
        only_the_middle,
        in_parts_of_parts,
        all_of_it,
    ],
)
def test_gradients_of_slices_are_joined(function):
    def gradient(x: Tensor) -> Tensor:
        x = x.detach().requires_grad_(True)
        return torch.autograd.grad([function(x)], [x])[0]

    x = torch.randn(5, 4, dtype=torch.float64)
    traced = make_fx(gradient, tracing_mode="symbolic")(x)
    expected = gradient(x)
    assert any(node.target in OF_PARTS for node in traced.graph.nodes)

    simplify(traced.graph)
    join_parts(traced.graph)
    traced.recompile()

    torch.testing.assert_close(traced(x), expected, rtol=0.0, atol=1e-15)


def test_no_array_of_zeros_is_left_where_sizes_are_known():
    def gradient(x: Tensor) -> Tensor:
        x = x.detach().requires_grad_(True)
        return torch.autograd.grad([in_parts(x) + in_overlapping_parts(x)], [x])[0]

    x = torch.randn(5, 4, dtype=torch.float64)
    traced = make_fx(gradient)(x)
    expected = gradient(x)
    simplify(traced.graph)
    join_parts(traced.graph)
    traced.recompile()
    assert not any(node.target in OF_PARTS for node in traced.graph.nodes)
    torch.testing.assert_close(traced(x), expected, rtol=0.0, atol=1e-15)
