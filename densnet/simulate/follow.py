"""Reads i-PI's table of properties while it grows."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from densnet.errors import DataError

# Enough for the last rows of a table with 17 digits a number.
TAIL_BYTES = 8192


def column_names(path: Path) -> list[str]:
    """Names of the columns, without their units, from the head of i-PI's table.

    Raises
    ------
    DataError
        If the head is not i-PI's.
    """
    names = []
    with open(path, encoding="utf-8") as table:
        for line in table:
            if not line.startswith("#"):
                break
            _, arrow, rest = line.partition("-->")
            if arrow:
                names.append(rest.split(":")[0].split("{")[0].strip())
    if not names:
        raise DataError(f"{path} has no column names: it is not a table of i-PI")
    return names


@dataclass(frozen=True)
class State:
    """The last row of a table and the first.

    Parameters
    ----------
    step : int
    temperature_kelvin : float
    conserved_change : float
        Of the conserved quantity since the first row, hartree.
    """

    step: int
    temperature_kelvin: float
    conserved_change: float


class Follower:
    """Follows one table cheaply: its head once, then only its tail.

    Parameters
    ----------
    path : Path
        May not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._names: list[str] = []
        self._first_conserved: float | None = None

    def state(self) -> State | None:
        """The state after the last whole row, or None before there is one."""
        try:
            if not self._names:
                self._read_head()
            row = self._last_row()
        except (OSError, DataError):
            return None
        if row is None or self._first_conserved is None:
            return None
        values = dict(zip(self._names, row, strict=True))
        return State(
            int(values["step"]),
            values["temperature"],
            values["conserved"] - self._first_conserved,
        )

    def _read_head(self) -> None:
        names = column_names(self._path)
        with open(self._path, encoding="utf-8") as table:
            for line in table:
                if not line.startswith("#") and line.endswith("\n"):
                    first = [float(word) for word in line.split()]
                    if len(first) == len(names):
                        self._first_conserved = first[names.index("conserved")]
                        self._names = names
                    return

    def _last_row(self) -> list[float] | None:
        with open(self._path, "rb") as table:
            table.seek(0, 2)
            table.seek(max(table.tell() - TAIL_BYTES, 0))
            lines = table.read().decode("utf-8", "replace").split("\n")
        for line in reversed(lines[:-1]):
            words = line.split()
            if len(words) == len(self._names) and not line.lstrip().startswith("#"):
                try:
                    return [float(word) for word in words]
                except ValueError:
                    return None
        return None


def read_properties(path: Path) -> dict[str, NDArray[np.float64]]:
    """Read a whole table; a row that was repeated by a restart is kept once, the later one.

    Parameters
    ----------
    path : Path

    Returns
    -------
    dict
        Column name to (n_rows,) float64 array, ordered by step.
    """
    names = column_names(path)
    rows: dict[int, list[float]] = {}
    with open(path, encoding="utf-8") as table:
        for line in table:
            words = line.split()
            if line.startswith("#") or len(words) != len(names) or not line.endswith("\n"):
                continue
            row = [float(word) for word in words]
            rows[int(row[names.index("step")])] = row
    if not rows:
        raise DataError(f"{path} has no rows yet")
    table_array = np.array([rows[step] for step in sorted(rows)])
    return dict(zip(names, table_array.T, strict=True))
