"""Files that a spectrum is written to: CSV with its provenance, and i-PI's ``*_facf.data``."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from densnet.errors import InputError
from densnet.spectra.spectrum import Spectrum
from densnet.units import AU_WAVENUMBER_CM1

Array = NDArray[np.float64]

COLUMNS = "wavenumber_cm1,intensity,standard_error"


def save_csv(spectrum: Spectrum, path: Path, remarks: Sequence[str] = ()) -> Path:
    """Write a spectrum as CSV: wavenumber, intensity, standard error.

    Parameters
    ----------
    spectrum : Spectrum
    path : Path
    remarks : sequence of str
        Lines for the head of the file, each behind a ``#``.

    Returns
    -------
    Path
    """
    head = [
        f"# {spectrum.quantity}, {spectrum.unit}",
        f"# resolution {spectrum.resolution_cm1:g} cm-1 (full width at half maximum)",
        f"# error: {spectrum.error_method}",
        *(f"# {remark}" for remark in remarks),
        COLUMNS,
    ]
    error = np.full(len(spectrum.intensity), np.nan) if spectrum.error is None else spectrum.error
    table = zip(spectrum.wavenumber_cm1, spectrum.intensity, error, strict=True)
    rows = [f"{nu:.4f},{y:.8g},{'' if np.isnan(e) else f'{e:.4g}'}" for nu, y, e in table]
    _replace(path, "\n".join([*head, *rows]) + "\n")
    return path


def load_csv(path: Path) -> Spectrum:
    """Read a spectrum that :func:`save_csv` wrote; it comes without the segments behind it.

    Raises
    ------
    InputError
        If there is no such file, or it is none of ours.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist")
    lines = path.read_text(encoding="utf-8").splitlines()
    head = [line[2:] for line in lines if line[:1] == "#"]
    rows = [line for line in lines if line[:1] != "#"]
    width = re.match(r"resolution (\S+) cm-1", head[1]) if len(head) > 2 else None
    if not rows or rows[0] != COLUMNS or width is None:
        raise InputError(f"{path}: not a spectrum of 'densnet spectrum' (no header {COLUMNS!r})")
    quantity, _, unit = head[0].rpartition(", ")
    nu, intensity, error = np.array(
        [[float(x or "nan") for x in row.split(",")] for row in rows[1:]]
    ).T
    return Spectrum(
        nu,
        intensity,
        None if np.isnan(error).all() else error,
        samples=np.empty((0, len(nu))),
        weights=np.empty(0),
        quantity=quantity,
        unit=unit,
        resolution_cm1=float(width[1]),
        error_method=head[2].removeprefix("error: "),
    )


def save_facf(omega: Array, spectrum: Array, error: Array | None, path: Path) -> Path:
    """Write a power spectrum as ``i-pi-getacf`` does, for ``i-pi-gleacf``.

    Three columns in atomic units: ω, (1/2π)∫⟨x(0)·x(t)⟩e^{−iωt}dt, its standard error.

    Parameters
    ----------
    omega : (n,) float64, 1/atomic time
    spectrum : (n,) float64
        S(ω) of :func:`densnet.spectra.correlation.power_spectrum`; for the velocities of several
        atoms, divided by their number, as i-PI does.
    error : (n,) float64 or None
    path : Path
    """
    columns = [omega, spectrum / (2 * np.pi)]
    columns.append(np.zeros_like(omega) if error is None else error / (2 * np.pi))
    rows = [" ".join(f"{value: .18e}" for value in row) for row in np.transpose(columns)]
    _replace(path, "\n".join(rows) + "\n")
    return path


def facf_from_infrared(spectrum: Spectrum, factor: float) -> tuple[Array, Array, Array | None]:
    """Undo the absorption factor: ω, S_Ṁ(ω) and its error in atomic units, for ``save_facf``."""
    error = None if spectrum.error is None else spectrum.error / factor
    return spectrum.wavenumber_cm1 / AU_WAVENUMBER_CM1, spectrum.intensity / factor, error


def _replace(path: Path, text: str) -> None:
    """Write a text file so that a reader never meets half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.part")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
