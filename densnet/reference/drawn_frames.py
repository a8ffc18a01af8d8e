"""Frames drawn from trajectories of i-PI, e.g. the beads of a path-integral run with a model.

Dynamics with a potential that is not the reference visits what that potential believes in; its
frames, once labelled, correct it there. Beads reach bonds that classical dynamics does not.
"""

from glob import glob
from pathlib import Path

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from densnet.errors import InputError
from densnet.reference.sampling import Group, Sample
from densnet.spectra.ipi_xyz import load_xyz


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
        If no file matches, the atoms differ, or there are fewer frames than asked for.
    DataError
        If a file is no trajectory of i-PI.
    """
    where = f"group {group.tag}: trajectories {group.trajectories}"
    files = sorted(glob(str(group.trajectories)))
    if not files:
        raise InputError(f"{where}: no such file")
    expected = tuple(chemical_symbols[number] for number in numbers)
    positions, of_file = [], []
    for number, file in enumerate(files):
        atoms = load_xyz(Path(file), "positions")
        if atoms.symbols != expected:
            raise InputError(
                f"{where}: {file} has atoms {' '.join(atoms.symbols)}, the geometry has "
                f"{' '.join(expected)}: the order must agree too"
            )
        positions.append(atoms.rows.values)
        of_file.append(np.full(len(atoms.rows.values), number))
    frames, trajectory = np.concatenate(positions), np.concatenate(of_file)
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
        trajectory[chosen].astype(np.int64),
        np.full(len(chosen), np.nan),
        np.zeros((len(chosen), 0)),
        source="i-PI trajectories",
    )
