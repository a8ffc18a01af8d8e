"""The networks and the gradient of the energy as one straight sequence of tensor operations.

TorchScript's own differentiation records a graph at every call and keeps all of it until the end:
for one small molecule that costs more than the arithmetic, for many beads it moves the arrays of
the edges out of the caches. Here the gradient is traced once, at export. What an archive then holds
are plain operations of torch, in single or double precision, for any number of atoms and edges.
"""

import copy
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.experimental.proxy_tensor import make_fx

from densnet.errors import DensnetError
from densnet.models import DensNet
from densnet.nn.graph import complete_graph
from densnet.nn.message import Convolution, EdgeSum
from densnet.nn.precision import set_precision

# Edges whose functions on the points of the sphere are in a core's caches together.
EDGES_AT_A_TIME = 256
# The traced sizes must differ from each other and from 1: equal ones would be taken for the same.
TRACED_ATOMS = 5


class Deployed(nn.Module):
    """A model as an archive holds it: :class:`DensNet`, its gradient a sequence.

    Parameters
    ----------
    model : DensNet
        In float64, without gradients of its weights.
    """

    def __init__(self, model: DensNet) -> None:
        super().__init__()
        self.model = model
        self.sequence = trace(model)

    def forward(
        self,
        positions: Tensor,
        species: Tensor,
        receivers: Tensor,
        senders: Tensor,
        shifts: Tensor,
        structure: Tensor,
        n_structures: int,
    ) -> dict[str, Tensor]:
        """Evaluate a batch of structures; see :meth:`DensNet.forward`."""
        vectors = self.model.vectors(positions, receivers, senders, shifts)
        found = self.sequence(vectors, species, receivers, senders)
        return self.model.observables(
            positions, vectors, species, receivers, senders, structure, n_structures, found
        )

    @torch.jit.export
    def response(
        self,
        positions: Tensor,
        species: Tensor,
        receivers: Tensor,
        senders: Tensor,
        shifts: Tensor,
        structure: Tensor,
        n_structures: int,
    ) -> dict[str, Tensor]:
        """Evaluate the response to a field; see :meth:`DensNet.response`."""
        return self.model.response(
            positions, species, receivers, senders, shifts, structure, n_structures
        )


def trace(model: DensNet) -> fx.GraphModule:
    """Return :meth:`DensNet.differentiated` as a sequence of operations on the model's tensors.

    Parameters
    ----------
    model : DensNet
        In float64; its parameters and buffers become those of the sequence.
    """
    single = copy.deepcopy(model)
    # In single precision the networks' numbers can be told from those that are always double.
    set_precision(single, torch.float32)
    for module in single.modules():
        if isinstance(module, Convolution):
            module.sum = _OneOperation()
    names = {id(t): n for n, t in (*single.named_parameters(), *single.named_buffers())}
    graph = complete_graph(TRACED_ATOMS)
    vectors = torch.randn(len(graph.receivers), 3, dtype=torch.float64)
    species = torch.zeros(TRACED_ATOMS, dtype=torch.int64)

    def differentiated(
        vectors: Tensor, species: Tensor, receivers: Tensor, senders: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return single.differentiated(vectors, species, receivers, senders)

    tracer = make_fx(differentiated, tracing_mode="symbolic", _allow_non_fake_inputs=True)
    traced = tracer(vectors, species, graph.receivers, graph.senders)
    for node in traced.graph.find_nodes(op="get_attr"):
        tensor = getattr(traced, node.target)
        if id(tensor) not in names:
            raise DensnetError(f"{node.target} of the traced model is none of its tensors")
        node.target = names[id(tensor)]
    sequence = fx.GraphModule(model, traced.graph)
    _simplify(sequence.graph)
    _generalize(sequence.graph)
    sequence.graph.lint()
    sequence.recompile()
    return sequence


def _simplify(graph: fx.Graph) -> None:
    """Leave out what has no effect without autograd, and what is computed already."""
    aten = torch.ops.aten
    known: dict[Any, fx.Node] = {}
    for node in list(graph.nodes):
        first: Any = node.args[0] if node.args else None
        same: fx.Node | None = None
        if node.target in (aten.detach.default, aten.alias.default):
            same = first
        elif node.target == aten.t.default and first.target == aten.t.default:
            same = first.args[0]
        elif node.target == aten._assert_async.msg:
            graph.erase_node(node)
            continue
        elif node.op in ("get_attr", "call_function"):
            key = (node.op, node.target, _hashable(node.args), _hashable(node.kwargs))
            same = known.setdefault(key, node)
        if same is not None and same is not node:
            node.replace_all_uses_with(same)
            graph.erase_node(node)
    graph.eliminate_dead_code()


def _hashable(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_hashable(v) for v in value)
    if isinstance(value, dict):
        return tuple((k, _hashable(v)) for k, v in sorted(value.items()))
    return value


def _generalize(graph: fx.Graph) -> None:
    """Write the operations as TorchScript knows them, in the precision and place of the weights."""
    inputs = list(graph.find_nodes(op="placeholder"))
    with graph.inserting_after(inputs[-1]):
        weights = graph.get_attr("energy_functional.species")
    with graph.inserting_after(weights):
        precision = graph.call_function(getattr, (weights, "dtype"))
    with graph.inserting_after(precision):
        place = graph.call_function(getattr, (weights, "device"))
    operations = torch.ops.densnet
    for node in graph.find_nodes(op="call_function", target=operations.sum_edges.default):
        node.target = sum_edges
        node.args = (*node.args, EDGES_AT_A_TIME)
    backward = operations.sum_edges_backward.default
    for node in graph.find_nodes(op="call_function", target=backward):
        node.target = sum_edges_backward
        node.args = (*node.args, EDGES_AT_A_TIME)
    for node in graph.nodes:
        if not isinstance(node.target, torch._ops.OpOverload):
            continue
        names = {"sym_size": "size", "sym_numel": "numel"}
        packet = node.target.overloadpacket
        node.target = getattr(torch.ops.aten, names.get(packet.__name__, packet.__name__))
        kwargs = {k: v for k, v in node.kwargs.items() if k != "pin_memory"}
        if kwargs.get("dtype") == torch.float32:
            kwargs["dtype"] = precision
        if "device" in kwargs:
            kwargs["device"] = place
        node.kwargs = kwargs


def sum_edges(
    radial: Tensor,
    polynomials: Tensor,
    values: Tensor,
    receivers: Tensor,
    senders: Tensor,
    at_a_time: int,
) -> Tensor:
    """Sum over edges as :func:`densnet.nn.edge_sum.sum_over_edges` does, some at a time."""
    on_nodes = values.transpose(0, 1).contiguous()
    total = torch.zeros_like(on_nodes)
    n_edges = receivers.size(0)
    for start in range(0, n_edges, at_a_time):
        end = min(start + at_a_time, n_edges)
        messages = torch.bmm(polynomials[start:end].transpose(1, 2), radial[start:end])
        messages.mul_(on_nodes.index_select(0, senders[start:end]))
        total.index_add_(0, receivers[start:end], messages)
    return total.transpose(0, 1).contiguous()


def sum_edges_backward(
    gradient: Tensor,
    radial: Tensor,
    polynomials: Tensor,
    values: Tensor,
    receivers: Tensor,
    senders: Tensor,
    at_a_time: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of the sum by radial functions, polynomials and values."""
    on_nodes = values.transpose(0, 1).contiguous()
    of_nodes = gradient.transpose(0, 1).contiguous()
    of_values = torch.zeros_like(on_nodes)
    of_radial = torch.empty_like(radial)
    of_polynomials = torch.empty_like(polynomials)
    n_edges = receivers.size(0)
    for start in range(0, n_edges, at_a_time):
        end = min(start + at_a_time, n_edges)
        p = polynomials[start:end]
        r = radial[start:end]
        of_messages = of_nodes.index_select(0, receivers[start:end])
        of_edges = on_nodes.index_select(0, senders[start:end]).mul_(of_messages)
        of_radial[start:end] = torch.bmm(p, of_edges)
        of_polynomials[start:end] = torch.bmm(r, of_edges.transpose(1, 2))
        of_messages.mul_(torch.bmm(p.transpose(1, 2), r))
        of_values.index_add_(0, senders[start:end], of_messages)
    return of_radial, of_polynomials, of_values.transpose(0, 1).contiguous()


class _OneOperation(EdgeSum):
    """The sum over edges as one operation in the eyes of the tracer, and another as its gradient.

    A loop would be traced with the number of its turns in it.
    """

    def forward(
        self,
        radial: Tensor,
        polynomials: Tensor,
        values: Tensor,
        receivers: Tensor,
        senders: Tensor,
    ) -> Tensor:
        return torch.ops.densnet.sum_edges(radial, polynomials, values, receivers, senders)


@torch.library.custom_op("densnet::sum_edges", mutates_args=())
def _sum_edges(
    radial: Tensor, polynomials: Tensor, values: Tensor, receivers: Tensor, senders: Tensor
) -> Tensor:
    return sum_edges(radial, polynomials, values, receivers, senders, EDGES_AT_A_TIME)


@torch.library.custom_op("densnet::sum_edges_backward", mutates_args=())
def _sum_edges_backward(
    gradient: Tensor,
    radial: Tensor,
    polynomials: Tensor,
    values: Tensor,
    receivers: Tensor,
    senders: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    return sum_edges_backward(
        gradient, radial, polynomials, values, receivers, senders, EDGES_AT_A_TIME
    )


@_sum_edges.register_fake
def _(
    radial: Tensor, polynomials: Tensor, values: Tensor, receivers: Tensor, senders: Tensor
) -> Tensor:
    return torch.empty_like(values)


@_sum_edges_backward.register_fake
def _(
    gradient: Tensor,
    radial: Tensor,
    polynomials: Tensor,
    values: Tensor,
    receivers: Tensor,
    senders: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(radial), torch.empty_like(polynomials), torch.empty_like(values)


def _save(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _differentiate(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    of_radial, of_polynomials, of_values = torch.ops.densnet.sum_edges_backward(
        gradient, *ctx.saved_tensors
    )
    return of_radial, of_polynomials, of_values, None, None


_sum_edges.register_autograd(_differentiate, setup_context=_save)
