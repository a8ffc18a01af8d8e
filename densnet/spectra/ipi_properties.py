"""Reader of i-PI's property files (columns of numbers with their names in the header)."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from densnet.errors import DataError, InputError

COLUMN = re.compile(
    r"^#\s*(?:column\s+(?P<one>\d+)|cols\.\s+(?P<first>\d+)-(?P<last>\d+))\s*-->\s*"
    r"(?P<name>[^\s{]+)(?:\{(?P<unit>[^}]*)\})?"
)


@dataclass(frozen=True, eq=False)
class Properties:
    """Columns of a property file.

    Parameters
    ----------
    values : dict of name → (n,) or (n, size) float64
        In the unit that the header names.
    units : dict of name → str
        Unit as written; empty for atomic units or pure numbers.
    source : str
    """

    values: dict[str, NDArray[np.float64]]
    units: dict[str, str]
    source: str

    def column(self, name: str, unit: str) -> NDArray[np.float64]:
        """A column that must be there and in the unit expected."""
        if name not in self.values:
            raise InputError(
                f"{self.source}: no column {name!r}; there are {', '.join(self.values)}"
            )
        if self.units[name] != unit:
            raise InputError(
                f"{self.source}: {name} is in {self.units[name] or 'atomic units'}, not {unit}"
            )
        return self.values[name]


def load_properties(path: Path) -> Properties:
    """Read a property file; of a step written twice the last row is kept, a cut last row dropped.

    Raises
    ------
    DataError
        If there is no i-PI header or no complete row.
    """
    text = path.read_text(encoding="utf-8", errors="replace")
    layout: dict[str, slice] = {}
    units: dict[str, str] = {}
    width = 0
    rows: list[list[float]] = []
    lines = text.split("\n")
    for line in lines[:-1]:
        if line.startswith("#"):
            found = COLUMN.match(line)
            if found:
                first = int(found["one"] or found["first"])
                last = int(found["one"] or found["last"])
                layout[found["name"]] = slice(first - 1, last)
                units[found["name"]] = found["unit"] or ""
                width = max(width, last)
        elif line.strip():
            words = line.split()
            if len(words) == width:
                rows.append([float(word) for word in words])
    if not layout:
        raise DataError(f"{path}: no header '# column 1 --> step'; is this an i-PI property file?")
    if not rows:
        raise DataError(f"{path}: no complete row")
    table = np.array(rows)
    if "step" in layout:
        step = table[:, layout["step"].start]
        _, from_end = np.unique(step[::-1], return_index=True)
        table = table[len(step) - 1 - from_end]
    values = {
        name: table[:, part.start] if part.stop - part.start == 1 else table[:, part]
        for name, part in layout.items()
    }
    return Properties(values, units, str(path))
