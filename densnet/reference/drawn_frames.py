"""Frames drawn from trajectories of i-PI, e.g. the beads of a path-integral run with a model.

Dynamics with a potential that is not the reference visits what that potential believes in; its
frames, once labelled, correct it there. Beads reach bonds that classical dynamics does not.
"""

from collections.abc import Mapping
from dataclasses import replace
from glob import glob
from pathlib import Path

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from densnet.errors import DataError, InputError
from densnet.reference.path_integrals import spread_from_centroid
from densnet.reference.sampling import Sample
from densnet.reference.sampling_plan import Group
from densnet.spectra.explicit_files import group_beads
from densnet.spectra.ipi_xyz import load_xyz
from densnet.spectra.series import Rows


def draw_group(group: Group, numbers: NDArray[np.int64]) -> Sample:
    """Draw the frames of a group at random, without repetition, from all frames of its files.

    Parameters
    ----------
    group : Group
        With ``trajectories``; its seed decides the frames.
    numbers : (n_atoms,) int64
        Atomic numbers that the files must hold, in this order.

    Returns
    -------
    Sample
        Centred on the mean position. The number of a trajectory is that of its file in
        alphabetical order; the times are unknown (NaN).

    Raises
    ------
    InputError
        If no file matches, the atoms differ, there are fewer frames than asked for, or beads are
        to be spread and a replica has one.
    DataError
        If a file is no trajectory of i-PI, or beads to be spread have different steps.
    """
    where = f"group {group.tag}: trajectories {group.trajectories}"
    files = [Path(name) for name in sorted(glob(str(group.trajectories)))]
    if not files:
        raise InputError(f"{where}: no such file")
    expected = tuple(chemical_symbols[number] for number in numbers)
    beads = [load_xyz(file, "positions") for file in files]
    for file, bead in zip(files, beads, strict=True):
        if bead.symbols != expected:
            raise InputError(
                f"{where}: {file} has atoms {' '.join(bead.symbols)}, the geometry has "
                f"{' '.join(expected)}: the order must agree too"
            )
    rows = {file: bead.rows for file, bead in zip(files, beads, strict=True)}
    if group.spread != 1.0:
        rows = spread_beads(rows, group.spread, where)
    frames = np.concatenate([rows[file].values for file in files])
    trajectory = np.repeat(np.arange(len(files)), [len(rows[file].values) for file in files])
    if len(frames) < group.n_frames:
        raise InputError(
            f"{where}: {len(files)} files hold {len(frames)} frames, n_frames is {group.n_frames}"
        )
    rng = np.random.default_rng(group.seed)
    chosen = np.sort(rng.choice(len(frames), group.n_frames, replace=False))
    centred = frames[chosen] - frames[chosen].mean(axis=1, keepdims=True)
    return Sample(
        group,
        centred,
        trajectory[chosen],
        np.full(len(chosen), np.nan),
        np.zeros((len(chosen), 0)),
        source="i-PI trajectories" if group.spread == 1.0 else f"i-PI, spread {group.spread:g}",
    )


def spread_beads(rows: Mapping[Path, Rows], factor: float, where: str) -> dict[Path, Rows]:
    """Multiply the distances of the beads of every replica from their centroid.

    Raises
    ------
    InputError
        If a replica has a single file.
    DataError
        If the files of a replica hold different steps.
    """
    spread: dict[Path, Rows] = {}
    for replica in group_beads(list(rows)):
        if len(replica) < 2:
            raise InputError(
                f"{where}: {replica[0]} has no other beads; spread needs all beads of a replica"
            )
        if any(not np.array_equal(rows[b].steps, rows[replica[0]].steps) for b in replica):
            raise DataError(f"{where}: the beads of {replica[0]} have different steps")
        ring = np.stack([rows[bead].values for bead in replica], axis=1)
        pushed = spread_from_centroid(ring, factor)
        for k, bead in enumerate(replica):
            spread[bead] = replace(rows[bead], values=pushed[:, k])
    return spread
