"""A measured infrared spectrum, and its ordinate as absorbance."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from densnet.errors import InputError

Array = NDArray[np.float64]

# Transmittance below this is the detector's noise, not a measurement of how dark it is.
DARKEST_TRANSMITTANCE = 1e-3


@dataclass(frozen=True, eq=False)
class MeasuredSpectrum:
    """A measured infrared spectrum.

    Parameters
    ----------
    title : str
    wavenumber_cm1 : (n,) float64
        Ascending.
    absorbance : (n,) float64
        Decadic absorbance or proportional to it.
    resolution_cm1 : float or None
        Of the instrument, where the file says it.
    y_units : str
        As measured, before conversion.
    """

    title: str
    wavenumber_cm1: Array
    absorbance: Array
    resolution_cm1: float | None
    y_units: str


def to_absorbance(values: Array, units: str, where: str) -> Array:
    """Turn an ordinate into decadic absorbance or something proportional to it.

    Transmittance (or per cent of it) goes by −log₁₀; below 10⁻³ it is cut, as noise. Absorbance
    and absorption coefficients stay.
    """
    name = units.strip().upper()
    if "TRANSMITTANCE" in name or name in ("T", "%T"):
        percent = "%" in name or "PERCENT" in name or float(np.median(values)) > 2.0
        return -np.log10(np.clip(values / (100.0 if percent else 1.0), DARKEST_TRANSMITTANCE, None))
    if "ABSORB" in name or "(MICROMOL/MOL)" in name or "ABSORPTION" in name or "EPSILON" in name:
        return values
    raise InputError(
        f"{where}: ordinate in {units!r}; an absorbance, an absorption coefficient or a "
        "transmittance is needed"
    )
