"""Frames drawn from trajectories of i-PI, e.g. the beads of a path-integral run with a model.

Dynamics with a potential that is not the reference visits what that potential believes in; its
frames, once labelled, correct it there. Beads reach bonds that classical dynamics does not.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from glob import glob
from pathlib import Path
from typing import Final

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from densnet.errors import DataError, InputError
from densnet.reference.sampling import Group, Sample
from densnet.spectra.ipi_xyz import load_xyz
from densnet.spectra.series import Rows

# run.pos_07.xyz: the number of the bead.
BEAD_NUMBER: Final = re.compile(r"_\d+(?=\.xyz$)")


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
    rows = [bead.rows for bead in beads]
    if group.spread != 1.0:
        rows = spread_beads(files, rows, group.spread, where)
    frames = np.concatenate([row.values for row in rows])
    trajectory = np.repeat(np.arange(len(rows)), [len(row.values) for row in rows])
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


def spread_beads(
    files: Sequence[Path], rows: Sequence[Rows], factor: float, where: str
) -> list[Rows]:
    """Multiply the distances of beads from their centroid; files of one replica differ in ``_07``.

    Raises
    ------
    InputError
        If a replica has a single file.
    DataError
        If the files of a replica hold different steps.
    """
    replicas: dict[str, list[int]] = {}
    for number, file in enumerate(files):
        replicas.setdefault(str(file.with_name(BEAD_NUMBER.sub("", file.name))), []).append(number)
    spread = list(rows)
    for name, members in replicas.items():
        if len(members) < 2:
            raise InputError(f"{where}: {name} has one file; spread needs all beads of a replica")
        steps = rows[members[0]].steps
        if any(not np.array_equal(rows[member].steps, steps) for member in members):
            raise DataError(f"{where}: the beads of {name} have different steps")
        centroid = np.mean([rows[member].values for member in members], axis=0)
        for member in members:
            values = centroid + factor * (rows[member].values - centroid)
            spread[member] = replace(rows[member], values=values)
    return spread
