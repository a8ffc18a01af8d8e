"""Rows of a trajectory file put in order: repeated steps, gaps, spacing."""

import logging
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from densnet.errors import DataError, NonFiniteError

logger = logging.getLogger(__name__)

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Rows:
    """What a trajectory file holds, as it was written.

    Parameters
    ----------
    steps : (n_rows,) int64
        Step numbers, in the order of the file.
    values : (n_rows, ...) float64
        Atomic units.
    source : str
        The file, for messages.
    """

    steps: NDArray[np.int64]
    values: Array
    source: str


@dataclass(frozen=True, eq=False)
class Series:
    """One unbroken, equally spaced stretch of a trajectory.

    Parameters
    ----------
    steps : (n,) int64
        Step numbers, ``stride`` apart.
    values : (n, ...) float64
        Atomic units.
    stride : int
        Steps between rows.
    source : str
    """

    steps: NDArray[np.int64]
    values: Array
    stride: int
    source: str

    def __len__(self) -> int:
        return len(self.steps)


def keep_last_of_each_step(rows: Rows) -> Rows:
    """Sort by step; of a step written twice keep the row written last.

    A restarted run repeats the rows between its checkpoint and the crash. With the same seed they
    are the same; the later ones are those that the run continued from.

    Raises
    ------
    NonFiniteError
        If a row kept holds a NaN or an infinity.
    """
    newest_first = rows.steps[::-1]
    steps, position = np.unique(newest_first, return_index=True)
    kept = len(newest_first) - 1 - position
    repeated = len(rows.steps) - len(steps)
    if repeated:
        logger.info("%s: %d repeated rows, the last of each step kept", rows.source, repeated)
    values = rows.values[kept]
    finite = np.isfinite(values.reshape(len(values), -1)).all(axis=1)
    if not finite.all():
        bad = int(steps[~finite][0])
        raise NonFiniteError(
            f"{rows.source}: step {bad} holds a value that is not a finite number; the simulation "
            "broke there. Use the trajectory before that step, or restart from a checkpoint before"
        )
    return Rows(steps, values, rows.source)


def split_at_gaps(rows: Rows) -> list[Series]:
    """Cut ordered rows into unbroken stretches of constant stride.

    Parameters
    ----------
    rows : Rows
        From :func:`keep_last_of_each_step`.

    Returns
    -------
    list of Series
        Longest possible stretches, in order. A stretch of a single row is dropped.

    Raises
    ------
    DataError
        If there are fewer than two rows.
    """
    if len(rows.steps) < 2:
        raise DataError(
            f"{rows.source}: {len(rows.steps)} row(s), no trajectory; did the run start?"
        )
    spacing = np.diff(rows.steps)
    values, counts = np.unique(spacing, return_counts=True)
    stride = int(values[counts.argmax()])
    edges = np.concatenate([[0], np.flatnonzero(spacing != stride) + 1, [len(rows.steps)]])
    stretches = []
    for begin, end in pairwise(edges):
        if end - begin > 1:
            part = slice(begin, end)
            stretches.append(Series(rows.steps[part], rows.values[part], stride, rows.source))
    for index in np.flatnonzero(spacing != stride):
        logger.warning(
            "%s: gap between steps %d and %d (stride %d); split there",
            rows.source, rows.steps[index], rows.steps[index + 1], stride,
        )  # fmt: skip
    return stretches


def concatenate(parts: list[Rows]) -> Rows:
    """The rows of several files of one trajectory, written one after the other."""
    first = parts[0]
    for part in parts[1:]:
        if part.values.shape[1:] != first.values.shape[1:]:
            raise DataError(
                f"{part.source} has rows of shape {part.values.shape[1:]}, "
                f"{first.source} of shape {first.values.shape[1:]}: not one trajectory"
            )
    return Rows(
        np.concatenate([part.steps for part in parts]),
        np.concatenate([part.values for part in parts]),
        first.source if len(parts) == 1 else f"{first.source} and {len(parts) - 1} more",
    )


def average_beads(beads: list[Rows]) -> Rows:
    """Centroid average of a quantity over path-integral beads, on the steps that all beads have.

    The Kubo-transformed correlation function of an operator that is a function of position is the
    classical correlation function of its bead average (Craig and Manolopoulos 2004,
    https://doi.org/10.1063/1.1777575).

    Parameters
    ----------
    beads : list of Rows
        One for each bead, each from :func:`keep_last_of_each_step`.
    """
    if len(beads) == 1:
        return beads[0]
    common = beads[0].steps
    for bead in beads[1:]:
        common = np.intersect1d(common, bead.steps, assume_unique=True)
    missing = max(len(bead.steps) for bead in beads) - len(common)
    if missing:
        logger.info("%s: %d steps lack a bead, dropped", beads[0].source, missing)
    total = np.zeros((len(common), *beads[0].values.shape[1:]))
    for bead in beads:
        total += bead.values[np.searchsorted(bead.steps, common)]
    return Rows(common, total / len(beads), f"{beads[0].source} ({len(beads)} beads)")
