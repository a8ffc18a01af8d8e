"""One geometry, one label: restricted Kohn–Sham energy, forces, dipole and occupied orbitals.

The SCF runs on a coarse grid, where cycles are nearly free, with a correction that is computed on
the fine grid now and then; three-centre integrals are computed once and shared by both. A
calculation that does not converge, or whose gap is too small to trust, is repeated from a fresh
guess with a level shift and then with damping. What still fails raises
:class:`~densnet.errors.ConvergenceError`.
"""

import gc
import time
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyscf import dft, gto, lib
from pyscf.df.grad import rks as df_rks_gradient

from densnet.errors import ConvergenceError, InputError
from densnet.reference.kept_grid import KeptGridIntegrator, occupied_orbitals
from densnet.structure import Structure


@dataclass(frozen=True)
class Level:
    """The electronic-structure level of a label.

    Parameters
    ----------
    xc : str
        Functional, in PySCF's notation.
    basis : str
        Orbital basis.
    auxiliary_basis : str
        Density-fitting basis of the Coulomb (and exchange) integrals.
    grid_level : int
        PySCF's grid level, 0 to 9.
    convergence_hartree : float
        Largest energy change between the last two SCF cycles.
    convergence_gradient : float
        Largest norm of the orbital gradient, hartree. PySCF's default, the square root of the
        energy threshold, leaves errors of some 1e-5 e·bohr in dipoles.
    max_cycles : int
        SCF cycles before an attempt is given up.
    minimum_gap_hartree : float
        A smaller gap between occupied and empty orbitals is a failure.
    coarse_grid_level : int
        Grid on which the SCF iterates; -1 iterates on the fine grid.
    max_corrections : int
        Visits to the fine grid before the coarse one is given up as no guide to it.
    """

    xc: str = "pbe"
    basis: str = "aug-cc-pvdz"
    auxiliary_basis: str = "def2-universal-jkfit"
    grid_level: int = 3
    convergence_hartree: float = 1e-9
    convergence_gradient: float = 1e-6
    max_cycles: int = 60
    minimum_gap_hartree: float = 0.05
    coarse_grid_level: int = 0
    max_corrections: int = 10

    def identity(self) -> dict[str, object]:
        """What decides the numbers; the other fields only decide how they are reached."""
        names = (
            "xc",
            "basis",
            "auxiliary_basis",
            "grid_level",
            "convergence_hartree",
            "convergence_gradient",
        )
        return {name: getattr(self, name) for name in names}


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


@dataclass(frozen=True)
class Attempt:
    """One way to drive the SCF."""

    name: str
    level_shift: float = 0.0
    damping: float = 0.0
    coarse_first: bool = False


ATTEMPTS = (
    Attempt("plain", coarse_first=True),
    Attempt("fresh guess, level shift 0.2", level_shift=0.2),
    Attempt("fresh guess, damping 0.4", damping=0.4),
)


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


def build_molecule(structure: Structure, level: Level) -> gto.Mole:
    """PySCF's molecule for a structure and a level."""
    if structure.cell is not None:
        raise InputError("labelling is for molecules: the structure has a cell, remove it")
    if structure.n_electrons % 2:
        raise InputError(
            f"restricted Kohn–Sham needs an even number of electrons, got {structure.n_electrons}; "
            "check numbers and charge"
        )
    try:
        with warnings.catch_warnings():
            # PySCF advises another package for an unknown basis; the error below says enough.
            warnings.simplefilter("ignore", UserWarning)
            return gto.M(
                atom=[
                    (int(z), r) for z, r in zip(structure.numbers, structure.positions, strict=True)
                ],
                unit="Bohr",
                basis=level.basis,
                charge=structure.charge,
                verbose=0,
            )
    except (KeyError, RuntimeError, ValueError) as error:
        raise InputError(f"PySCF cannot use the basis {level.basis!r}: {error}") from error


def build_method(mol: gto.Mole, level: Level, integrator: KeptGridIntegrator) -> Any:
    """Density-fitted restricted Kohn–Sham at a level, with the given integrator."""
    method = dft.RKS(mol, xc=level.xc).density_fit(auxbasis=level.auxiliary_basis)
    method.grids.level = level.grid_level
    method.conv_tol = level.convergence_hartree
    method.conv_tol_grad = level.convergence_gradient
    method.max_cycle = level.max_cycles
    method._numint = integrator
    write_no_checkpoint(method)
    # Without this PySCF computes four-index integrals of the density anew in every cycle.
    method.with_df.build()
    return method


def write_no_checkpoint(method: Any) -> None:
    """Close PySCF's checkpoint file, which it would otherwise rewrite in every cycle."""
    if getattr(method, "_chkfile", None) is not None:
        method._chkfile.close()
    method.chkfile = None


def converge(method: Any, level: Level) -> tuple[int, int]:
    """Run the SCF with its fallbacks; return the number of the attempt and its cycles."""
    failures = []
    for number, attempt in enumerate(ATTEMPTS):
        if attempt.coarse_first and 0 <= level.coarse_grid_level < level.grid_level:
            cycles = converge_through_coarse_grid(method, level)
        else:
            method.level_shift = attempt.level_shift
            method.damp = attempt.damping
            method.kernel()
            cycles = int(method.cycles)
        gap = gap_of(method)
        if method.converged and gap >= level.minimum_gap_hartree:
            return number, cycles
        why = f"gap {gap:.4f} hartree" if method.converged else f"not after {cycles} cycles"
        failures.append(f"{attempt.name}: {why}")
    raise ConvergenceError(
        f"the SCF failed ({'; '.join(failures)}); raise level.max_cycles, or look at the geometry"
    )


def converge_through_coarse_grid(method: Any, level: Level) -> int:
    """Solve the fine-grid equations by SCF on a coarse grid with a correction; return the cycles.

    The Fock matrix of the fine grid differs from that of the coarse one by Δ[D] = F_fine[D] −
    F_coarse[D], which hardly depends on the density. So the SCF runs on the coarse grid with Δ
    added, Δ is computed again from its result, and so on (defect correction): the fine grid is
    visited three or four times, once per correction, instead of in every cycle. Convergence is
    judged on the fine grid, by the criteria of an ordinary SCF.

    Returns
    -------
    cycles : int
        Visits to the fine grid. The method's `converged`, orbitals and energy are set.
    """
    coarse = dft.RKS(method.mol, xc=level.xc).density_fit(with_df=method.with_df)
    coarse.grids.level = level.coarse_grid_level
    coarse.max_cycle = level.max_cycles
    coarse._numint = KeptGridIntegrator()
    write_no_checkpoint(coarse)
    core, overlap = method.get_hcore(), method.get_ovlp()
    coarse.get_hcore = lambda *args: core
    # Each correction gains two to three digits; solving further than that in between is wasted.
    coarse.conv_tol, coarse.conv_tol_grad = 1e-5, 1e-3
    coarse.kernel()
    method.converged = False
    last = np.inf
    cycles = 0
    while cycles < min(level.max_cycles, level.max_corrections):
        cycles += 1
        density = coarse.make_rdm1()
        potential = method.get_veff(dm=density)
        fock = core + potential
        method.e_tot = method.energy_tot(density, core, potential)
        gradient = np.linalg.norm(method.get_grad(coarse.mo_coeff, coarse.mo_occ, fock))
        change, last = abs(method.e_tot - last), method.e_tot
        # The energy is off by about the square of the gradient: a small one needs no comparison.
        settled = min(change, 1e3 * gradient**2) < level.convergence_hartree
        if gradient < level.convergence_gradient and settled:
            method.converged = True
            break
        corrected = fock - np.asarray(coarse.get_veff(dm=density))
        coarse.get_hcore = lambda *args, matrix=corrected: matrix
        coarse.conv_tol = 1e-3 * level.convergence_hartree
        coarse.conv_tol_grad = max(0.01 * gradient, 0.3 * level.convergence_gradient)
        coarse.kernel(dm0=density)
    method.mo_energy, method.mo_coeff = method.eig(fock, overlap)
    method.mo_occ = method.get_occ(method.mo_energy, method.mo_coeff)
    return cycles


def gap_of(method: Any) -> float:
    """Energy between the highest occupied and the lowest empty orbital, hartree."""
    filled = method.mo_occ > 0.0
    if filled.all():
        return float("inf")
    return float(method.mo_energy[~filled].min() - method.mo_energy[filled].max())


def compute_gradient(method: Any) -> NDArray[np.float64]:
    """Nuclear gradient (n_atoms, 3), hartree/bohr, without the response of the grid weights."""
    if method._numint.handles(method.xc):
        return np.asarray(KeptGridGradients(method).kernel())
    return np.asarray(method.nuc_grad_method().kernel())


class KeptGridGradients(df_rks_gradient.Gradients):  # type: ignore[misc]
    """PySCF's density-fitted gradient with the exchange–correlation part in one grid pass."""

    def get_veff(self, mol: Any = None, dm: Any = None) -> Any:
        """Coulomb (and exchange) derivative matrices; the grid's part waits in `xc_gradient`."""
        method = self.base
        mol = self.mol if mol is None else mol
        dm = method.make_rdm1() if dm is None else dm
        integrator = method._numint
        self.xc_gradient = integrator.gradient_per_orbital(
            mol, method.grids, method.xc, occupied_orbitals(dm)
        )
        if not integrator.libxc.is_hybrid_xc(method.xc):
            vj = self.get_j(mol, dm)
            return lib.tag_array(vj, aux=vj.aux.sum((0, 1)))
        omega, alpha, hybrid = integrator.rsh_and_hybrid_coeff(method.xc, spin=mol.spin)
        vj, vk = self.get_jk(mol, dm)
        veff = vj - vk * (0.5 * hybrid)
        aux = (vj.aux - vk.aux * (0.5 * hybrid)).sum((0, 1))
        if omega != 0.0:
            vk = self.get_k(mol, dm, omega=omega)
            veff = veff - vk * (0.5 * (alpha - hybrid))
            aux = aux - vk.aux.sum((0, 1)) * (0.5 * (alpha - hybrid))
        return lib.tag_array(np.asarray(veff), aux=aux)

    def extra_force(self, atom_id: int, envs: dict[str, Any]) -> Any:
        """Auxiliary-basis response plus the exchange–correlation part of one atom."""
        first, last = self.mol.aoslice_by_atom()[atom_id, 2:]
        return super().extra_force(atom_id, envs) + self.xc_gradient[:, first:last].sum(axis=1)
