"""Small molecules with a converged density, for the tests of density, reference and evaluation."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pyscf import gto, scf


@dataclass(frozen=True, eq=False)
class ReferenceDensity:
    """A molecule of PySCF with its density matrix, in atomic units."""

    molecule: gto.Mole
    numbers: NDArray[np.int64]
    positions: NDArray[np.float64]
    matrix: NDArray[np.float64]
    orbitals: NDArray[np.float64]
    dipole: NDArray[np.float64]
    charge: int


def converge(atoms: str, charge: int) -> ReferenceDensity:
    """Return the Hartree–Fock/aug-cc-pVDZ density of a closed-shell molecule given in bohr."""
    molecule = gto.M(atom=atoms, basis="aug-cc-pvdz", unit="Bohr", charge=charge, verbose=0)
    method = scf.RHF(molecule)
    method.conv_tol = 1e-11
    method.kernel()
    method._chkfile.close()  # PySCF leaves this to the garbage collector, which warns
    occupied = method.mo_coeff[:, method.mo_occ > 0]
    # dip_moment refers to the coordinate origin, for ions too.
    return ReferenceDensity(
        molecule,
        molecule.atom_charges().astype(np.int64),
        molecule.atom_coords(),
        method.make_rdm1(),
        occupied,
        method.dip_moment(unit="AU", verbose=0),
        charge,
    )


def water_density() -> ReferenceDensity:
    """Return water away from the origin, in no special orientation."""
    return converge("O 0.3 -0.2 0.5; H 1.7 0.7 0.9; H -0.9 0.9 -0.2", charge=0)


def hydroxide_density() -> ReferenceDensity:
    """Return OH⁻, whose dipole depends on the origin."""
    return converge("O 0.3 -0.2 0.5; H 1.7 0.7 0.9", charge=-1)
