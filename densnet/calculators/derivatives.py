"""Minima, Hessians and derivatives of dipole and polarizability, of any ASE calculator."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.optimize import BFGS
from numpy.typing import NDArray

from densnet.errors import SimulationError
from densnet.spectra.eckart import remove_rigid_motion
from densnet.units import BOHR_ANGSTROM, HARTREE_EV

Array = NDArray[np.float64]

FORCE_AU = HARTREE_EV / BOHR_ANGSTROM


@dataclass(frozen=True, eq=False)
class Derivatives:
    """Second derivatives at a geometry, atomic units.

    Parameters
    ----------
    positions : (n_atoms, 3) float64, bohr
    energy : float, hartree
    hessian : (3 n_atoms, 3 n_atoms) float64, hartree/bohr²
        As differentiated; not symmetrised.
    polar_tensors : (n_atoms, 3, 3) float64, e
        ``polar_tensors[A, i, x]`` = ∂μ_x/∂r_{A,i}; they sum to the charge times the unit matrix.
    polarizability_tensors : (n_atoms, 3, 3, 3) float64, bohr², or None
        ``polarizability_tensors[A, i, x, y]`` = ∂α_xy/∂r_{A,i}; they sum to zero.
    """

    positions: Array
    energy: float
    hessian: Array
    polar_tensors: Array
    polarizability_tensors: Array | None = None


def relax(
    atoms: Atoms,
    *,
    largest_force: float = 2e-5,
    max_steps: int = 300,
    on_step: Callable[[float], None] = lambda force: None,
) -> Atoms:
    """Return a copy at the nearest minimum, found with ASE's BFGS.

    Parameters
    ----------
    atoms : Atoms
        With a calculator, which the copy shares.
    largest_force : float, hartree/bohr
        Convergence threshold.
    max_steps : int
    on_step : callable
        Called with the largest force (hartree/bohr) after every step.

    Raises
    ------
    SimulationError
        If the threshold is not reached.
    """
    relaxed = atoms.copy()
    relaxed.calc = atoms.calc
    relaxed.set_constraint(InternalForces())
    optimizer = BFGS(relaxed, logfile=None)
    force = np.inf
    for _ in optimizer.irun(fmax=largest_force * FORCE_AU, steps=max_steps):
        force = float(np.linalg.norm(relaxed.get_forces(), axis=1).max()) / FORCE_AU
        on_step(force)
    if force > largest_force:
        raise SimulationError(
            f"no minimum after {max_steps} steps: the largest force is {force:.1e} hartree/bohr, "
            f"asked for {largest_force:.1e}; start from a better geometry"
        )
    relaxed.set_constraint()
    return relaxed


class InternalForces:
    """Constraint of ASE: forces without the net force and torque that integration on a grid leaves.

    They are as large as the threshold of a careful relaxation. The molecule would drift after them,
    and what the optimiser learns of the Hessian with it.
    """

    def adjust_positions(self, atoms: Atoms, positions: Array) -> None:
        """Any step is allowed."""

    def adjust_forces(self, atoms: Atoms, forces: Array) -> None:
        """Take out translation and rotation, in place; forces (n_atoms, 3)."""
        same_weights = np.ones(len(atoms))
        forces[:] = remove_rigid_motion(atoms.positions[None], forces[None], same_weights)[0]

    def get_removed_dof(self, atoms: Atoms) -> int:
        """Degrees of freedom that are held."""
        return 6

    def copy(self) -> "InternalForces":
        """Itself: it has no state."""
        return self


def differentiate(
    atoms: Atoms,
    *,
    step: float = 0.01,
    polarizability: bool = False,
    checkpoint: Path | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Derivatives:
    """Differentiate forces and dipole, and the polarizability if asked, by central differences.

    Parameters
    ----------
    atoms : Atoms
        With a calculator.
    step : float, bohr
    polarizability : bool
        Only of a calculator with that property, in e²·Å²/eV as ASE has it.
    checkpoint : Path, optional
        Keeps every evaluation; started again with the same geometry, nothing is computed twice.
    on_progress : callable
        Called with the evaluations done and their number, 6 n_atoms.
    """
    displaced = atoms.copy()
    displaced.calc = atoms.calc
    energy = float(displaced.get_potential_energy()) / HARTREE_EV
    n = 3 * len(atoms)
    n_values = n + (12 if polarizability else 3)
    kept = _Kept(checkpoint, atoms, step, n_values)
    values = np.empty((2, n, n_values))
    for i in range(2 * n):
        side, axis = i % 2, i // 2
        found = kept.rows.get(i)
        if found is None:
            shift = np.zeros(n)
            shift[axis] = step * (1.0 - 2.0 * side) * BOHR_ANGSTROM
            displaced.set_positions(atoms.get_positions() + shift.reshape(-1, 3))
            found = evaluate(displaced, polarizability=polarizability)
            kept.append(i, found)
        values[side, axis] = found
        on_progress(i + 1, 2 * n)
    slopes = (values[0] - values[1]) / (2.0 * step)
    return Derivatives(
        positions=atoms.get_positions() / BOHR_ANGSTROM,
        energy=energy,
        hessian=-slopes[:, :n],
        polar_tensors=slopes[:, n : n + 3].reshape(-1, 3, 3),
        polarizability_tensors=slopes[:, n + 3 :].reshape(-1, 3, 3, 3) if polarizability else None,
    )


def evaluate(atoms: Atoms, *, polarizability: bool) -> Array:
    """Forces, dipole and, if asked, polarizability in one row, atomic units."""
    calculator = atoms.calc
    # Asked for first: the same call then gives the forces and the dipole.
    alpha = calculator.get_property("polarizability", atoms) if polarizability else None
    row = [atoms.get_forces().ravel() / FORCE_AU, atoms.get_dipole_moment() / BOHR_ANGSTROM]
    if alpha is not None:
        row.append(np.asarray(alpha).ravel() * (HARTREE_EV / BOHR_ANGSTROM**2))
    return np.concatenate(row)


class _Kept:
    """Evaluations of a file, one a line; lines of another geometry, or torn ones, are ignored."""

    def __init__(self, path: Path | None, atoms: Atoms, step: float, n_values: int) -> None:
        self.path = path
        state = (atoms.numbers.tobytes(), atoms.get_positions().round(9).tobytes(), step)
        self.key = hashlib.sha256(repr(state).encode()).hexdigest()[:16]
        self.rows: dict[int, Array] = {}
        if path is None or not path.exists():
            return
        for line in path.read_text(encoding="ascii").splitlines():
            words = line.split()
            if len(words) == n_values + 3 and words[0] == self.key and words[-1] == "end":
                self.rows[int(words[1])] = np.array([float.fromhex(w) for w in words[2:-1]])

    def append(self, index: int, values: Array) -> None:
        """Add an evaluation, to the file too."""
        self.rows[index] = values
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line = " ".join([self.key, str(index), *(float(v).hex() for v in values), "end"])
        with self.path.open("a", encoding="ascii") as file:
            file.write("\n" + line + "\n")
