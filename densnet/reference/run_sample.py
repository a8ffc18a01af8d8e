"""`densnet sample` as a function: configuration in, file of frames out."""

import hashlib
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.neighborlist import natural_cutoffs, neighbor_list
from numpy.typing import NDArray

import densnet
from densnet.data.store import FrameFile, Frames
from densnet.data.writer import FrameWriter
from densnet.errors import InputError
from densnet.reference.drawn_frames import draw_group
from densnet.reference.sampling import Sample, sample_group
from densnet.reference.sampling_plan import Dynamics, Group, Torsion, check
from densnet.reference.trajectories import Trajectory
from densnet.structure import Structure
from densnet.units import BOHR_ANGSTROM

# Trajectory numbers of a file: group times this, plus the number inside the group.
TRAJECTORIES_PER_GROUP = 10_000
# Of the sum of covalent radii, within which two atoms are bonded.
BOND_FACTOR = 1.3


@dataclass(frozen=True)
class SampleConfig:
    """A run of `densnet sample`.

    Parameters
    ----------
    geometry : Path
        Starting geometry, in any format ASE reads (angstrom); its atom order is kept.
    output : Path
        File of frames to be made.
    groups : tuple of Group
        Temperatures, tags, sizes and seeds; where the frames come from.
    seed : int
        Of the whole run.
    charge : int
        Total charge, e.
    torsions : tuple of Torsion
        Dihedrals; every combination of their wells is a conformer, all equally represented.
    dynamics : Dynamics
    """

    geometry: Path
    output: Path
    groups: tuple[Group, ...]
    seed: int = 0
    charge: int = 0
    torsions: tuple[Torsion, ...] = ()
    dynamics: Dynamics = field(default_factory=Dynamics)


def run_sample(
    config: SampleConfig,
    executor: Executor,
    *,
    n_workers: int = 1,
    on_frame: Callable[[int], None] = lambda done: None,
) -> Frames:
    """Sample every group and write the file; groups that are in it are kept.

    The result does not depend on the number of workers, nor on interruptions: a group is written
    whole, under frame numbers that follow from its place in the configuration.

    Raises
    ------
    SimulationError
        If a conformer is never met.
    InputError
        If the geometry cannot be read, two groups share a seed, or the file belongs to another
        configuration.
    """
    structure = load_structure(config)
    check_groups(config, structure.n_atoms)
    attributes = {
        "charge": config.charge,
        "sampling": {
            "method": config.dynamics.method,
            "seed": config.seed,
            "groups": [described(group) for group in config.groups],
        },
        "dynamics": asdict(config.dynamics),
        "torsions": [asdict(torsion) for torsion in config.torsions],
        "geometry_sha256": hashlib.sha256(structure.positions.tobytes()).hexdigest(),
    }
    provenance = {"program": f"densnet {densnet.__version__}", "geometry": config.geometry.name}
    firsts = np.concatenate([[0], np.cumsum([g.n_frames for g in config.groups])])
    config.output.parent.mkdir(parents=True, exist_ok=True)
    with FrameWriter(
        config.output, structure.numbers, attributes, provenance=provenance, commit_every=10**9
    ) as writer:
        for i, group in enumerate(config.groups):
            first = int(firsts[i])
            if not set(range(first, int(firsts[i + 1]))) <= writer.frames:
                if group.trajectories is not None:
                    sample = draw_group(group, structure.numbers)
                else:
                    sample = sample_group(
                        first_trajectory(config, structure, group),
                        executor,
                        n_workers=n_workers,
                        on_frame=counter(on_frame, first),
                    )
                append_group(writer, sample, i, first)
            on_frame(int(firsts[i + 1]))
    return FrameFile.read(config.output)


def described(group: Group) -> list[object]:
    """Return what of a group stands in the file, for a later run to compare."""
    entry: list[object] = [group.tag, group.temperature_kelvin, group.n_frames, group.seed]
    if group.trajectories is not None:
        return [*entry, group.trajectories.name, group.spread]
    if group.beads > 1:
        return [*entry, f"{group.beads} beads", group.spread]
    return entry


def first_trajectory(config: SampleConfig, structure: Structure, group: Group) -> Trajectory:
    """Number 0 of the trajectories of a group."""
    return Trajectory(
        structure.numbers,
        structure.positions,
        group,
        config.dynamics,
        config.torsions,
        config.charge,
        config.seed,
        number=0,
    )


def counter(on_frame: Callable[[int], None], first: int) -> Callable[[int], None]:
    """Report frames of a group as frames of the whole run."""
    return lambda kept: on_frame(first + kept)


def append_group(writer: FrameWriter, sample: Sample, group: int, first: int) -> None:
    """Write the frames of a group that are not in the file yet, and commit."""
    for i, positions in enumerate(sample.positions):
        if first + i in writer.frames:
            continue
        writer.append(
            {
                "frame": first + i,
                "positions": positions,
                "tag": sample.group.tag,
                "temperature": sample.group.temperature_kelvin,
                "trajectory": group * TRAJECTORIES_PER_GROUP + int(sample.trajectory[i]),
                "time": sample.time[i],
                "source": sample.source,
            }
        )
    writer.commit()


def load_structure(config: SampleConfig) -> Structure:
    """Read the starting geometry."""
    try:
        atoms = ase.io.read(config.geometry, index=-1)
    except Exception as error:  # ASE's readers raise whatever their format's parser raises.
        raise InputError(f"cannot read the geometry {config.geometry}: {error}") from error
    if not isinstance(atoms, Atoms):
        raise InputError(f"the geometry {config.geometry} holds no structure")
    if len(atoms) > 1 and not len(neighbor_list("i", atoms, natural_cutoffs(atoms, BOND_FACTOR))):
        raise InputError(
            f"{config.geometry}: no two atoms are as close as a bond is long; coordinates are "
            "taken as angstrom: are these in bohr?"
        )
    positions: NDArray[np.float64] = atoms.get_positions() / BOHR_ANGSTROM
    return Structure(atoms.get_atomic_numbers(), positions, charge=config.charge)


def check_groups(config: SampleConfig, n_atoms: int) -> None:
    """Refuse groups that cannot be sampled, or that would repeat each other's trajectories."""
    if not config.groups:
        raise InputError("groups: give at least one")
    for group in config.groups:
        check(group, config.dynamics, config.torsions, n_atoms)
    seeds = [group.seed for group in config.groups]
    if len(set(seeds)) != len(seeds):
        raise InputError(
            f"groups: every group needs its own seed, or two would share trajectories; got {seeds}"
        )
