"""One geometry, one label: restricted Kohn–Sham energy, forces, dipole and occupied orbitals."""

import gc
import time
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from densnet.reference.convergence import converge
from densnet.reference.gradient import compute_gradient
from densnet.reference.kept_grid import KeptGridIntegrator
from densnet.reference.level import Level
from densnet.reference.method import build_method, build_molecule, gap_of
from densnet.structure import Structure


@dataclass(frozen=True, eq=False)
class Label:
    """What one calculation gives, in atomic units.

    Parameters
    ----------
    energy : float, hartree
    forces : (n_atoms, 3) float64, hartree/bohr
    dipole : (3,) float64, e·bohr
        Electrons count negative; origin at zero.
    orbitals : (n_basis, n_occupied) float64
        Doubly occupied orbitals, in PySCF's spherical order; the density matrix is 2 C Cᵀ.
    gap : float, hartree
    cycles : int
        SCF cycles on the fine grid.
    attempt : int
        0 if the first attempt converged, then the number of the fallback.
    cpu_seconds : float
    """

    energy: float
    forces: NDArray[np.float64]
    dipole: NDArray[np.float64]
    orbitals: NDArray[np.float64]
    gap: float
    cycles: int
    attempt: int
    cpu_seconds: float


@dataclass
class Calculator:
    """Labels structures at one level; keeps its large arrays from one frame to the next."""

    level: Level
    integrator: KeptGridIntegrator = field(default_factory=KeptGridIntegrator)

    def label(self, structure: Structure) -> Label:
        """Energy, forces, dipole and orbitals of a closed-shell molecule.

        Raises
        ------
        InputError
            If the molecule has an odd number of electrons, a cell, or an unknown basis.
        ConvergenceError
            If every attempt fails; the message lists them.
        """
        started = time.process_time()
        mol = build_molecule(structure, self.level)
        method = build_method(mol, self.level, self.integrator)
        try:
            attempt, cycles = converge(method, self.level)
            forces = -compute_gradient(method)
            dipole = method.dip_moment(unit="AU", verbose=0)
            filled = method.mo_occ > 0.0
            return Label(
                energy=float(method.e_tot),
                forces=forces,
                dipole=np.asarray(dipole),
                orbitals=np.ascontiguousarray(method.mo_coeff[:, filled]),
                gap=gap_of(method),
                cycles=cycles,
                attempt=attempt,
                cpu_seconds=time.process_time() - started,
            )
        finally:
            self.integrator.forget()
            del method
            # Methods of PySCF sit in reference cycles that hold some hundred megabytes a frame.
            gc.collect()
