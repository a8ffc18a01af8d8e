"""The Boys function in torch, differentiable: the radial half of the Coulomb metric.

F_n(T) = ∫₀¹ t^{2n} exp(−T t²) dt,    dF_n/dT = −F_{n+1}.

References
----------
Helgaker, Jørgensen, Olsen, Molecular Electronic-Structure Theory, section 9.8.
"""

from typing import Any

import torch
from torch import Tensor

# Below, the series with positive terms; above, upward recursion from the error function, which is
# stable because n ≤ 14 < T. At T = 35 the series needs about 150 terms for full precision.
SERIES_LIMIT = 35.0
SERIES_TERMS = 180


def boys(n: int, argument: Tensor) -> Tensor:
    """Return F_n(T).

    Parameters
    ----------
    n : int, 0 to 14
    argument : (...) float64, T ≥ 0

    Returns
    -------
    (...) float64
    """
    return _Boys.apply(n, argument)


class _Boys(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, n: int, argument: Tensor) -> Tensor:  # type: ignore[override]
        ctx.n = n
        ctx.save_for_backward(argument)
        small = argument.clamp(max=SERIES_LIMIT)
        large = argument.clamp(min=SERIES_LIMIT)
        return torch.where(argument < SERIES_LIMIT, _series(n, small), _recursion(n, large))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor]:  # type: ignore[override]
        (argument,) = ctx.saved_tensors
        return None, -gradient * boys(ctx.n + 1, argument)


def _series(n: int, t: Tensor) -> Tensor:
    """F_n = e^{−T} Σ_k (2T)^k / [(2n+1)(2n+3)…(2n+2k+1)]."""
    term = torch.full_like(t, 1.0 / (2 * n + 1))
    total = term.clone()
    for k in range(1, SERIES_TERMS):
        term = term * (2.0 * t / (2 * n + 2 * k + 1))
        total = total + term
    return torch.exp(-t) * total


def _recursion(n: int, t: Tensor) -> Tensor:
    """F_{k+1} = [(2k+1) F_k − e^{−T}] / 2T, from F_0 = ½ √(π/T) erf √T."""
    root = torch.sqrt(t)
    value = 0.5 * torch.pi**0.5 / root * torch.erf(root)
    for k in range(n):
        value = ((2 * k + 1) * value - torch.exp(-t)) / (2.0 * t)
    return value
