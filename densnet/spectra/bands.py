"""Tables of measured band positions: the shipped ones and a user's own CSV."""

import csv
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np

from densnet.errors import InputError


@dataclass(frozen=True)
class MeasuredBand:
    """One measured maximum, or one tabulated fundamental.

    Parameters
    ----------
    wavenumber_cm1 : float
    intensity_relative : float or None
        Height relative to the strongest band of the same source; None for fundamentals.
    uncertainty_cm1 : float
    kind : str
        ``band`` (a maximum of a spectrum) or ``fundamental`` (a critically evaluated value).
    band : str
        Group that the maximum belongs to, e.g. ``C–O stretch``; empty for fundamentals.
    branch : str
        ``P``, ``Q``, ``R`` or empty.
    assignment, source : str
    """

    wavenumber_cm1: float
    intensity_relative: float | None
    uncertainty_cm1: float
    kind: str
    band: str
    branch: str
    assignment: str
    source: str


@dataclass(frozen=True)
class BandGroup:
    """A band as a low-resolution instrument sees it: its maxima, from one source, together.

    Parameters
    ----------
    name : str
    centre_cm1 : float
        Middle between the lowest and the highest maximum, weighted by their heights.
    low_cm1, high_cm1 : float
        Outermost maxima over all sources.
    height : float
        Largest relative height.
    maximum_cm1 : float
        Position of the highest maximum.
    uncertainty_cm1 : float
    source : str
        Where centre and height come from.
    """

    name: str
    centre_cm1: float
    low_cm1: float
    high_cm1: float
    height: float
    maximum_cm1: float
    uncertainty_cm1: float
    source: str


@dataclass(frozen=True)
class BandTable:
    """Measured bands of a molecule.

    Parameters
    ----------
    molecule : str
    rows : tuple of MeasuredBand
    """

    molecule: str
    rows: tuple[MeasuredBand, ...]

    @property
    def sources(self) -> list[str]:
        """Sources of band maxima, in the order of the table."""
        return list(dict.fromkeys(row.source for row in self.rows if row.kind == "band"))

    def maxima(self, source: str | None = None) -> list[MeasuredBand]:
        """Band maxima of one source (the first of the table by default), ascending."""
        chosen = self.sources[0] if source is None else source
        rows = [row for row in self.rows if row.kind == "band" and row.source == chosen]
        return sorted(rows, key=lambda row: row.wavenumber_cm1)

    def groups(self) -> list[BandGroup]:
        """Band groups, ascending; each from the first source that has it."""
        named = [row for row in self.rows if row.kind == "band" and row.band]
        groups = []
        for name in dict.fromkeys(row.band for row in named):
            every = [row for row in named if row.band == name]
            rows = [row for row in every if row.source == every[0].source]
            heights = np.array([row.intensity_relative or 0.0 for row in rows])
            positions = np.array([row.wavenumber_cm1 for row in rows])
            weights = heights if heights.sum() > 0 else np.ones(len(rows))
            groups.append(
                BandGroup(
                    name=name,
                    centre_cm1=float(weights @ positions / weights.sum()),
                    low_cm1=min(row.wavenumber_cm1 for row in every),
                    high_cm1=max(row.wavenumber_cm1 for row in every),
                    height=float(heights.max()),
                    maximum_cm1=float(positions[weights.argmax()]),
                    uncertainty_cm1=max(row.uncertainty_cm1 for row in rows),
                    source=rows[0].source,
                )
            )
        return sorted(groups, key=lambda group: group.centre_cm1)


def shipped_tables() -> list[str]:
    """Names of the molecules whose measured bands are in the package."""
    folder = files("densnet.spectra") / "experiment"
    return sorted(entry.name[:-4] for entry in folder.iterdir() if entry.name.endswith(".csv"))


def load_bands(name_or_path: str | Path) -> BandTable:
    """Read a band table by the name of a shipped molecule or from a CSV file.

    Parameters
    ----------
    name_or_path : str or Path
        A CSV needs the column ``wavenumber_cm1``; ``intensity_relative`` (or ``intensity_rel``),
        ``assignment``, ``band``, ``branch``, ``kind``, ``uncertainty_cm1`` and ``source`` are
        optional. Lines that begin with ``#`` are comments.

    Raises
    ------
    InputError
        If there is no such table, a column is missing or a number cannot be read.
    """
    path = Path(name_or_path)
    if path.is_file():
        text, molecule = path.read_text(encoding="utf-8"), path.stem
    elif str(name_or_path) in shipped_tables():
        molecule = str(name_or_path)
        entry = files("densnet.spectra") / "experiment" / f"{molecule}.csv"
        text = entry.read_text(encoding="utf-8")
    else:
        raise InputError(
            f"no band table {str(name_or_path)!r}: neither a file nor one of "
            f"{', '.join(shipped_tables())}"
        )
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    reader = csv.DictReader(lines)
    if "wavenumber_cm1" not in (reader.fieldnames or []):
        raise InputError(f"{name_or_path}: no column 'wavenumber_cm1' in the header")
    rows = tuple(_row(str(name_or_path), number, row) for number, row in enumerate(reader, 1))
    if not rows:
        raise InputError(f"{name_or_path}: the table is empty")
    return BandTable(molecule, rows)


def _row(table: str, number: int, row: dict[str, str | None]) -> MeasuredBand:
    try:
        wavenumber = float(row["wavenumber_cm1"] or "")
        height = row.get("intensity_relative") or row.get("intensity_rel")
        return MeasuredBand(
            wavenumber_cm1=wavenumber,
            intensity_relative=float(height) if height else None,
            uncertainty_cm1=float(row.get("uncertainty_cm1") or 4.0),
            kind=row.get("kind") or "band",
            band=row.get("band") or row.get("assignment") or "",
            branch=row.get("branch") or "",
            assignment=row.get("assignment") or "",
            source=row.get("source") or table,
        )
    except ValueError as error:
        raise InputError(f"{table}, band {number}: {error}") from None
