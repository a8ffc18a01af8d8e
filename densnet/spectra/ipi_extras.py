"""Reader of i-PI's extras files: dipoles and polarizabilities along a trajectory.

A frame is a line `` #EXTRAS(dipole)# Step:  n`` (``#EXTRAS_COMPONENT_RAW(dipole)# … Bead: b`` for
single components) and then its numbers, on one row or several.
"""

import logging
import re
from pathlib import Path

import numpy as np

from densnet.errors import DataError
from densnet.spectra.series import Rows

logger = logging.getLogger(__name__)

HEADER = re.compile(r"#EXTRAS\w*\((?P<key>[^)#]*)\)#\s*Step:\s*(?P<step>-?\d+)")

# Positions of xx, xy, xz, yx, … in a polarizability written as xx, yy, zz, xy, xz, yz.
FULL_FROM_SIX = [0, 3, 4, 3, 1, 5, 4, 5, 2]


def load_extras(path: Path, key: str, shape: tuple[int, ...]) -> Rows:
    """Read one extras file.

    Parameters
    ----------
    path : Path
    key : str
        Name of the extra that must be in the file, e.g. ``dipole``.
    shape : tuple of int
        Shape of one frame, ``(3,)`` for a dipole, ``(3, 3)`` for a polarizability.

    Returns
    -------
    Rows
        Every complete frame in the order of the file, in the units it was written in (atomic
        units for DenSNet's driver). Frames cut short by a kill, at the end of the file or where
        the restarted run began to append, are dropped.

    Raises
    ------
    DataError
        If the file is not an extras file, holds another key, or a frame that cannot have been
        cut has a wrong number of values.
    """
    size = int(np.prod(shape))
    frames = _read_frames(path, key)
    following = [*(step for step, _, _ in frames[1:]), None][: len(frames)]
    kept = []
    for (step, words, ended), next_step in zip(frames, following, strict=True):
        # A restarted run goes back to its checkpoint: the step after a cut frame is not a new one.
        cut_short = not ended or not words or next_step is None or next_step <= step
        if len(words) == size and ended:
            kept.append((step, _to_numbers(path, step, words)))
        elif len(words) > size or not cut_short:
            raise DataError(
                f"{path}, step {step}: {len(words)} values in a frame of {key!r}, expected {size}"
            )
        else:
            logger.info("%s: the frame of step %d was cut short, dropped", path, step)
    if not kept:
        raise DataError(f"{path}: no complete frame of {key!r}; has the run written any?")
    steps, values = zip(*kept, strict=True)
    array = np.array(values, dtype=np.float64).reshape(len(values), *shape)
    return Rows(np.array(steps, dtype=np.int64), array, str(path))


def load_polarizability(path: Path, key: str = "polarizability") -> Rows:
    """Read polarizabilities, bohr³: nine numbers a frame, or six (xx, yy, zz, xy, xz, yz).

    Returns
    -------
    Rows
        Values (n, 3, 3), symmetric.
    """
    frames = _read_frames(path, key)
    if frames and len(frames[0][1]) == 6:
        rows = load_extras(path, key, (6,))
        return Rows(rows.steps, rows.values[:, FULL_FROM_SIX].reshape(-1, 3, 3), rows.source)
    rows = load_extras(path, key, (3, 3))
    return Rows(rows.steps, 0.5 * (rows.values + rows.values.transpose(0, 2, 1)), rows.source)


def _read_frames(path: Path, key: str) -> list[tuple[int, list[str], bool]]:
    """Split a file into frames: step, words, and whether the last row was ended.

    A killed run leaves half a line, and the restarted run appends its next header to it: what
    stands before the last header of a line belongs to a frame, or to a header, that was cut.
    """
    frames: list[tuple[int, list[str], bool]] = []
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            headers = list(HEADER.finditer(line)) if line.endswith("\n") else []
            row = line[: headers[-1].start()] if headers else line
            whole = line.endswith("\n") and not headers
            words = row.split() if whole else row.split("#")[0].split()
            if words and not frames:
                raise DataError(
                    f"{path}, line {number}: expected '#EXTRAS({key})# Step: n'; "
                    "is this an i-PI extras file?"
                )
            if words:
                step, before, _ = frames[-1]
                frames[-1] = (step, before + words, whole)
            if headers:
                if headers[-1]["key"] != key:
                    raise DataError(
                        f"{path}, line {number}: holds the extra {headers[-1]['key']!r}, not "
                        f"{key!r}; name the file that i-PI wrote for extra_type='{key}'"
                    )
                frames.append((int(headers[-1]["step"]), [], True))
    return frames


def _to_numbers(path: Path, step: int, words: list[str]) -> list[float]:
    try:
        return [float(word) for word in words]
    except ValueError:
        raise DataError(f"{path}, step {step}: not a row of numbers: {' '.join(words)}") from None
