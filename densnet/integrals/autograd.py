"""The quadratic forms of the training loss as torch functions, computed by the kernel.

With u = c, the form E = cᵀM c has ∂E/∂c = 2 M c, and the gradient with respect to positions comes
from the same pass of the kernel. First derivatives only.
"""

from typing import Any

import torch
from torch import Tensor

from densnet.basis import DensityBasis
from densnet.integrals.forms import apply_metric, quadratic_form_with_gradients


def quadratic_form(
    metric: str,
    basis: DensityBasis,
    numbers: Tensor,
    positions: Tensor,
    coefficients: Tensor,
    *,
    n_threads: int = 1,
) -> Tensor:
    """Return cᵀM c per structure, differentiable in coefficients and positions.

    Parameters
    ----------
    metric : "overlap" or "coulomb"
    basis : DensityBasis
    numbers : (n_atoms,) int64
    positions : (n_batch, n_atoms, 3) float64 or float32, bohr
    coefficients : (n_batch, n_functions), any float type
        The density, or the error of a density. The kernel computes in float64; value and gradients
        come back in the type of the coefficients.
    n_threads : int

    Returns
    -------
    (n_batch,)
    """
    return _QuadraticForm.apply(metric, basis, numbers, positions, coefficients, n_threads)


class _QuadraticForm(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        metric: str,
        basis: DensityBasis,
        numbers: Tensor,
        positions: Tensor,
        coefficients: Tensor,
        n_threads: int,
    ) -> Tensor:
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
        return (c * applied).sum(-1).to(coefficients)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        by_position = None
        if ctx.by_position is not None:
            by_position = gradient[:, None, None].to(ctx.by_position) * ctx.by_position
        return None, None, None, by_position, gradient[:, None] * ctx.by_coefficient, None
