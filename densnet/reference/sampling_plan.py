"""What is to be sampled: torsions, groups of frames, dynamics; checked before anything runs."""

from dataclasses import dataclass
from pathlib import Path

from densnet.errors import InputError

# A bond to hydrogen vibrates with a period of 9 fs.
LARGEST_STEP_FS = 2.0


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
    if dynamics.timestep_fs > LARGEST_STEP_FS:
        raise InputError(
            f"dynamics: timestep_fs must be at most {LARGEST_STEP_FS:g} fs for bonds to hydrogen, "
            f"got {dynamics.timestep_fs:g}"
        )
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
