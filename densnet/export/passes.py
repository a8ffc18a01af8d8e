"""What a traced gradient does in vain: slices of everything, sums of what is mostly zero.

Autograd writes the gradient of a slice as zeros with the slice in them, and adds such arrays where
a tensor is used in parts. Each of them is as large as the whole. Here a sum of them becomes the
concatenation of its parts, and a part of a concatenation the part itself.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import fx

aten = torch.ops.aten


def simplify(graph: fx.Graph) -> None:
    """Leave out what has no effect without autograd, and what is computed already.

    Parameters
    ----------
    graph : fx.Graph
        Of ATen operations, with the traced values' shapes in ``meta["val"]``; changed in place.
    """
    known: dict[Any, fx.Node] = {}
    for node in list(graph.nodes):
        first: Any = node.args[0] if node.args else None
        same: fx.Node | None = None
        if node.target in (aten.detach.default, aten.alias.default) or _takes_all(node):
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


def _takes_all(node: fx.Node) -> bool:
    """Whether a slice, or the gradient of one, is the whole of its argument."""
    if node.target == aten.slice.Tensor:
        shape, (dim, start, end) = _shape(node.args[0]), node.args[1:4]
    elif node.target == aten.slice_backward.default:
        shape, (dim, start, end) = node.args[1], node.args[2:5]
    else:
        return False
    size = shape[dim]
    return bool(start == 0 and end in (size, torch.iinfo(torch.int64).max))


def _shape(node: Any) -> Any:
    return node.meta["val"].shape


def _hashable(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_hashable(v) for v in value)
    if isinstance(value, dict):
        return tuple((k, _hashable(v)) for k, v in sorted(value.items()))
    return value


@dataclass(frozen=True)
class Parts:
    """A tensor known by its parts along one dimension.

    Parameters
    ----------
    dim : int
    bounds : tuple of int
        From 0 to the size of the dimension, ascending.
    nodes : tuple of fx.Node or None
        One fewer than bounds; None where the tensor is zero.
    """

    dim: int
    bounds: tuple[int, ...]
    nodes: tuple[fx.Node | None, ...]

    def cut(self, graph: fx.Graph, bounds: Iterable[int]) -> "Parts":
        """Return the same parts, each cut where one of the bounds lies in it."""
        every = sorted({*self.bounds, *bounds})
        nodes = []
        for start, end in pairwise(every):
            k = next(k for k, bound in enumerate(self.bounds[1:]) if end <= bound)
            node, low, high = self.nodes[k], self.bounds[k], self.bounds[k + 1]
            if node is not None and (start, end) != (low, high):
                node = graph.call_function(
                    aten.slice.Tensor, (node, self.dim, start - low, end - low)
                )
            nodes.append(node)
        return Parts(self.dim, tuple(every), tuple(nodes))

    def between(self, graph: fx.Graph, start: int, end: int) -> "Parts":
        """Return a slice."""
        cut = self.cut(graph, (start, end))
        first, last = cut.bounds.index(start), cut.bounds.index(end)
        bounds = tuple(b - start for b in cut.bounds[first : last + 1])
        return Parts(self.dim, bounds, cut.nodes[first:last])

    def plus(self, graph: fx.Graph, other: "Parts") -> "Parts":
        """Return the sum."""
        mine, theirs = self.cut(graph, other.bounds), other.cut(graph, self.bounds)
        nodes = []
        for a, b in zip(mine.nodes, theirs.nodes, strict=True):
            both = a is not None and b is not None
            nodes.append(graph.call_function(aten.add.Tensor, (a, b)) if both else a or b)
        return Parts(self.dim, mine.bounds, tuple(nodes))

    def whole(self, graph: fx.Graph, n_dims: int) -> fx.Node:
        """Return the tensor, zeros written as padding of the part before or after them."""
        pieces: list[fx.Node] = []
        leading = 0
        for k, node in enumerate(self.nodes):
            size = self.bounds[k + 1] - self.bounds[k]
            if node is None and not pieces:
                leading += size
            elif node is None:
                pieces[-1] = _padded(graph, pieces[-1], n_dims - 1 - self.dim, 0, size)
            else:
                padded = _padded(graph, node, n_dims - 1 - self.dim, leading, 0)
                pieces.append(padded)
                leading = 0
        return (
            pieces[0]
            if len(pieces) == 1
            else graph.call_function(aten.cat.default, (pieces, self.dim))
        )


def _padded(graph: fx.Graph, node: fx.Node, from_last: int, before: int, after: int) -> fx.Node:
    if before == 0 and after == 0:
        return node
    widths = [0, 0] * from_last + [before, after]
    return graph.call_function(aten.constant_pad_nd.default, (node, widths, 0.0))


def join_parts(graph: fx.Graph) -> None:
    """Write sums of gradients of slices as concatenations, and what is taken of those as parts.

    Parameters
    ----------
    graph : fx.Graph
        As of :func:`simplify`; changed in place.
    """
    known: dict[fx.Node, tuple[Parts, int]] = {}
    joined: dict[fx.Node, fx.Node] = {}

    def join(node: fx.Node) -> fx.Node:
        if node not in known:
            return node
        if node not in joined:
            parts, n_dims = known[node]
            joined[node] = parts.whole(graph, n_dims)
        return joined[node]

    for node in list(graph.nodes):
        with graph.inserting_before(node):
            parts = _parts(graph, node, known)
            if parts is None:
                node.args = fx.map_arg(node.args, join)
            else:
                known[node] = (parts, len(_shape(node)))
    graph.eliminate_dead_code()


def _parts(graph: fx.Graph, node: fx.Node, known: dict[fx.Node, tuple[Parts, int]]) -> Parts | None:
    """Return a node's parts, if it has some or is made of such nodes."""
    placed = _placed(graph, node)
    if placed is not None:
        source, size, dim, start, end = placed
        inner = known.get(source)
        inside = (
            inner[0]
            if inner is not None and inner[0].dim == dim
            else Parts(dim, (0, end - start), (_one(graph, source, known),))
        )
        bounds = tuple(b + start for b in inside.bounds)
        nodes = inside.nodes
        if start > 0:
            bounds, nodes = (0, *bounds), (None, *nodes)
        if end < size:
            bounds, nodes = (*bounds, size), (*nodes, None)
        return Parts(dim, bounds, nodes)
    first: Any = node.args[0] if node.args else None
    if node.target == aten.add.Tensor and not node.kwargs and len(node.args) == 2:
        second: Any = node.args[1]
        pair = [known[n][0] if n in known else None for n in (first, second)]
        dims = {p.dim for p in pair if p is not None}
        if len(dims) != 1:
            return None
        (dim,) = dims
        size = next(p.bounds[-1] for p in pair if p is not None)
        a, b = (
            p if p is not None else Parts(dim, (0, size), (n,))
            for p, n in zip(pair, (first, second), strict=True)
        )
        return a.plus(graph, b)
    if node.target == aten.slice.Tensor and first in known and len(node.args) == 4:
        parts = known[first][0]
        arguments: Any = node.args
        _, dim, start, end = arguments
        end = min(end, parts.bounds[-1])
        if dim == parts.dim and 0 <= start < end:
            found = parts.between(graph, start, end)
            if any(n is not None for n in found.nodes):
                return found
    return None


def _one(graph: fx.Graph, node: fx.Node, known: dict[fx.Node, tuple[Parts, int]]) -> fx.Node:
    return known[node][0].whole(graph, known[node][1]) if node in known else node


def _placed(graph: fx.Graph, node: fx.Node) -> tuple[fx.Node, int, int, int, int] | None:
    """Return source, size, dim, start and end of a tensor that is zero but for one part."""
    args: Any = node.args
    if node.target == aten.slice_backward.default:
        source, shape, dim, start, end, step = args
        size = shape[dim]
        if step == 1 and isinstance(size, int) and start >= 0:
            return source, size, dim, start, min(end, size)
    if node.target == aten.select_backward.default:
        source, shape, dim, index = args
        if isinstance(shape[dim], int) and index >= 0:
            row = graph.call_function(aten.unsqueeze.default, (source, dim))
            return row, shape[dim], dim, index, index + 1
    return None
