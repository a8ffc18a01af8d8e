"""M c and cᵀM c for the overlap and the Coulomb metric, without the matrix."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from densnet.basis import DensityBasis
from densnet.integrals.arguments import (
    Array,
    check_coefficients,
    check_geometry,
    check_metric,
    check_threads,
)
from densnet.integrals.kernel import backend, kernel_basis


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
        kernel_basis(geometry.table),
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


def quadratic_form_with_gradients(
    metric: str,
    basis: DensityBasis,
    numbers: ArrayLike,
    positions: ArrayLike,
    coefficients: ArrayLike,
    *,
    n_threads: int = 1,
) -> FormWithGradients:
    """Return cᵀM c, M c, and the gradient with respect to positions and exponents, in one pass.

    Arguments as for :func:`apply_metric`. The gradient with respect to c is twice ``applied``.
    """
    geometry = check_geometry(basis, numbers, positions)
    c = check_coefficients(geometry, coefficients)
    kernel = backend()
    applied, by_position, by_exponent = kernel.quadratic_gradient(
        check_metric(metric),
        kernel_basis(geometry.table),
        geometry.species,
        geometry.positions,
        c,
        check_threads(n_threads),
    )
    return FormWithGradients(
        value=geometry.unbatch((c * applied).sum(axis=1)),
        applied=geometry.unbatch(applied),
        positions=geometry.unbatch(by_position),
        exponents=by_exponent,
    )


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

    It is the difference of two quadratic forms, uᵀM v = ¼ [(u+v)ᵀM(u+v) − (u−v)ᵀM(u−v)].

    Parameters
    ----------
    left, right : (n_functions,) or (n_batch, n_functions) float64
        u and v.

    Others as for :func:`apply_metric`.
    """
    geometry = check_geometry(basis, numbers, positions)
    u = geometry.unbatch(check_coefficients(geometry, left, "left"))
    v = geometry.unbatch(check_coefficients(geometry, right, "right"))
    plus = quadratic_form_with_gradients(
        metric, basis, numbers, positions, u + v, n_threads=n_threads
    )
    minus = quadratic_form_with_gradients(
        metric, basis, numbers, positions, u - v, n_threads=n_threads
    )
    applied = 0.5 * (plus.applied - minus.applied)
    return FormWithGradients(
        value=np.asarray((u * applied).sum(axis=-1)),
        applied=applied,
        positions=0.25 * (plus.positions - minus.positions),
        exponents=0.25 * (plus.exponents - minus.exponents),
    )
