"""Files with measured spectra: JCAMP-DX, or CSV with two columns."""

import csv
from pathlib import Path

import numpy as np

from densnet.errors import InputError
from densnet.spectra.jcamp import load_jcamp
from densnet.spectra.measured import MeasuredSpectrum, to_absorbance


def load_measured(path: Path) -> MeasuredSpectrum:
    """Read a measured spectrum: JCAMP-DX, or a CSV of wavenumber and absorbance.

    Parameters
    ----------
    path : Path
        ``.jdx``, ``.dx`` or ``.jcamp``; anything else is read as CSV, two columns, with or without
        a header line; a header with ``transmittance`` in it makes the second column that.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist")
    if path.suffix.lower() in (".jdx", ".dx", ".jcamp"):
        return load_jcamp(path)
    return _load_csv(path)


def _load_csv(path: Path) -> MeasuredSpectrum:
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        lines = [line for line in file if line.strip() and not line.startswith("#")]
    rows = list(csv.reader(lines, skipinitialspace=True))
    units = "absorbance"
    if rows and not _is_number(rows[0][0]):
        units = "transmittance" if "transmittance" in ",".join(rows[0]).lower() else units
        rows = rows[1:]
    try:
        table = np.array([[float(cell) for cell in row[:2]] for row in rows])
    except ValueError as error:
        raise InputError(
            f"{path}: expected two columns, wavenumber and absorbance: {error}"
        ) from None
    if table.ndim != 2 or table.shape[1] != 2 or len(table) < 20:
        raise InputError(
            f"{path}: expected at least 20 rows of wavenumber and absorbance; "
            "for a table of band positions use --bands"
        )
    x, y = table[np.argsort(table[:, 0], kind="stable")].T
    return MeasuredSpectrum(path.stem, x, to_absorbance(y, units, str(path)), None, units)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
