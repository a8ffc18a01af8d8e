"""Reader of i-PI's xyz trajectories: positions, velocities and forces, one file a bead."""

import logging
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np

from densnet.errors import DataError, InputError
from densnet.spectra.series import Rows
from densnet.units import AU_TIME_S, BOHR_ANGSTROM, BOHR_M

logger = logging.getLogger(__name__)

STEP = re.compile(r"Step:\s*(-?\d+)")
# e.g. "positions{angstrom}" or "velocities{atomic_unit}"; the cell has a unit of its own.
QUANTITY = re.compile(r"(?<!\w)(?!cell\{)(?P<quantity>\w+)\{(?P<unit>[^}]*)\}")

# Quantity → what i-PI calls it, of the beads and of their centroid.
NAMES: Final[dict[str, tuple[str, ...]]] = {
    "positions": ("positions", "x_centroid"),
    "velocities": ("velocities", "v_centroid"),
    "forces": ("forces", "f_centroid"),
}
# Quantity → unit in the comment line → factor to atomic units.
UNITS: Final[dict[str, dict[str, float]]] = {
    "positions": {"atomic_unit": 1.0, "angstrom": 1.0 / BOHR_ANGSTROM},
    "velocities": {"atomic_unit": 1.0, "m/s": AU_TIME_S / BOHR_M},
    "forces": {"atomic_unit": 1.0},
}


@dataclass(frozen=True, eq=False)
class AtomRows:
    """Vectors on atoms along a trajectory.

    Parameters
    ----------
    symbols : tuple of str
        Element of each atom.
    rows : Rows
        Values (n, n_atoms, 3), atomic units.
    """

    symbols: tuple[str, ...]
    rows: Rows


def load_xyz(path: Path, quantity: str) -> AtomRows:
    """Read an xyz trajectory that i-PI wrote.

    Parameters
    ----------
    path : Path
    quantity : str
        ``positions``, ``velocities`` or ``forces``: must be the one named in the comment lines, as
        in ``positions{angstrom}`` or ``x_centroid{angstrom}``, whose unit is honoured (atomic units
        where none is named).

    Returns
    -------
    AtomRows
        All complete frames in the order of the file. Frames cut short by a kill, at the end or
        where the restarted run began to append, are dropped.

    Raises
    ------
    DataError
        If the file is no i-PI trajectory, holds another quantity, or its atoms change.
    InputError
        If the unit is unknown.
    """
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]
    comments = [at for at, line in enumerate(lines) if line.startswith("#")]
    if not comments or not lines[0].strip().isdecimal():
        raise DataError(f"{path}: not an xyz trajectory of i-PI (a number, a '#' comment, atoms)")
    n_atoms = int(lines[0])
    factor = _unit_factor(path, lines[comments[0]], quantity)
    symbols: tuple[str, ...] = ()
    steps: list[int] = []
    frames: list[list[list[str]]] = []
    for at, following in pairwise([*comments, max(len(lines) + 1, comments[-1] + 1)]):
        step = STEP.search(lines[at])
        if step is None:
            raise DataError(f"{path}, line {at + 1}: no 'Step: n' in the comment; not from i-PI?")
        words = [line.split() for line in lines[at + 1 : at + 1 + n_atoms]]
        # The count line of the next frame comes between; a shorter distance is a cut frame.
        if following - at != n_atoms + 2 or any(len(word) != 4 for word in words):
            logger.info("%s: the frame of step %s was cut short, dropped", path, step[1])
            continue
        names = tuple(word[0] for word in words)
        symbols = symbols or names
        if names != symbols:
            raise DataError(f"{path}, step {step[1]}: atoms differ from those of the first frame")
        steps.append(int(step[1]))
        frames.append([word[1:] for word in words])
    if not steps:
        raise DataError(f"{path}: no complete frame; has the run written any?")
    try:
        values = np.array(frames, dtype=np.float64) * factor
    except ValueError as error:
        raise DataError(f"{path}: not a number among the {quantity}: {error}") from None
    return AtomRows(symbols, Rows(np.array(steps, dtype=np.int64), values, str(path)))


def _unit_factor(path: Path, comment: str, quantity: str) -> float:
    """Find the factor to atomic units in a comment line ``… positions{angstrom} cell{…}``."""
    found = QUANTITY.search(comment)
    if found is None:
        return 1.0
    if found["quantity"] not in NAMES[quantity]:
        raise DataError(f"{path} holds {found['quantity']}, not {quantity}")
    unit = found["unit"] or "atomic_unit"
    try:
        return UNITS[quantity][unit]
    except KeyError:
        raise InputError(
            f"{path}: {quantity} in {unit!r} are not understood; write them in one of "
            f"{', '.join(UNITS[quantity])}"
        ) from None
