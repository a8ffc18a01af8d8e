"""The quadratic forms of the training loss as torch functions, computed by the kernel.

With u = c, the form E = cᵀM c has ∂E/∂c = 2 M c, and the gradient with respect to positions comes
from the same pass of the kernel; that with respect to exponents from a second pass, with
coefficients that carry the weights of the structures. First derivatives only.
"""

from typing import Any

import torch
from torch import Tensor

from densnet.basis import DensityBasis
from densnet.integrals.forms import apply_metric, quadratic_form_with_gradients
from densnet.integrals.shell_table import flat_exponents, with_exponents


def quadratic_form(
    metric: str,
    basis: DensityBasis,
    numbers: Tensor,
    positions: Tensor,
    coefficients: Tensor,
    *,
    exponents: Tensor | None = None,
    n_threads: int = 1,
) -> Tensor:
    """Return cᵀM c per structure, differentiable in coefficients, positions and exponents.

    Parameters
    ----------
    metric : "overlap" or "coulomb"
    basis : DensityBasis
    numbers : (n_atoms,) int64
    positions : (n_batch, n_atoms, 3) float64 or float32, bohr
    coefficients : (n_batch, n_functions), any float type
        The density, or the error of a density. The kernel computes in float64; value and gradients
        come back in the type of the coefficients.
    exponents : (n_primitives,) float64, bohr⁻², optional
        In the place of those of the basis, in the order of
        :func:`~densnet.integrals.shell_table.flat_exponents`; shells stay normalised.
    n_threads : int

    Returns
    -------
    (n_batch,)
    """
    return _QuadraticForm.apply(
        metric, basis, numbers, positions, coefficients, exponents, n_threads
    )


class _QuadraticForm(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        metric: str,
        basis: DensityBasis,
        numbers: Tensor,
        positions: Tensor,
        coefficients: Tensor,
        exponents: Tensor | None,
        n_threads: int,
    ) -> Tensor:
        if exponents is not None:
            basis = with_exponents(basis, exponents.detach().cpu().numpy())
        c = coefficients.detach().to("cpu", torch.float64)
        z = numbers.cpu().numpy()
        r = positions.detach().to("cpu", torch.float64).numpy()
        if ctx.needs_input_grad[3]:
            form = quadratic_form_with_gradients(
                metric, basis, z, r, c.numpy(), n_threads=n_threads
            )
            applied = torch.from_numpy(form.applied)
            ctx.by_position = torch.from_numpy(form.positions).to(positions)
        else:
            applied = torch.from_numpy(
                apply_metric(metric, basis, z, r, c.numpy(), n_threads=n_threads)
            )
            ctx.by_position = None
        ctx.by_coefficient = (2.0 * applied).to(coefficients)
        if exponents is not None and ctx.needs_input_grad[5]:
            ctx.exponents = exponents.detach()
            ctx.form = (metric, basis, z, r, c, n_threads)
        return (c * applied).sum(-1).to(coefficients)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        by_position = by_exponent = None
        if ctx.by_position is not None:
            by_position = gradient[:, None, None].to(ctx.by_position) * ctx.by_position
        if ctx.needs_input_grad[5]:
            by_exponent = _exponent_gradient(ctx.form, gradient).to(ctx.exponents)
        by_coefficient = gradient[:, None] * ctx.by_coefficient
        return None, None, None, by_position, by_coefficient, by_exponent, None


def _exponent_gradient(form: tuple[Any, ...], weights: Tensor) -> Tensor:
    """Return the gradient of Σ_b w_b c_bᵀM c_b; the kernel sums structures of equal weight."""
    metric, basis, numbers, positions, coefficients, n_threads = form
    w = weights.detach().to(coefficients)
    total = torch.zeros(len(flat_exponents(basis)), dtype=torch.float64)
    for sign in (1.0, -1.0):
        scale = torch.sqrt((sign * w).clamp(min=0.0))
        if scale.any():
            scaled = (scale[:, None] * coefficients).numpy()
            result = quadratic_form_with_gradients(
                metric, basis, numbers, positions, scaled, n_threads=n_threads
            )
            total += sign * torch.from_numpy(result.exponents)
    return total
