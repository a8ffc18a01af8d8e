"""ρ_SAD, the superposition of spherical neutral free atoms below Δρ, with every integral analytic.

The prior of one atom is a single contracted s function. Written as a density basis of its own, with
one coefficient per atom, it goes through the same integrals as Δρ does.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import erfc

from densnet.basis import AtomicPrior, DensityBasis, Shell, primitive_norm
from densnet.errors import UnknownElementError
from densnet.integrals import density_and_gradient_on_points, density_on_points


def atomic_prior(basis: DensityBasis, number: int) -> AtomicPrior:
    """Return the free-atom density of one element.

    Raises
    ------
    UnknownElementError
        If the basis has no prior for it.
    """
    if number not in basis.prior:
        raise UnknownElementError(
            f"basis {basis.name!r} has no free-atom density for Z = {number}; it has one for "
            f"Z = {list(basis.prior)}"
        )
    return basis.prior[number]


def prior_basis(basis: DensityBasis) -> DensityBasis:
    """Return the free atoms as a basis of one contracted s function for each element.

    Parameters
    ----------
    basis : DensityBasis
        Its prior is used, its shells are not.
    """
    return _prior_basis(tuple(basis.prior.items()), basis.name)


@lru_cache(maxsize=32)
def _prior_basis(priors: tuple[tuple[int, AtomicPrior], ...], name: str) -> DensityBasis:
    shells = {}
    for z, prior in priors:
        a = np.asarray(prior.exponents)
        # Contraction coefficients belong to primitives normalised to ∫φ² = 1, N exp(−a r²)/√(4π).
        weights = np.asarray(prior.populations) * (a / np.pi) ** 1.5
        contraction = weights * np.sqrt(4.0 * np.pi) / primitive_norm(0, a)
        shells[z] = (Shell(0, prior.exponents, tuple(contraction.tolist())),)
    return DensityBasis(f"{name} prior", shells, {})


def prior_coefficients(basis: DensityBasis, numbers: ArrayLike) -> NDArray[np.float64]:
    """Return the coefficients of ρ_SAD in :func:`prior_basis`.

    Parameters
    ----------
    basis : DensityBasis
    numbers : (n_atoms,) int

    Returns
    -------
    (n_atoms,) float64
        One s function an atom; its charge is exactly Z.
    """
    for z in sorted(set(np.asarray(numbers).tolist())):
        atomic_prior(basis, z)
    atoms = prior_basis(basis)
    charge = {z: atoms.shells[z][0].monopole() for z in atoms.elements}
    return np.array([z / charge[z] for z in np.asarray(numbers).tolist()])


def prior_density_on_points(
    basis: DensityBasis, numbers: ArrayLike, positions: ArrayLike, points: ArrayLike
) -> NDArray[np.float64]:
    """Return ρ_SAD on points.

    Parameters
    ----------
    basis : DensityBasis
    numbers : (n_atoms,) int
    positions : (n_atoms, 3) float64, bohr
    points : (n_points, 3) float64, bohr

    Returns
    -------
    (n_points,) float64, e/bohr³
        Electrons counted positive.
    """
    coefficients = prior_coefficients(basis, numbers)
    return density_on_points(prior_basis(basis), numbers, positions, coefficients, points)


def prior_density_and_gradient_on_points(
    basis: DensityBasis, numbers: ArrayLike, positions: ArrayLike, points: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return ρ_SAD (n_points,) and its gradient (n_points, 3); arguments as above."""
    coefficients = prior_coefficients(basis, numbers)
    atoms = prior_basis(basis)
    return density_and_gradient_on_points(atoms, numbers, positions, coefficients, points)


def prior_potential_on_points(
    basis: DensityBasis, numbers: ArrayLike, positions: ArrayLike, points: ArrayLike
) -> NDArray[np.float64]:
    """Return the electrostatic potential of the neutral free atoms, nuclei included.

    V(r) = Σ_A Σ_k q_k erfc(√a_k |r − R_A|) / |r − R_A|, positive near the nuclei and short-ranged.

    Parameters
    ----------
    basis : DensityBasis
    numbers : (n_atoms,) int
    positions : (n_atoms, 3) float64, bohr
    points : (n_points, 3) float64, bohr

    Returns
    -------
    (n_points,) float64, hartree/e
        Infinite on a nucleus.
    """
    grid = np.asarray(points, dtype=np.float64)
    potential = np.zeros(len(grid))
    for z, centre in zip(np.asarray(numbers).tolist(), np.asarray(positions), strict=True):
        prior = atomic_prior(basis, z)
        distance = np.linalg.norm(grid - centre, axis=1)
        screened = np.zeros(len(grid))
        for exponent, population in zip(prior.exponents, prior.populations, strict=True):
            screened += population * erfc(np.sqrt(exponent) * distance)
        with np.errstate(divide="ignore"):
            potential += screened / distance
    return potential


def prior_spread(basis: DensityBasis, numbers: ArrayLike) -> float:
    """Return Σ_A ∫ |r − R_A|² ρ_A(r) dr over the free atoms, in bohr²."""
    spread = 0.0
    for z in np.asarray(numbers).tolist():
        prior = atomic_prior(basis, z)
        a = np.asarray(prior.exponents)
        spread += float(np.sum(np.asarray(prior.populations) * 1.5 / a))
    return spread
