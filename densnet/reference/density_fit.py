"""Coefficients of Δρ from orbitals: three-centre integrals by PySCF, then the constrained fit.

Orbitals are kept with the labels, so a density can be fitted again in any basis at about a tenth of
a second a frame, without another SCF.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pyscf import gto, lib

from densnet.basis import DensityBasis
from densnet.density import fit_difference_density, prior_basis, prior_coefficients
from densnet.errors import InputError
from densnet.integrals import metric_between

Array = NDArray[np.float64]

# Three-centre integrals of this many auxiliary functions are held at a time; 400 functions and 123
# orbitals take 25 MB.
AUXILIARY_BLOCK = 400


def pyscf_molecule(numbers: ArrayLike, positions: ArrayLike, basis: object) -> gto.Mole:
    """Return a PySCF molecule for integrals only: no spin, no charge, no symmetry.

    Parameters
    ----------
    numbers : (n_atoms,) int
    positions : (n_atoms, 3) float64, bohr
    basis : str or dict
        Anything PySCF takes.
    """
    atoms = [
        (int(z), tuple(r))
        for z, r in zip(np.asarray(numbers).tolist(), np.asarray(positions).tolist(), strict=True)
    ]
    return gto.M(atom=atoms, basis=basis, unit="Bohr", spin=None, verbose=0)


def pyscf_basis(basis: DensityBasis) -> dict[str, list[list[object]]]:
    """Return a density basis in PySCF's own format; its functions keep their order."""
    return {
        gto.elements.ELEMENTS[z]: [
            [s.l, *([a, d] for a, d in zip(s.exponents, s.coefficients, strict=True))]
            for s in shells
        ]
        for z, shells in basis.shells.items()
    }


def project_densities(
    molecule: gto.Mole, density_matrices: ArrayLike, auxiliary: gto.Mole
) -> Array:
    """Return (φ_i|ρ) for densities given as matrices over orbitals.

    Parameters
    ----------
    molecule : gto.Mole
        With the orbital basis.
    density_matrices : (n_densities, n_orbitals, n_orbitals) float64
        Symmetric.
    auxiliary : gto.Mole
        With the density basis.

    Returns
    -------
    (n_densities, n_functions) float64, e²/bohr
    """
    matrices = np.asarray(density_matrices, dtype=np.float64)
    rows, columns = np.tril_indices(matrices.shape[-1])
    packed = matrices[:, rows, columns] * np.where(rows == columns, 1.0, 2.0)
    projection = np.empty((len(matrices), auxiliary.nao))
    for block, integrals in three_centre_blocks(molecule, auxiliary):
        projection[:, block] = packed @ integrals
    return projection


def coulomb_matrix(molecule: gto.Mole, auxiliary: gto.Mole, coefficients: ArrayLike) -> Array:
    """Return (χ_p χ_q|ρ) of a density Σ_i c_i φ_i, (n_orbitals, n_orbitals), hartree.

    Parameters
    ----------
    molecule, auxiliary : gto.Mole
        As in :func:`project_densities`.
    coefficients : (n_functions,) float64
    """
    c = np.asarray(coefficients, dtype=np.float64)
    n = molecule.nao
    packed = np.zeros(n * (n + 1) // 2)
    for block, integrals in three_centre_blocks(molecule, auxiliary):
        packed += integrals @ c[block]
    return np.asarray(lib.unpack_tril(packed))


def three_centre_blocks(
    molecule: gto.Mole, auxiliary: gto.Mole
) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Yield some auxiliary functions and (χ_p χ_q|φ_i) of all pairs p ≥ q, (n_pairs, n)."""
    both = molecule + auxiliary
    offsets = auxiliary.ao_loc_nr()
    n_pairs = molecule.nao * (molecule.nao + 1) // 2
    first = 0
    while first < auxiliary.nbas:
        end = first + 1
        while end < auxiliary.nbas and offsets[end + 1] - offsets[first] <= AUXILIARY_BLOCK:
            end += 1
        shells = (0, molecule.nbas, 0, molecule.nbas, molecule.nbas + first, molecule.nbas + end)
        integrals = both.intor("int3c2e", aosym="s2ij", shls_slice=shells)
        block = slice(offsets[first], offsets[end])
        yield block, integrals.reshape(n_pairs, -1)
        first = end


@dataclass(frozen=True)
class DensityFitter:
    """Fits densities of one molecule at one orbital basis.

    Parameters
    ----------
    basis : DensityBasis
        With a prior.
    numbers : (n_atoms,) int
    orbital_basis : str
        Of the orbitals, in PySCF's notation.
    charge : int
        Total charge, e.
    ridge : float
        See :func:`densnet.density.fit_difference_density`.
    """

    basis: DensityBasis
    numbers: NDArray[np.int64]
    orbital_basis: str
    charge: int = 0
    ridge: float = 0.0

    def fit(self, positions: ArrayLike, orbitals: ArrayLike, dipole: ArrayLike) -> Array:
        """Return the coefficients of Δρ of one frame.

        Parameters
        ----------
        positions : (n_atoms, 3) float64, bohr
        orbitals : (n_orbitals, n_occupied) float64
            Doubly occupied, in PySCF's spherical order.
        dipole : (3,) float64, e·bohr
            Of the molecule, electrons negative; the fit reproduces it exactly.

        Returns
        -------
        (n_functions,) float64

        Raises
        ------
        InputError
            If the orbitals do not belong to this basis or number of electrons.
        """
        c = np.asarray(orbitals, dtype=np.float64)
        n_electrons = int(np.sum(self.numbers)) - self.charge
        if c.ndim != 2 or 2 * c.shape[1] != n_electrons:
            raise InputError(
                f"{n_electrons} electrons fill {n_electrons / 2:g} orbitals, got shape {c.shape}"
            )
        return self.fit_matrix(positions, 2.0 * c @ c.T, dipole)

    def fit_matrix(
        self, positions: ArrayLike, density_matrix: ArrayLike, dipole: ArrayLike
    ) -> Array:
        """Return the coefficients of Δρ from a density matrix, (n_orbitals, n_orbitals)."""
        total = self._project(positions, np.asarray(density_matrix)[None])[0]
        atoms = metric_between(
            "coulomb",
            self.basis,
            self.numbers,
            positions,
            self.numbers,
            positions,
            other_basis=prior_basis(self.basis),
        ) @ prior_coefficients(self.basis, self.numbers)
        return fit_difference_density(
            self.basis,
            self.numbers,
            positions,
            total - atoms,
            charge=float(self.charge),
            dipole=dipole,
            ridge=self.ridge,
        )

    def fit_response(
        self,
        positions: ArrayLike,
        orbitals: ArrayLike,
        orbital_response: ArrayLike,
        polarizability: ArrayLike,
    ) -> Array:
        """Return ∂c/∂E for the three directions of a uniform electric field.

        Parameters
        ----------
        positions : (n_atoms, 3) float64, bohr
        orbitals : (n_orbitals, n_occupied) float64
        orbital_response : (3, n_orbitals, n_occupied) float64
            Derivative of the orbitals with respect to the field.
        polarizability : (3, 3) float64, bohr³
            The response densities reproduce it exactly and carry no charge.

        Returns
        -------
        (3, n_functions) float64
        """
        c, derivative = np.asarray(orbitals), np.asarray(orbital_response)
        half = 2.0 * np.einsum("xpi,qi->xpq", derivative, c)
        projections = self._project(positions, half + half.transpose(0, 2, 1))
        alpha = np.asarray(polarizability)
        return np.stack(
            [
                fit_difference_density(
                    self.basis,
                    self.numbers,
                    positions,
                    projections[axis],
                    charge=0.0,
                    dipole=alpha[:, axis],
                    ridge=self.ridge,
                )
                for axis in range(3)
            ]
        )

    def _project(self, positions: ArrayLike, matrices: Array) -> Array:
        molecule = pyscf_molecule(self.numbers, positions, self.orbital_basis)
        if matrices.shape[-1] != molecule.nao:
            raise InputError(
                f"orbitals have {matrices.shape[-1]} rows, but {self.orbital_basis} has "
                f"{molecule.nao} functions for this molecule; which basis are they in?"
            )
        auxiliary = pyscf_molecule(self.numbers, positions, pyscf_basis(self.basis))
        return project_densities(molecule, matrices, auxiliary)
