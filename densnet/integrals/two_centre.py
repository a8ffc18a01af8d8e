"""Overlap and Coulomb metric of density functions, and the gradients of anything made of them.

>>> import numpy as np
>>> from densnet.basis import DensityBasis, Shell
>>> basis = DensityBasis("s", {1: (Shell(0, (1.0,)),)}, {})
>>> s = overlap(basis, [1, 1], [[0.0, 0.0, 0.0], [0.0, 0.0, 2.0]])
>>> bool(np.isclose(s[0, 1], np.exp(-2.0)))  # exp(−a R²/2)
True
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from densnet.basis import DensityBasis
from densnet.errors import InputError
from densnet.integrals.arguments import (
    Array,
    check_array,
    check_geometry,
    check_metric,
    check_out,
    check_threads,
)
from densnet.integrals.kernel import backend, kernel_basis


@dataclass(frozen=True, eq=False)
class MetricGradient:
    """Gradient of a number made from a metric.

    Parameters
    ----------
    positions : (n_atoms, 3) or (n_batch, n_atoms, 3) float64, per bohr
    exponents : (n_primitives,) float64, bohr²
        With respect to every primitive exponent, in the order of
        :func:`~densnet.integrals.shell_table.flat_exponents`, summed over a batch; shells stay
        normalised.
    """

    positions: Array
    exponents: Array


def overlap(
    basis: DensityBasis,
    numbers: ArrayLike,
    positions: ArrayLike,
    *,
    n_threads: int = 1,
    out: Array | None = None,
) -> Array:
    """Return the overlap matrix S_ij = ∫ φ_i(r) φ_j(r) dr.

    Parameters
    ----------
    basis : DensityBasis
    numbers : (n_atoms,) int
    positions : (n_atoms, 3) or (n_batch, n_atoms, 3) float64, bohr
    n_threads : int
    out : array of the shape of the result, float64, C-contiguous, optional
        Receives the result. New memory for a large matrix costs more than its integrals.

    Returns
    -------
    (n_functions, n_functions) or (n_batch, n_functions, n_functions) float64

    Raises
    ------
    InputError
        If an argument has a wrong shape, an element is not in the basis, or a number is not finite.
    """
    return _metric_matrix("overlap", basis, numbers, positions, n_threads, out)


def coulomb_metric(
    basis: DensityBasis,
    numbers: ArrayLike,
    positions: ArrayLike,
    *,
    n_threads: int = 1,
    out: Array | None = None,
) -> Array:
    """Return the Coulomb metric J_ij = ∬ φ_i(r) φ_j(r') / |r − r'| dr dr', in hartree.

    Parameters, shapes and errors as for :func:`overlap`.
    """
    return _metric_matrix("coulomb", basis, numbers, positions, n_threads, out)


def metric_between(
    metric: str,
    basis: DensityBasis,
    numbers: ArrayLike,
    positions: ArrayLike,
    other_numbers: ArrayLike,
    other_positions: ArrayLike,
    *,
    other_basis: DensityBasis | None = None,
    n_threads: int = 1,
) -> Array:
    """Return the overlap or Coulomb matrix between the functions of two structures.

    Parameters
    ----------
    metric : "overlap" or "coulomb"
    basis, numbers, positions
        The structure, or batch of structures, of the rows.
    other_numbers, other_positions
        Those of the columns; a batch must be as long as that of the rows.
    other_basis : DensityBasis, optional
        Of the columns; the same basis if not given.
    n_threads : int

    Returns
    -------
    (n_functions, n_other_functions) float64, with a first axis n_batch if positions have one
    """
    rows = check_geometry(basis, numbers, positions)
    columns = check_geometry(
        basis if other_basis is None else other_basis, other_numbers, other_positions, "other_"
    )
    if rows.positions.shape[0] != columns.positions.shape[0] or rows.batched != columns.batched:
        raise InputError(
            f"positions and other_positions must be batches of the same length, got "
            f"{np.shape(positions)} and {np.shape(other_positions)}"
        )
    kernel = backend()
    result = kernel.cross_matrix(
        check_metric(metric),
        kernel_basis(rows.table),
        rows.species,
        rows.positions,
        kernel_basis(columns.table),
        columns.species,
        columns.positions,
        check_threads(n_threads),
    )
    return rows.unbatch(result)


def metric_vjp(
    metric: str,
    basis: DensityBasis,
    numbers: ArrayLike,
    positions: ArrayLike,
    weights: ArrayLike,
    *,
    n_threads: int = 1,
) -> MetricGradient:
    """Return the gradient of Σ_ij W_ij M_ij, with M the overlap or the Coulomb metric.

    Parameters
    ----------
    metric : "overlap" or "coulomb"
    basis, numbers, positions, n_threads
        As for :func:`overlap`.
    weights : (n_functions, n_functions) or (n_batch, n_functions, n_functions) float64
        W, the gradient of a loss with respect to the matrix; it need not be symmetric.
    """
    geometry = check_geometry(basis, numbers, positions)
    w = check_array("weights", weights)
    n = geometry.n_functions
    expected = (geometry.n_batch, n, n) if geometry.batched else (n, n)
    if w.shape != expected:
        raise InputError(f"weights must have shape {expected} for these atoms, got {w.shape}")
    kernel = backend()
    by_position, by_exponent = kernel.metric_vjp(
        check_metric(metric),
        kernel_basis(geometry.table),
        geometry.species,
        geometry.positions,
        w.reshape(-1, n, n),
        check_threads(n_threads),
    )
    return MetricGradient(geometry.unbatch(by_position), by_exponent)


def _metric_matrix(
    metric: str,
    basis: DensityBasis,
    numbers: ArrayLike,
    positions: ArrayLike,
    n_threads: int,
    out: Array | None,
) -> Array:
    geometry = check_geometry(basis, numbers, positions)
    kernel = backend()
    result = kernel.metric_matrix(
        metric,
        kernel_basis(geometry.table),
        geometry.species,
        geometry.positions,
        check_threads(n_threads),
        check_out(geometry, out),
    )
    return geometry.unbatch(result)
