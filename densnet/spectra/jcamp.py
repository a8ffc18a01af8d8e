"""Reader of JCAMP-DX files with infrared spectra, as databases hand them out.

Understood are ``XYDATA=(X++(Y..Y))`` of plain numbers (AFFN, also packed with signs) and of the
compressed forms (SQZ, DIF, DUP), and ``XYPOINTS=(XY..XY)``. Transmittance becomes absorbance,
micrometres become cm⁻¹.

References
----------
McDonald and Wilks 1988, https://doi.org/10.1366/0003702884428734.
"""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from densnet.errors import DataError, InputError
from densnet.spectra.jcamp_compressed import is_compressed, read_compressed
from densnet.spectra.measured import MeasuredSpectrum, to_absorbance

Array = NDArray[np.float64]

LABEL = re.compile(r"^##(?P<label>[^=]*)=(?P<value>.*)$")
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")


def load_jcamp(path: Path) -> MeasuredSpectrum:
    """Read the first spectrum of a JCAMP-DX file.

    Parameters
    ----------
    path : Path

    Returns
    -------
    MeasuredSpectrum

    Raises
    ------
    DataError
        If there is no table, it is damaged, or it contradicts its own header.
    InputError
        If the units are not those of an absorption spectrum.
    """
    header, form, lines = _split(path)
    x_factor, y_factor = (_number(header, key, 1.0) for key in ("XFACTOR", "YFACTOR"))
    if form.startswith("(X++"):
        x, y = _read_steps(path, header, lines, x_factor)
    elif form.startswith("(XY"):
        pairs = np.array([float(w) for line in lines for w in NUMBER.findall(line)])
        if pairs.size % 2:
            raise DataError(f"{path}: an odd number of values in XYPOINTS; the file is cut short?")
        x, y = pairs[0::2] * x_factor, pairs[1::2]
        _check_count(path, header, len(x))
    else:
        raise DataError(f"{path}: the table has the form {form!r}, not (X++(Y..Y)) or (XY..XY)")
    y = y * y_factor
    x = _to_wavenumbers(path, x, header.get("XUNITS", "1/CM"))
    units = header.get("YUNITS", "ABSORBANCE")
    order = np.argsort(x, kind="stable")
    resolution = NUMBER.search(header.get("RESOLUTION", ""))
    return MeasuredSpectrum(
        title=header.get("TITLE", path.stem) or path.stem,
        wavenumber_cm1=x[order],
        absorbance=to_absorbance(y, units, str(path))[order],
        resolution_cm1=float(resolution[0]) if resolution else None,
        y_units=units,
    )


def _split(path: Path) -> tuple[dict[str, str], str, list[str]]:
    """Header of the first block with a table, the form of the table, and its lines."""
    header: dict[str, str] = {}
    form, lines = "", []
    in_table = False
    text = path.read_text(encoding="utf-8", errors="replace")
    for raw in text.splitlines():
        line = raw.split("$$")[0].strip()
        found = LABEL.match(line)
        if found:
            if in_table:
                break
            label = re.sub(r"[\s_/-]", "", found["label"]).upper()
            if label in ("XYDATA", "XYPOINTS", "PEAKTABLE"):
                form, in_table = re.sub(r"\s", "", found["value"]).upper(), True
            else:
                header[label] = found["value"].strip()
        elif in_table and line:
            lines.append(line)
    if not lines:
        raise DataError(f"{path}: no XYDATA or XYPOINTS; is this a JCAMP-DX spectrum?")
    return header, form, lines


def _read_steps(
    path: Path, header: dict[str, str], lines: list[str], x_factor: float
) -> tuple[Array, Array]:
    """Read (X++(Y..Y)): every line begins with its abscissa, which checks the count before it."""
    values: list[float] = []
    starts: list[tuple[int, float]] = []
    if is_compressed(lines):
        values, starts = read_compressed(lines, str(path))
    else:
        for line in lines:
            first, *rest = (float(word) for word in NUMBER.findall(line))
            starts.append((len(values), first))
            values.extend(rest)
    n = len(values)
    _check_count(path, header, n)
    first_x = _number(header, "FIRSTX", starts[0][1] * x_factor)
    if "LASTX" in header and n > 1:
        step = (_number(header, "LASTX", 0.0) - first_x) / (n - 1)
    else:
        step = _number(header, "DELTAX", 0.0)
    if step == 0.0:
        raise DataError(f"{path}: neither LASTX nor DELTAX tell the spacing of the points")
    for index, abscissa in starts:
        x = abscissa * x_factor
        if abs(x - (first_x + index * step)) > max(1.5 * abs(step), 1e-6 * abs(x)):
            raise DataError(
                f"{path}: a line starts at {x:g}, expected {first_x + index * step:g}: "
                "points are missing or doubled"
            )
    return np.linspace(first_x, first_x + step * (n - 1), n), np.array(values)


def _check_count(path: Path, header: dict[str, str], n_points: int) -> None:
    expected = header.get("NPOINTS")
    if expected and n_points != int(float(expected)):
        raise DataError(f"{path}: {n_points} points, but NPOINTS says {expected}; cut short?")


def _to_wavenumbers(path: Path, x: Array, units: str) -> Array:
    name = units.strip().upper().replace(" ", "")
    if name in ("1/CM", "CM-1", "CM^-1", "WAVENUMBERS", "WAVENUMBER"):
        return x
    if name in ("MICROMETERS", "MICROMETRES", "UM", "MICRONS"):
        return 1e4 / x
    raise InputError(f"{path}: abscissa in {units!r}; 1/CM or MICROMETERS are needed")


def _number(header: dict[str, str], key: str, default: float) -> float:
    found = NUMBER.search(header.get(key, ""))
    return float(found[0]) if found else default
