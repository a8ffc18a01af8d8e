"""Starting frames: GFN2-xTB Langevin dynamics, stratified over the wells of some torsions.

Nuclei are classical, or beads of a ring polymer (`densnet.reference.path_integrals`).

A group of frames (one temperature, one tag) is drawn from many short, independent trajectories. A
conformer is one well of each torsion. Trajectory k starts from conformer k modulo their number, is
equilibrated, and then offers one frame every ``spacing_fs``. A frame is kept while the quota of its
conformer is open, so that the conformers end up equally represented, whatever their populations in
the sampling method. Every trajectory has its own random stream, derived from the seed of the run,
the group and k: the result does not depend on how many processes do the work.
"""

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.md.langevin import Langevin
from numpy.typing import NDArray
from tblite.ase import TBLite

from densnet.errors import InputError, NonFiniteError, SimulationError
from densnet.reference.path_integrals import RingPolymer, run_ring_polymer, spread_from_centroid
from densnet.units import BOHR_ANGSTROM

# Give up a group when its trajectories have offered this many times the frames it needs: then a
# conformer is so rare that the torsion or the starting angles must be wrong.
OFFERS_PER_FRAME = 50
# Beads that a snapshot of a ring polymer offers, as far apart on the ring as they can be: the
# stretches of neighbouring beads are alike, a quarter of the ring on they are forgotten.
BEADS_OFFERED = 4


@dataclass(frozen=True)
class Torsion:
    """A dihedral angle and the starting values that name its wells.

    Parameters
    ----------
    atoms : tuple of four int
        Indices of the dihedral, counted from zero.
    starts_degrees : tuple of float
        One angle a well; a frame belongs to the nearest.
    moving : tuple of int
        The atoms that turn with the last atom of the dihedral; empty means only that atom.
    """

    atoms: tuple[int, int, int, int]
    starts_degrees: tuple[float, ...]
    moving: tuple[int, ...] = ()


@dataclass(frozen=True)
class Group:
    """Frames to be drawn at one temperature under one tag (train, validation, test).

    Parameters
    ----------
    tag : str
    temperature_kelvin : float
    n_frames : int
    seed : int
        Of the group; no other group has it.
    trajectories : Path, optional
        Pattern (``*`` and ``?``) of xyz files of i-PI, from which the frames are drawn; without
        one, they come from dynamics with ``dynamics.method``.
    beads : int
        Of a ring polymer, for frames of quantum nuclei; 1: classical nuclei.
    spread : float
        Factor on the distances of beads from their centroid, beyond 1 for walls that dynamics
        seldom meets.
    """

    tag: str
    temperature_kelvin: float
    n_frames: int
    seed: int
    trajectories: Path | None = None
    beads: int = 1
    spread: float = 1.0


@dataclass(frozen=True)
class Dynamics:
    """How a sampling trajectory is run."""

    method: str = "GFN2-xTB"
    timestep_fs: float = 0.5
    friction_per_ps: float = 20.0
    equilibration_ps: float = 1.0
    spacing_fs: float = 100.0
    frames_per_trajectory: int = 30


@dataclass(frozen=True)
class Sample:
    """The frames of one group, in the order in which they were kept.

    Parameters
    ----------
    positions : (n_frames, n_atoms, 3) float64, bohr
    trajectory : (n_frames,) int64
        Number of the trajectory inside its group.
    time : (n_frames,) float64, fs
        Time since the end of the equilibration.
    torsion_degrees : (n_frames, n_torsions) float64
        The stratified dihedrals in (-180, 180].
    source : str
        Where they come from, for the file of frames.
    """

    group: Group
    positions: NDArray[np.float64]
    trajectory: NDArray[np.int64]
    time: NDArray[np.float64]
    torsion_degrees: NDArray[np.float64]
    source: str = "densnet sample"


@dataclass(frozen=True, eq=False)
class Trajectory:
    """One trajectory to be run.

    Parameters
    ----------
    numbers : (n_atoms,) int64
    positions : (n_atoms, 3) float64, bohr
        A reasonable geometry; the torsions are set to the start of this trajectory.
    number : int
        Inside its group.
    seed : int
        Of the whole run; the group and the number are added to it.
    """

    numbers: NDArray[np.int64]
    positions: NDArray[np.float64]
    group: Group
    dynamics: Dynamics
    torsions: tuple[Torsion, ...]
    charge: int
    seed: int
    number: int

    @property
    def conformers(self) -> tuple[tuple[float, ...], ...]:
        """The starting angles of every conformer, degrees; one without angles if no torsion."""
        return tuple(product(*(torsion.starts_degrees for torsion in self.torsions)))


Offer = tuple[float, NDArray[np.float64]]


def sample_group(
    first: Trajectory,
    executor: Executor,
    *,
    n_workers: int = 1,
    on_frame: Callable[[int], None] = lambda kept: None,
) -> Sample:
    """Draw the frames of a group, running its trajectories in parallel.

    Trajectories are used in the order of their numbers, whichever is finished first, so that the
    frames do not depend on the number of workers.

    Parameters
    ----------
    first : Trajectory
        Number 0 of the group; the others differ in their number only.
    on_frame : callable
        Called with the number of frames kept so far, after each.

    Raises
    ------
    InputError
        If the group or the dynamics ask for something impossible.
    SimulationError
        If a conformer is not met often enough to fill its share.
    """
    group, dynamics, conformers = first.group, first.dynamics, first.conformers
    check(group, dynamics, first.torsions, len(first.numbers))
    quota = np.full(len(conformers), group.n_frames // len(conformers))
    quota[: group.n_frames % len(conformers)] += 1
    kept: list[tuple[NDArray[np.float64], int, float, list[float]]] = []
    offered = 0
    stream = run_in_order(first, executor, n_workers)
    while quota.sum() > 0:
        if offered > OFFERS_PER_FRAME * max(group.n_frames, dynamics.frames_per_trajectory):
            raise SimulationError(
                f"group {group.tag} at {group.temperature_kelvin} K: after {offered} frames the "
                f"conformers near {list(conformers)} degrees still miss {quota.tolist()} frames; "
                "check the atoms and starts_degrees of torsions"
            )
        number, offers = next(stream)
        for time, frame in offers:
            offered += 1
            angles = [dihedral_degrees(frame, torsion.atoms) for torsion in first.torsions]
            conformer = conformers.index(nearest_conformer(angles, first.torsions))
            if quota[conformer] > 0:
                quota[conformer] -= 1
                kept.append((frame, number, time, angles))
                on_frame(len(kept))
    stream.close()
    return Sample(
        group,
        np.array([row[0] for row in kept]),
        np.array([row[1] for row in kept], dtype=np.int64),
        np.array([row[2] for row in kept]),
        np.array([row[3] for row in kept]).reshape(len(kept), len(first.torsions)),
    )


def run_in_order(
    first: Trajectory, executor: Executor, n_workers: int
) -> Generator[tuple[int, list[Offer]], None, None]:
    """Run trajectories 0, 1, 2, … without end, `n_workers` at a time; yield them in this order."""
    waiting: deque[Future[list[Offer]]] = deque()
    number = 0
    try:
        while True:
            while len(waiting) < n_workers:
                later = replace(first, number=number + len(waiting))
                waiting.append(executor.submit(run_trajectory, later))
            yield number, waiting.popleft().result()
            number += 1
    finally:
        for future in waiting:
            future.cancel()


def run_trajectory(trajectory: Trajectory) -> list[Offer]:
    """Run one trajectory; return (time in fs, positions in bohr) of the frames it offers.

    Raises
    ------
    NonFiniteError
        If the dynamics is unstable.
    SimulationError
        If i-PI fails, which runs ring polymers.
    """
    seeds = np.random.SeedSequence([trajectory.seed, trajectory.group.seed, trajectory.number])
    run = run_classical if trajectory.group.beads == 1 else run_beads
    offers = run(trajectory, starting_atoms(trajectory), seeds)
    if not all(np.isfinite(frame).all() for _, frame in offers):
        raise NonFiniteError(
            f"group {trajectory.group.tag} at {trajectory.group.temperature_kelvin} K: the "
            "sampling dynamics gave positions that are not finite; use a smaller "
            "dynamics.timestep_fs"
        )
    return offers


def starting_atoms(trajectory: Trajectory) -> Atoms:
    """Build the conformer that a trajectory starts from."""
    atoms = Atoms(numbers=trajectory.numbers, positions=trajectory.positions * BOHR_ANGSTROM)
    starts = trajectory.conformers[trajectory.number % len(trajectory.conformers)]
    for torsion, start in zip(trajectory.torsions, starts, strict=True):
        moving = torsion.moving or (torsion.atoms[3],)
        atoms.set_dihedral(*torsion.atoms, start, indices=list(moving))
    return atoms


def run_classical(
    trajectory: Trajectory, atoms: Atoms, seeds: np.random.SeedSequence
) -> list[Offer]:
    """Run Langevin dynamics of ASE."""
    group, dynamics = trajectory.group, trajectory.dynamics
    rng = np.random.default_rng(seeds)
    atoms.calc = TBLite(method=dynamics.method, charge=trajectory.charge, verbosity=0)
    widths = np.sqrt(atoms.get_masses() * units.kB * group.temperature_kelvin)
    atoms.set_momenta(rng.standard_normal((len(atoms), 3)) * widths[:, None])
    integrator = Langevin(
        atoms,
        timestep=dynamics.timestep_fs * units.fs,
        temperature_K=group.temperature_kelvin,
        friction=dynamics.friction_per_ps / (1000.0 * units.fs),
        fixcm=False,
        rng=rng,
    )
    integrator.run(round(dynamics.equilibration_ps * 1000.0 / dynamics.timestep_fs))
    stride = round(dynamics.spacing_fs / dynamics.timestep_fs)
    frames = []
    for i in range(dynamics.frames_per_trajectory):
        integrator.run(stride)
        frame = (atoms.get_positions() - atoms.get_center_of_mass()) / BOHR_ANGSTROM
        frames.append(((i + 1) * stride * dynamics.timestep_fs, frame))
    return frames


def run_beads(trajectory: Trajectory, atoms: Atoms, seeds: np.random.SeedSequence) -> list[Offer]:
    """Run a ring polymer and offer a few beads of each snapshot."""
    group, dynamics = trajectory.group, trajectory.dynamics
    stride = round(dynamics.spacing_fs / dynamics.timestep_fs)
    apart = max(group.beads // BEADS_OFFERED, 1)
    offered = range(0, group.beads, apart)
    snapshots = run_ring_polymer(
        atoms,
        RingPolymer(
            method=dynamics.method,
            charge=trajectory.charge,
            beads=group.beads,
            kelvin=group.temperature_kelvin,
            timestep_fs=dynamics.timestep_fs,
            tau_fs=1000.0 / dynamics.friction_per_ps,
            equilibration_steps=round(dynamics.equilibration_ps * 1000.0 / dynamics.timestep_fs),
            stride=stride,
            n_snapshots=-(-dynamics.frames_per_trajectory // len(offered)),
            seed=int(seeds.generate_state(1)[0] >> 1),
        ),
    )
    weights = atoms.get_masses() / atoms.get_masses().sum()
    return [
        ((i + 1) * stride * dynamics.timestep_fs, ring[k] - weights @ ring[k])
        for i, ring in enumerate(spread_from_centroid(snapshots, group.spread))
        for k in offered
    ][: dynamics.frames_per_trajectory]


def dihedral_degrees(positions: NDArray[np.float64], atoms: tuple[int, int, int, int]) -> float:
    """Dihedral angle of four atoms in (-180, 180] degrees, IUPAC sign."""
    a, b, c, d = (positions[i] for i in atoms)
    axis = (c - b) / np.linalg.norm(c - b)
    v = (a - b) - np.dot(a - b, axis) * axis
    w = (d - c) - np.dot(d - c, axis) * axis
    return float(np.degrees(np.arctan2(np.dot(np.cross(axis, v), w), np.dot(v, w))))


def nearest_start(angle: float, starts: tuple[float, ...]) -> int:
    """Index of the starting angle nearest to `angle`, around the circle (degrees)."""
    return int(np.argmin([abs((angle - s + 180.0) % 360.0 - 180.0) for s in starts]))


def nearest_conformer(angles: list[float], torsions: tuple[Torsion, ...]) -> tuple[float, ...]:
    """Starting angles of the conformer that a frame with these dihedrals belongs to."""
    pairs = zip(angles, torsions, strict=True)
    return tuple(t.starts_degrees[nearest_start(angle, t.starts_degrees)] for angle, t in pairs)


def check(group: Group, dynamics: Dynamics, torsions: tuple[Torsion, ...], n_atoms: int) -> None:
    """Refuse settings that cannot be sampled, naming the key."""
    where = f"group {group.tag}"
    if group.n_frames < 1 or group.temperature_kelvin <= 0.0:
        raise InputError(f"{where}: n_frames and temperature_kelvin must be positive")
    if group.beads < 1 or (group.beads > 1 and group.trajectories is not None):
        raise InputError(
            f"{where}: beads must be positive; they are of dynamics that is to be run, so leave "
            "them out beside trajectories"
        )
    if group.spread <= 0.0 or (
        group.spread != 1.0 and group.beads == 1 and group.trajectories is None
    ):
        raise InputError(
            f"{where}: spread must be positive, and goes with beads or with trajectories of beads"
        )
    if group.seed < 0:
        raise InputError(f"{where}: seed must not be negative, got {group.seed}")
    if dynamics.timestep_fs <= 0.0 or dynamics.spacing_fs < dynamics.timestep_fs:
        raise InputError("dynamics: need 0 < timestep_fs <= spacing_fs")
    if dynamics.frames_per_trajectory < 1 or dynamics.friction_per_ps <= 0.0:
        raise InputError("dynamics: frames_per_trajectory and friction_per_ps must be positive")
    for i, torsion in enumerate(torsions):
        check_torsion(torsion, f"torsions[{i}]", n_atoms)


def check_torsion(torsion: Torsion, where: str, n_atoms: int) -> None:
    """Refuse a torsion without conformers, or of atoms that are not there."""
    if not torsion.starts_degrees:
        raise InputError(f"{where}.starts_degrees: give at least one angle")
    if len({angle % 360.0 for angle in torsion.starts_degrees}) != len(torsion.starts_degrees):
        raise InputError(f"{where}.starts_degrees: every well needs an angle of its own")
    indices = torsion.atoms + torsion.moving
    if len(set(torsion.atoms)) != 4 or min(indices) < 0 or max(indices) >= n_atoms:
        raise InputError(
            f"{where}: atoms {list(indices)} must be four different indices from 0 to {n_atoms - 1}"
        )
