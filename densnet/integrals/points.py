"""The density, its gradient and its electrostatic potential on points."""

from typing import Any

from numpy.typing import ArrayLike

from densnet.basis import DensityBasis
from densnet.errors import InputError
from densnet.integrals.arguments import (
    Array,
    check_coefficients,
    check_geometry,
    check_points,
    check_threads,
)
from densnet.integrals.kernel import backend, kernel_basis


def density_on_points(
    basis: DensityBasis,
    numbers: ArrayLike,
    positions: ArrayLike,
    coefficients: ArrayLike,
    points: ArrayLike,
    *,
    n_threads: int = 1,
) -> Array:
    """Return Σ_i c_i φ_i(r) on points.

    Parameters
    ----------
    basis : DensityBasis
    numbers : (n_atoms,) int
    positions : (n_atoms, 3) float64, bohr
    coefficients : (n_functions,) float64
    points : (n_points, 3) float64, bohr
    n_threads : int

    Returns
    -------
    (n_points,) float64, e/bohr³
    """
    return backend().density_on_points(
        *_arguments(basis, numbers, positions, coefficients, points, n_threads)
    )


def density_and_gradient_on_points(
    basis: DensityBasis,
    numbers: ArrayLike,
    positions: ArrayLike,
    coefficients: ArrayLike,
    points: ArrayLike,
    *,
    n_threads: int = 1,
) -> tuple[Array, Array]:
    """Return the density (n_points,) and its gradient (n_points, 3) in e/bohr⁴.

    Arguments as for :func:`density_on_points`.
    """
    return backend().density_and_gradient_on_points(
        *_arguments(basis, numbers, positions, coefficients, points, n_threads)
    )


def potential_on_points(
    basis: DensityBasis,
    numbers: ArrayLike,
    positions: ArrayLike,
    coefficients: ArrayLike,
    points: ArrayLike,
    *,
    n_threads: int = 1,
) -> Array:
    """Return ∫ Σ_i c_i φ_i(r') / |r − r'| dr' on points, (n_points,) in hartree/e.

    It is the potential of a positive unit for a positive coefficient: that of electrons, felt by
    electrons. Points may coincide with nuclei. Arguments as for :func:`density_on_points`.
    """
    return backend().potential_on_points(
        *_arguments(basis, numbers, positions, coefficients, points, n_threads)
    )


def _arguments(
    basis: DensityBasis,
    numbers: ArrayLike,
    positions: ArrayLike,
    coefficients: ArrayLike,
    points: ArrayLike,
    n_threads: int,
) -> tuple[Any, ...]:
    """Check the arguments of a function on points and return those of the kernel."""
    geometry = check_geometry(basis, numbers, positions)
    if geometry.batched:
        raise InputError(
            f"positions must be one structure (n_atoms, 3) here, got {geometry.positions.shape}"
        )
    return (
        kernel_basis(geometry.table),
        geometry.species,
        geometry.positions[0],
        check_coefficients(geometry, coefficients)[0],
        check_points(points),
        check_threads(n_threads),
    )
