"""What the optimisation of a density basis needs to know of a molecule, from its density matrix."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pyscf import gto, scf

from densnet.basis import DensityBasis, Shell
from densnet.density import prior_basis, prior_coefficients
from densnet.density.exponents import ProjectionLadder
from densnet.integrals import coulomb_metric, metric_between
from densnet.reference.density_fit import project_densities, pyscf_basis, pyscf_molecule

# Cubic interpolation of a projection between rungs of this ratio is good to 1e-7 of its size.
RUNG_RATIO = 1.15
# Smallest exponent, bohr⁻²; beyond it a function is wider than a molecule of ten atoms.
WIDEST = 0.04


def ladder_exponents(number: int, l: int) -> NDArray[np.float64]:
    """Return the rungs for an element and an l, ascending, bohr⁻².

    They end where a function is tighter than anything that bonding changes: about 100 Z² for s,
    less for higher l.
    """
    tightest = 100.0 * number**2 / 4.0**l + 10.0
    n = int(np.ceil(np.log(tightest / WIDEST) / np.log(RUNG_RATIO)))
    return np.asarray(WIDEST * RUNG_RATIO ** np.arange(n + 1))


def compute_projection_ladder(
    numbers: ArrayLike,
    positions: ArrayLike,
    density_matrix: ArrayLike,
    *,
    orbital_basis: str,
    prior: DensityBasis,
    l_max: Mapping[int, int],
) -> ProjectionLadder:
    """Return (φ_a|Δρ) on a ladder of exponents, and (Δρ|Δρ), both without approximation.

    Parameters
    ----------
    numbers : (n_atoms,) int
    positions : (n_atoms, 3) float64, bohr
    density_matrix : (n_orbitals, n_orbitals) float64
        In PySCF's spherical order.
    orbital_basis : str
    prior : DensityBasis
        Its free atoms make ρ_SAD; its shells are not used.
    l_max : mapping from Z to int
        Highest l of the functions to be tried on an element.
    """
    z, r = np.asarray(numbers, dtype=np.int64), np.asarray(positions, dtype=np.float64)
    matrix = np.asarray(density_matrix, dtype=np.float64)
    molecule = pyscf_molecule(z, r, orbital_basis)
    atoms, weights = prior_basis(prior), prior_coefficients(prior, z)
    exponents = {(n, l): ladder_exponents(n, l) for n in l_max for l in range(l_max[n] + 1)}
    projections = {}
    for a, n in enumerate(z.tolist()):
        # One atom at a time: all rungs of all atoms at once would take gigabytes.
        for l in range(l_max[n] + 1):
            shells = tuple(Shell(l, (float(e),)) for e in exponents[n, l])
            rungs = DensityBasis("rungs", {n: shells}, {})
            auxiliary = pyscf_molecule([n], r[a : a + 1], pyscf_basis(rungs))
            total = project_densities(molecule, matrix[None], auxiliary)[0]
            free = metric_between("coulomb", rungs, [n], r[a : a + 1], z, r, other_basis=atoms)
            projections[a, l] = (total - free @ weights).reshape(len(shells), 2 * l + 1)
    return ProjectionLadder(
        z, r, self_energy(molecule, matrix, atoms, weights), exponents, projections
    )


def self_energy(
    molecule: gto.Mole,
    density_matrix: NDArray[np.float64],
    atoms: DensityBasis,
    weights: NDArray[np.float64],
) -> float:
    """Return (ρ − ρ_SAD|ρ − ρ_SAD) in hartree, from four-, three- and two-centre integrals."""
    numbers, positions = molecule.atom_charges(), molecule.atom_coords()
    coulomb, _ = scf.hf.get_jk(molecule, density_matrix, hermi=1, with_k=False)
    electrons = float(np.sum(coulomb * density_matrix))
    auxiliary = pyscf_molecule(numbers, positions, pyscf_basis(atoms))
    cross = float(project_densities(molecule, density_matrix[None], auxiliary)[0] @ weights)
    free = float(weights @ coulomb_metric(atoms, numbers, positions) @ weights)
    return electrons - 2.0 * cross + free
