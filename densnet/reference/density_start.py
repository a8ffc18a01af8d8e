"""Kohn–Sham from a density that is already known: one Fock matrix, its orbitals, its energy.

With the predicted density ρ in hand, F[ρ] = T + V + J[ρ] + v_xc[ρ] is built once, without orbitals.
Its eigenvectors start an SCF, and Σ_i ε_i gives the Harris–Foulkes energy, whose error is of second
order in that of ρ (Harris, https://doi.org/10.1103/PhysRevB.31.1770; Foulkes and Haydock,
https://doi.org/10.1103/PhysRevB.39.12520).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pyscf import gto

from densnet.basis import DensityBasis, primitive_norm
from densnet.density import prior_basis, prior_coefficients
from densnet.density.prior import prior_density_and_gradient_on_points
from densnet.errors import InputError
from densnet.integrals import coulomb_metric, density_and_gradient_on_points, metric_between
from densnet.reference.density_fit import (
    coulomb_matrix,
    pyscf_basis,
    pyscf_molecule,
)
from densnet.reference.kept_grid import KeptGridIntegrator
from densnet.reference.level import Level
from densnet.reference.method import build_method, build_molecule
from densnet.structure import Structure

Array = NDArray[np.float64]

# Below this a fitted density is noise, and may be negative; exchange–correlation ignores it.
SMALLEST_DENSITY = 1e-10


@dataclass(frozen=True, eq=False)
class DensityStart:
    """One diagonalisation of the Fock matrix of a given density.

    Parameters
    ----------
    method : pyscf.dft.rks.RKS
        At the level, with its grid and three-centre integrals made, not yet converged; DIIS from
        the first cycle on, damped by 0.2.
    density_matrix : (n_basis, n_basis) float64
        Of the lowest eigenvectors, occupied: where an SCF starts.
    harris_energy : float, hartree
    n_electrons : float
        ∫ρ on the grid, a check of the density.
    """

    method: Any
    density_matrix: Array
    harris_energy: float
    n_electrons: float


def start_from_density(
    structure: Structure, level: Level, basis: DensityBasis, coefficients: ArrayLike
) -> DensityStart:
    """Build and diagonalise F[ρ] of ρ = ρ_SAD + Σ_i c_i φ_i.

    Parameters
    ----------
    structure : Structure
    level : Level
        An LDA or GGA functional.
    basis : DensityBasis
        With a prior; primitive or contracted shells.
    coefficients : (n_functions,) float64
        Of Δρ, for instance those a model predicts.

    Raises
    ------
    InputError
        If the functional needs orbitals, so that a density alone does not define it.
    """
    integrator = KeptGridIntegrator()
    if not integrator.handles(level.xc) or integrator.libxc.is_hybrid_xc(level.xc):
        raise InputError(
            f"the functional {level.xc!r} is not a functional of the density and its gradient; "
            "an SCF from a predicted density needs LDA or GGA"
        )
    numbers, positions = structure.numbers, structure.positions
    c = np.asarray(coefficients, dtype=np.float64)
    mol = build_molecule(structure, level)
    method = build_method(mol, level, integrator)
    # PySCF leaves the first Fock matrix out of DIIS, as one of a poor guess; this one is better.
    # Near the solution a step of DIIS overshoots: the density screens what changes it.
    method.diis_start_cycle, method.diis_damp = 0, 0.2
    method.grids.build(with_non0tab=True)
    coulomb, repulsion = coulomb_of_density(mol, basis, numbers, positions, c)
    n_components = 1 if integrator._xc_type(level.xc) == "LDA" else 4
    rho = density_on_grid(basis, numbers, positions, c, method.grids.coords)[:n_components]
    n_electrons, xc_energy, xc_matrix = integrator.integrate(
        mol, method.grids, level.xc, n_components, lambda points, ao: rho[:, points]
    )
    xc_of_density = potential_energy(integrator, level.xc, rho, method.grids.weights)
    energies, orbitals = method.eig(method.get_hcore() + coulomb + xc_matrix, method.get_ovlp())
    occupations = method.get_occ(energies, orbitals)
    harris = (
        float(energies @ occupations)
        - repulsion
        + xc_energy
        - xc_of_density
        + float(method.energy_nuc())
    )
    return DensityStart(method, method.make_rdm1(orbitals, occupations), harris, n_electrons)


def coulomb_of_density(
    mol: gto.Mole,
    basis: DensityBasis,
    numbers: NDArray[np.int64],
    positions: Array,
    coefficients: Array,
) -> tuple[Array, float]:
    """Return J[ρ] over the orbitals and ½(ρ|ρ), hartree."""
    difference = pyscf_molecule(numbers, positions, pyscf_basis(basis))
    atoms, populations = prior_basis(basis), prior_coefficients(basis, numbers)
    # PySCF normalises contracted functions its own way, so the free atoms go in as primitives.
    primitives = {
        gto.elements.ELEMENTS[z]: [[0, [a, 1.0]] for a in shells[0].exponents]
        for z, shells in atoms.shells.items()
    }
    norms = {z: primitive_norm(0, np.array(s[0].exponents)) for z, s in atoms.shells.items()}
    of_primitives = np.concatenate(
        [
            p * atoms.shells[int(z)][0].radial_weights() / norms[int(z)]
            for z, p in zip(numbers, populations, strict=True)
        ]
    )
    free = pyscf_molecule(numbers, positions, primitives)
    matrix = coulomb_matrix(mol, difference, coefficients)
    matrix += coulomb_matrix(mol, free, of_primitives)
    cross = metric_between(
        "coulomb", basis, numbers, positions, numbers, positions, other_basis=atoms
    )
    energy = 0.5 * coefficients @ coulomb_metric(basis, numbers, positions) @ coefficients
    energy += coefficients @ cross @ populations
    energy += 0.5 * populations @ coulomb_metric(atoms, numbers, positions) @ populations
    return matrix, float(energy)


def density_on_grid(
    basis: DensityBasis,
    numbers: NDArray[np.int64],
    positions: Array,
    coefficients: Array,
    points: Array,
) -> Array:
    """Return ρ and ∇ρ, (4, n_points); both zero where a fitted density is not positive."""
    prior, prior_gradient = prior_density_and_gradient_on_points(basis, numbers, positions, points)
    rest, gradient = density_and_gradient_on_points(basis, numbers, positions, coefficients, points)
    rho = np.vstack([prior + rest, (prior_gradient + gradient).T])
    rho[:, rho[0] < SMALLEST_DENSITY] = 0.0
    return rho


def potential_energy(integrator: KeptGridIntegrator, xc: str, rho: Array, weights: Array) -> float:
    """Return ∫ v_xc ρ = ∫ (∂e/∂ρ ρ + ∂e/∂∇ρ · ∇ρ), what Σ ε_i counts of exchange–correlation."""
    _, potential = integrator.weighted_potential(xc, rho, weights)
    return float(np.sum(potential * rho))
