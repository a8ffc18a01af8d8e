"""The unfitted density on PySCF's integration grid: what other densities are held to."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pyscf import dft

from densnet.errors import InputError
from densnet.reference.density_fit import pyscf_molecule

# Values of the orbital basis on this many points are held at a time (123 functions: 8 MB).
POINT_BLOCK = 8192


@dataclass(frozen=True, eq=False)
class GridDensity:
    """A density on a quadrature grid.

    Parameters
    ----------
    points : (n_points, 3) float64, bohr
    weights : (n_points,) float64, bohr³
    density : (n_points,) float64, e/bohr³
        Electrons counted positive.
    """

    points: NDArray[np.float64]
    weights: NDArray[np.float64]
    density: NDArray[np.float64]

    @property
    def n_electrons(self) -> float:
        """∫ρ by the quadrature."""
        return float(self.weights @ self.density)


def compute_grid_density(
    numbers: ArrayLike,
    positions: ArrayLike,
    orbitals: ArrayLike,
    *,
    orbital_basis: str,
    grid_level: int = 3,
) -> GridDensity:
    """Return the density of doubly occupied orbitals on a Becke grid.

    Parameters
    ----------
    numbers : (n_atoms,) int
    positions : (n_atoms, 3) float64, bohr
    orbitals : (n_orbitals, n_occupied) float64
        In PySCF's spherical order.
    orbital_basis : str
    grid_level : int
        PySCF's, 0 (coarse) to 9.

    Raises
    ------
    InputError
        If the orbitals do not belong to the basis.
    """
    molecule = pyscf_molecule(numbers, positions, orbital_basis)
    c = np.asarray(orbitals, dtype=np.float64)
    if c.ndim != 2 or len(c) != molecule.nao:
        raise InputError(
            f"orbitals must have {molecule.nao} rows for {orbital_basis}, got shape {c.shape}"
        )
    grid = dft.gen_grid.Grids(molecule)
    grid.level = grid_level
    grid.build(sort_grids=False)
    density = np.empty(len(grid.weights))
    for start in range(0, len(density), POINT_BLOCK):
        block = slice(start, start + POINT_BLOCK)
        values = molecule.eval_gto("GTOval_sph", grid.coords[block]) @ c
        density[block] = 2.0 * np.einsum("pi,pi->p", values, values)
    return GridDensity(np.asarray(grid.coords), np.asarray(grid.weights), density)
