"""Drive an SCF to convergence: few visits to the fine grid, and fallbacks where that fails.

The SCF runs on a coarse grid, where cycles are nearly free, with a correction that is computed on
the fine grid now and then; three-centre integrals are computed once and shared by both. A
calculation that does not converge, or whose gap is too small to trust, is repeated from a fresh
guess with a level shift and then with damping. What still fails raises
:class:`~densnet.errors.ConvergenceError`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from pyscf import dft

from densnet.errors import ConvergenceError
from densnet.reference.kept_grid import KeptGridIntegrator
from densnet.reference.level import Level
from densnet.reference.method import gap_of, write_no_checkpoint


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
