"""The sum over edges of a convolution as one operation, differentiable to any order.

Everything follows from Φ(G, R, P, H) = Σ_e Σ_pc G_pic (Σ_l P_elp R_elc) H_pjc, an edge e leading
from atom j to atom i: a derivative by one argument is linear in the three others, and so on. The
loops are in cpp/convolution; they never store anything of the size edges × points × channels.
"""

import importlib
from functools import cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

# Highest l of a filter that the compiled loops know.
_L_MAX = 5


@cache
def compiled() -> ModuleType | None:
    """Return the compiled loops, or None where they were not built."""
    try:
        return importlib.import_module("densnet.nn._convolution")
    except ImportError:
        return None


def is_available(device: torch.device, l_filter: int) -> bool:
    """Whether :func:`sum_over_edges` can work there, for filters up to this l."""
    return compiled() is not None and device.type == "cpu" and l_filter <= _L_MAX


def sum_over_edges(
    radial: Tensor, polynomials: Tensor, values: Tensor, receivers: Tensor, senders: Tensor
) -> Tensor:
    """Return S_pic = Σ_{e→i} (Σ_l P_elp R_elc) H_pjc.

    Parameters
    ----------
    radial : (n_edges, n_l, n_channels)
        R.
    polynomials : (n_edges, n_l, n_points)
        P.
    values : (n_points, n_nodes, n_channels)
        H, functions of the senders on the points.
    receivers, senders : (n_edges,) int64

    Returns
    -------
    (n_points, n_nodes, n_channels)
    """
    result: Tensor = _Sum.apply(radial, polynomials, values, senders, receivers)
    return result


class _Sum(torch.autograd.Function):
    """∂Φ/∂G; with the two ends of the edges exchanged, ∂Φ/∂H."""

    @staticmethod
    def forward(
        ctx: Any, radial: Tensor, polynomials: Tensor, values: Tensor, start: Tensor, end: Tensor
    ) -> Tensor:
        ctx.save_for_backward(radial, polynomials, values, start, end)
        result = torch.zeros(values.shape, dtype=values.dtype)
        _loops().sum(*_arrays(radial, polynomials, values, start, end, result))
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        radial, polynomials, values, start, end = ctx.saved_tensors
        wanted = ctx.needs_input_grad
        ends = (end, start)
        return (
            _EdgeFactor.apply(polynomials, gradient, values, *ends, True) if wanted[0] else None,
            _EdgeFactor.apply(radial, gradient, values, *ends, False) if wanted[1] else None,
            _Sum.apply(radial, polynomials, gradient, *ends) if wanted[2] else None,
            None,
            None,
        )


class _EdgeFactor(torch.autograd.Function):
    """∂Φ/∂R, (n_edges, n_l, n_channels), from P; or ∂Φ/∂P, (n_edges, n_l, n_points), from R."""

    @staticmethod
    def forward(
        ctx: Any,
        other: Tensor,
        at_receivers: Tensor,
        at_senders: Tensor,
        receivers: Tensor,
        senders: Tensor,
        of_radial: bool,
    ) -> Tensor:
        ctx.save_for_backward(other, at_receivers, at_senders, receivers, senders)
        ctx.of_radial = of_radial
        n_edges, n_l, _ = other.shape
        n = at_senders.size(2 if of_radial else 0)
        result = torch.empty(n_edges, n_l, n, dtype=other.dtype)
        gradient = _loops().radial_gradient if of_radial else _loops().polynomial_gradient
        gradient(*_arrays(other, at_receivers, at_senders, receivers, senders, result))
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        other, at_receivers, at_senders, *ends = ctx.saved_tensors
        wanted = ctx.needs_input_grad
        factors = (gradient, other) if ctx.of_radial else (other, gradient)
        return (
            _EdgeFactor.apply(gradient, at_receivers, at_senders, *ends, not ctx.of_radial)
            if wanted[0]
            else None,
            _Sum.apply(*factors, at_senders, *reversed(ends)) if wanted[1] else None,
            _Sum.apply(*factors, at_receivers, *ends) if wanted[2] else None,
            None,
            None,
            None,
        )


def _loops() -> ModuleType:
    loops = compiled()
    assert loops is not None, "call is_available first"
    return loops


def _arrays(*tensors: Tensor) -> list[Any]:
    """Return NumPy views, of a copy where a tensor is not contiguous."""
    return [tensor.detach().contiguous().numpy() for tensor in tensors]
