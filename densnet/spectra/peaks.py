"""Calculated bands put beside measured ones, by assignment."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from densnet.spectra.bands import BandGroup
from densnet.spectra.spectrum import Spectrum, jackknife
from densnet.units import AU_FS, AU_WAVENUMBER_CM1

Array = NDArray[np.float64]

# A calculated band may lie this far outside the measured maxima and still be the same band:
# anharmonicity of an X–H stretch and the functional's error together.
REACH_CM1 = 120.0


@dataclass(frozen=True)
class BandComparison:
    """One band, measured and calculated; all wavenumbers in cm⁻¹.

    Parameters
    ----------
    band : str
    window_cm1 : (float, float)
        Where the calculated band was looked for.
    measured_maximum, measured_centre : float
        Highest maximum; height-weighted mean of the maxima (or of the measured curve).
    measured_uncertainty : float
    maximum, maximum_error : float or None
        Calculated highest point in the window, parabola through three grid points. None where it
        lies at the edge of the window: there a neighbour rises, and the band has no top of its own.
    centre, centre_error : float, float or None
        First moment of the calculated band in the window.
    area, area_error : float, float or None
        In the unit of the spectrum times cm⁻¹ (km/mol in the infrared).
    """

    band: str
    window_cm1: tuple[float, float]
    measured_maximum: float
    measured_centre: float
    measured_uncertainty: float
    maximum: float | None
    maximum_error: float | None
    centre: float
    centre_error: float | None
    area: float
    area_error: float | None

    @property
    def shift(self) -> float | None:
        """Calculated minus measured maximum."""
        return None if self.maximum is None else self.maximum - self.measured_maximum


def search_windows(groups: Sequence[BandGroup]) -> list[tuple[float, float]]:
    """Windows around measured bands, ``REACH_CM1`` wide or up to the middle between neighbours.

    Parameters
    ----------
    groups : sequence of BandGroup
        Ascending.
    """
    windows = []
    for index, group in enumerate(groups):
        low, high = group.low_cm1 - REACH_CM1, group.high_cm1 + REACH_CM1
        if index > 0:
            low = max(low, 0.5 * (groups[index - 1].high_cm1 + group.low_cm1))
        if index + 1 < len(groups):
            high = min(high, 0.5 * (group.high_cm1 + groups[index + 1].low_cm1))
        windows.append((low, high))
    return windows


def compare_bands(spectrum: Spectrum, groups: Sequence[BandGroup]) -> list[BandComparison]:
    """Find each measured band in a calculated spectrum.

    Parameters
    ----------
    spectrum : Spectrum
    groups : sequence of BandGroup
        Ascending, see :meth:`densnet.spectra.bands.BandTable.groups`.

    Returns
    -------
    list of BandComparison
        Bands outside the spectrum's range are left out. Errors by jackknife over the segments.
    """
    nu = spectrum.wavenumber_cm1
    rows = []
    for group, window in zip(groups, search_windows(groups), strict=True):
        inside = (nu >= window[0]) & (nu <= window[1])
        if inside.sum() < 3 or not nu[0] <= group.centre_cm1 <= nu[-1]:
            continue

        def describe(intensity: Array, inside: NDArray[np.bool_] = inside) -> Array:
            return np.array(
                [
                    maximum_position(nu[inside], intensity[inside]),
                    *centre_and_area(nu[inside], intensity[inside]),
                ]
            )

        value, error = jackknife(spectrum, describe)
        errors = [None] * 3 if error is None else [float(e) for e in error]
        at_edge = not nu[inside][0] < value[0] < nu[inside][-1]
        rows.append(
            BandComparison(
                band=group.name,
                window_cm1=window,
                measured_maximum=group.maximum_cm1,
                measured_centre=group.centre_cm1,
                measured_uncertainty=group.uncertainty_cm1,
                maximum=None if at_edge else float(value[0]),
                maximum_error=None if at_edge else errors[0],
                centre=float(value[1]),
                centre_error=errors[1],
                area=float(value[2]),
                area_error=errors[2],
            )
        )
    return rows


def maximum_position(wavenumber_cm1: Array, intensity: Array) -> float:
    """Position of the highest point, refined by a parabola through it and its neighbours."""
    i = int(intensity.argmax())
    if i in (0, len(intensity) - 1):
        return float(wavenumber_cm1[i])
    left, middle, right = intensity[i - 1 : i + 2]
    curvature = left - 2.0 * middle + right
    offset = 0.5 * (left - right) / curvature if curvature < 0 else 0.0
    return float(wavenumber_cm1[i] + offset * (wavenumber_cm1[i + 1] - wavenumber_cm1[i]))


def centre_and_area(wavenumber_cm1: Array, intensity: Array) -> tuple[float, float]:
    """First moment and area of a band; negative ripples count as nothing in the moment."""
    positive = np.clip(intensity, 0.0, None)
    weight = float(np.trapezoid(positive, wavenumber_cm1))
    if weight == 0.0:
        return float(wavenumber_cm1.mean()), 0.0
    centre = float(np.trapezoid(positive * wavenumber_cm1, wavenumber_cm1)) / weight
    return centre, float(np.trapezoid(intensity, wavenumber_cm1))


def undo_time_step_shift(wavenumber_cm1: float, timestep_fs: float) -> float:
    """Wavenumber that exact integration would give for a line found with velocity Verlet.

    A harmonic mode ω integrated with a step Δt oscillates at ω_v = (2/Δt) arcsin(ωΔt/2), too fast:
    by 4.6 cm⁻¹ at 3700 cm⁻¹ with 0.25 fs, by 19 cm⁻¹ with 0.5 fs. To be reported beside the raw
    position, never instead.

    Parameters
    ----------
    wavenumber_cm1 : float
        As found.
    timestep_fs : float
        Of the integrator (not of the output).
    """
    half_step = 0.5 * timestep_fs / AU_FS
    found = wavenumber_cm1 / AU_WAVENUMBER_CM1
    return float(np.sin(found * half_step) / half_step * AU_WAVENUMBER_CM1)
