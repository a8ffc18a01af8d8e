"""M c and cᵀM c for the overlap and the Coulomb metric, without the matrix."""

from dataclasses import dataclass

from numpy.typing import ArrayLike

from densnet.basis import DensityBasis
from densnet.integrals.arguments import (
    Array,
    check_coefficients,
    check_geometry,
    check_metric,
    check_threads,
)
from densnet.integrals.kernel import backend


@dataclass(frozen=True, eq=False)
class FormWithGradients:
    """uᵀM v and its gradients.

    Parameters
    ----------
    value : () or (n_batch,) float64
    applied : (n_functions,) or (n_batch, n_functions) float64
        M v.
    positions : (n_atoms, 3) or (n_batch, n_atoms, 3) float64, per bohr
        Gradient of the value at fixed u and v.
    exponents : (n_primitives,) float64, bohr²
        Gradient of the value, summed over the batch; shells stay normalised.
    """

    value: Array
    applied: Array
    positions: Array
    exponents: Array


def apply_metric(
    metric: str,
    basis: DensityBasis,
    numbers: ArrayLike,
    positions: ArrayLike,
    coefficients: ArrayLike,
    *,
    n_threads: int = 1,
) -> Array:
    """Return M c, with M the overlap or the Coulomb metric.

    Parameters
    ----------
    metric : "overlap" or "coulomb"
    basis : DensityBasis
    numbers : (n_atoms,) int
    positions : (n_atoms, 3) or (n_batch, n_atoms, 3) float64, bohr
    coefficients : (n_functions,) or (n_batch, n_functions) float64
    n_threads : int

    Returns
    -------
    (n_functions,) or (n_batch, n_functions) float64
    """
    geometry = check_geometry(basis, numbers, positions)
    c = check_coefficients(geometry, coefficients)
    kernel = backend()
    result = kernel.metric_apply(
        check_metric(metric),
        kernel.make_basis(geometry.table),
        geometry.species,
        geometry.positions,
        c,
        check_threads(n_threads),
    )
    return geometry.unbatch(result)


def quadratic_form(
    metric: str,
    basis: DensityBasis,
    numbers: ArrayLike,
    positions: ArrayLike,
    coefficients: ArrayLike,
    *,
    n_threads: int = 1,
) -> Array:
    """Return cᵀM c, () or (n_batch,); arguments as for :func:`apply_metric`."""
    geometry = check_geometry(basis, numbers, positions)
    c = check_coefficients(geometry, coefficients)
    applied = apply_metric(metric, basis, numbers, positions, coefficients, n_threads=n_threads)
    return geometry.unbatch((c * applied.reshape(c.shape)).sum(axis=1))


def bilinear_form_with_gradients(
    metric: str,
    basis: DensityBasis,
    numbers: ArrayLike,
    positions: ArrayLike,
    left: ArrayLike,
    right: ArrayLike,
    *,
    n_threads: int = 1,
) -> FormWithGradients:
    """Return uᵀM v, M v, and the gradient with respect to positions and exponents.

    Parameters
    ----------
    left, right : (n_functions,) or (n_batch, n_functions) float64
        u and v; equal for the quadratic form of a density or of a density error.

    Others as for :func:`apply_metric`.
    """
    geometry = check_geometry(basis, numbers, positions)
    u = check_coefficients(geometry, left, "left")
    v = check_coefficients(geometry, right, "right")
    kernel = backend()
    applied, by_position, by_exponent = kernel.bilinear_gradient(
        check_metric(metric),
        kernel.make_basis(geometry.table),
        geometry.species,
        geometry.positions,
        u,
        v,
        check_threads(n_threads),
    )
    return FormWithGradients(
        value=geometry.unbatch((u * applied).sum(axis=1)),
        applied=geometry.unbatch(applied),
        positions=geometry.unbatch(by_position),
        exponents=by_exponent,
    )
