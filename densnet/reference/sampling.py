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

import numpy as np
from numpy.typing import NDArray

from densnet.errors import SimulationError
from densnet.reference.sampling_plan import Group, Torsion, check
from densnet.reference.trajectories import Offer, Trajectory, run_trajectory

# Give up a group when its trajectories have offered this many times the frames it needs: then a
# conformer is so rare that the torsion or the starting angles must be wrong.
OFFERS_PER_FRAME = 50


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
