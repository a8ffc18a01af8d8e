"""The electron density ρ_SAD + Δρ and the molecule's electrostatic potential on points."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from densnet.basis import DensityBasis
from densnet.density.prior import prior_density_on_points, prior_potential_on_points
from densnet.integrals import density_on_points, potential_on_points


def electron_density_on_points(
    basis: DensityBasis,
    numbers: ArrayLike,
    positions: ArrayLike,
    coefficients: ArrayLike,
    points: ArrayLike,
    *,
    n_threads: int = 1,
) -> NDArray[np.float64]:
    """Return ρ = ρ_SAD + Σ_i c_i φ_i.

    Parameters
    ----------
    basis : DensityBasis
    numbers : (n_atoms,) int
    positions : (n_atoms, 3) float64, bohr
    coefficients : (n_functions,) float64
        Of Δρ.
    points : (n_points, 3) float64, bohr
    n_threads : int

    Returns
    -------
    (n_points,) float64, e/bohr³
        Electrons counted positive. A fitted density may be slightly negative where ρ is tiny.
    """
    difference = density_on_points(
        basis, numbers, positions, coefficients, points, n_threads=n_threads
    )
    return prior_density_on_points(basis, numbers, positions, points) + difference


def electrostatic_potential_on_points(
    basis: DensityBasis,
    numbers: ArrayLike,
    positions: ArrayLike,
    coefficients: ArrayLike,
    points: ArrayLike,
    *,
    n_threads: int = 1,
) -> NDArray[np.float64]:
    """Return the potential of nuclei and electrons, felt by a positive unit charge.

    V(r) = Σ_A Z_A/|r − R_A| − ∫ρ(r')/|r − r'| dr'. Parameters as for
    :func:`electron_density_on_points`.

    Returns
    -------
    (n_points,) float64, hartree/e
        Infinite on a nucleus.
    """
    difference = potential_on_points(
        basis, numbers, positions, coefficients, points, n_threads=n_threads
    )
    return prior_potential_on_points(basis, numbers, positions, points) - difference
