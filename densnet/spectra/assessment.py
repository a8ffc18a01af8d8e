"""A calculated spectrum judged against measurement, with error, null and bands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from densnet.spectra.bands import BandTable
from densnet.spectra.compare import (
    Scores,
    Terms,
    best_stretch,
    compare,
    compare_measured,
    subtract_baseline,
)
from densnet.spectra.measured import MeasuredSpectrum
from densnet.spectra.peaks import BandComparison, centre_and_area, maximum_position
from densnet.spectra.spectrum import Spectrum, jackknife

Array = NDArray[np.float64]

# Width given to each maximum of a band table to make a spectrum of it: about a P–R envelope.
SKETCH_WIDTH_CM1 = 24.0
# Resolution at which sketches are compared: nothing finer is in them.
SKETCH_RESOLUTION_CM1 = 30.0


@dataclass(frozen=True)
class Assessment:
    """Scores of one calculated spectrum against one measured spectrum.

    Parameters
    ----------
    against : str
        Title of the measured spectrum.
    scores : Scores
        Wavenumbers as calculated.
    pearson_error : float or None
        Statistical error of Pearson, jackknife over the segments.
    stretch, stretched : float, Scores
        The factor on the wavenumbers that maximises Pearson, and the scores with it.
    nulls : mapping of title → Scores
        The same calculated spectrum against spectra of other molecules.
    in_place : mapping of title → Scores
        Measured spectra in place of the calculated one: of the same molecule, the ceiling; of
        others, what a wrong molecule reaches.
    """

    against: str
    scores: Scores
    pearson_error: float | None
    stretch: float
    stretched: Scores
    nulls: Mapping[str, Scores]
    in_place: Mapping[str, Scores]


def assess(
    spectrum: Spectrum,
    measured: MeasuredSpectrum,
    terms: Terms,
    nulls: Sequence[MeasuredSpectrum] = (),
    ceilings: Sequence[MeasuredSpectrum] = (),
) -> Assessment:
    """Score a calculated spectrum against its own molecule and against others.

    Parameters
    ----------
    spectrum : Spectrum
    measured : MeasuredSpectrum
    terms : Terms
    nulls : sequence of MeasuredSpectrum
        Other molecules.
    ceilings : sequence of MeasuredSpectrum
        Other measurements of the same molecule.
    """
    nu, have = spectrum.wavenumber_cm1, spectrum.resolution_cm1

    def pearson(intensity: Array) -> float:
        return compare(nu, intensity, have, measured, terms).pearson

    _, error = jackknife(spectrum, pearson)
    stretch, stretched = best_stretch(nu, spectrum.intensity, have, measured, terms)
    return Assessment(
        against=measured.title,
        scores=compare(nu, spectrum.intensity, have, measured, terms),
        pearson_error=None if error is None else float(error),
        stretch=stretch,
        stretched=stretched,
        nulls={null.title: compare(nu, spectrum.intensity, have, null, terms) for null in nulls},
        in_place={
            other.title: compare_measured(other, measured, terms) for other in (*ceilings, *nulls)
        },
    )


def sketch_from_bands(table: BandTable, width_cm1: float = SKETCH_WIDTH_CM1) -> MeasuredSpectrum:
    """A spectrum drawn from the maxima of a band table: Gaussians of their heights.

    It knows heights to 10–20 % and no widths: a rough stand-in where the digitised spectrum, which
    may not be shipped, is not at hand. Neighbouring maxima of one band are combined by taking the
    highest Gaussian at each point, for they were picked from one envelope.

    Parameters
    ----------
    table : BandTable
    width_cm1 : float
        Full width at half maximum of each.
    """
    rows = [row for row in table.maxima() if row.intensity_relative]
    nu = np.arange(300.0, 4200.0, 2.0)
    sigma = width_cm1 / np.sqrt(8.0 * np.log(2.0))
    absorbance = np.zeros_like(nu)
    for row in rows:
        line = np.exp(-0.5 * ((nu - row.wavenumber_cm1) / sigma) ** 2)
        absorbance = np.maximum(absorbance, (row.intensity_relative or 0.0) * line)
    return MeasuredSpectrum(
        f"{table.molecule}, sketched from {len(rows)} maxima", nu, absorbance, width_cm1, "sketch"
    )


@dataclass(frozen=True)
class MeasuredBandArea:
    """A band of a measured spectrum, in the window of the calculated one.

    Parameters
    ----------
    band : str
    maximum_cm1, centre_cm1 : float
        Highest point and first moment of the measured curve.
    share : float
        Area relative to that of all bands, measured.
    calculated_share : float
    """

    band: str
    maximum_cm1: float
    centre_cm1: float
    share: float
    calculated_share: float


def measured_band_areas(
    measured: MeasuredSpectrum, bands: Sequence[BandComparison]
) -> list[MeasuredBandArea]:
    """Areas of the bands of a full measured spectrum, as shares of their sum.

    Parameters
    ----------
    measured : MeasuredSpectrum
    bands : sequence of BandComparison
        Their windows are used; bands that the measurement does not cover are left out.
    """
    nu = measured.wavenumber_cm1
    absorbance = subtract_baseline(nu, measured.absorbance)
    covered = [
        band for band in bands if nu[0] <= band.window_cm1[0] and band.window_cm1[1] <= nu[-1]
    ]
    found = []
    for band in covered:
        inside = (nu >= band.window_cm1[0]) & (nu <= band.window_cm1[1])
        centre, area = centre_and_area(nu[inside], absorbance[inside])
        found.append((maximum_position(nu[inside], absorbance[inside]), centre, area))
    total = sum(area for _, _, area in found)
    calculated_total = sum(band.area for band in covered)
    return [
        MeasuredBandArea(band.band, maximum, centre, area / total, band.area / calculated_total)
        for band, (maximum, centre, area) in zip(covered, found, strict=True)
    ]
