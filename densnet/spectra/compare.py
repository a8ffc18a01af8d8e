"""Scores of a calculated spectrum against a measured one, at a common resolution.

Both are brought to one resolution by Gaussian broadening, put on one grid over the range that both
cover, and compared by

- Pearson's correlation of the intensities, which asks for shape and relative heights;
- Spearman's rank correlation, which forgives heights;
- the spectral information similarity 1/(1 + d), d the symmetric Kullback–Leibler divergence
  Σ p ln(p/q) + q ln(q/p) of the spectra normalised to unit sum (McGill et al. 2021,
  https://doi.org/10.1021/acs.jcim.1c00055).

No score depends on the absolute intensity. Wavenumbers are not stretched. A factor on them that
maximises Pearson may be reported beside. The score of another molecule's spectrum is the null: what
a wrong answer scores.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.stats import rankdata

from densnet.errors import InputError
from densnet.spectra.measured import MeasuredSpectrum

Array = NDArray[np.float64]

# Share of the mean that empty regions count in the information similarity; without a floor one
# empty point makes the divergence infinite.
INFORMATION_FLOOR: Final = 1e-3


@dataclass(frozen=True)
class Scores:
    """Agreement of two spectra.

    Parameters
    ----------
    pearson, spearman, information_similarity : float
    low_cm1, high_cm1, resolution_cm1 : float
        Range and resolution at which they were compared.
    """

    pearson: float
    spearman: float
    information_similarity: float
    low_cm1: float
    high_cm1: float
    resolution_cm1: float


@dataclass(frozen=True)
class Terms:
    """The terms on which spectra are compared.

    Parameters
    ----------
    low_cm1, high_cm1 : float
        Range, narrowed to what both spectra cover.
    resolution_cm1 : float
        Full width at half maximum that both are broadened to.
    baseline : bool
        Subtract a slow baseline from the measured spectrum.
    """

    low_cm1: float = 600.0
    high_cm1: float = 3790.0
    resolution_cm1: float = 16.0
    baseline: bool = True


def broaden(wavenumber_cm1: Array, intensity: Array, have_cm1: float, want_cm1: float) -> Array:
    """Lower the resolution by convolution with a Gaussian, on an evenly spaced grid.

    Parameters
    ----------
    wavenumber_cm1, intensity : (n,) float64
        Evenly spaced.
    have_cm1, want_cm1 : float
        Full widths at half maximum; widths add in squares. Nothing is sharpened.
    """
    if want_cm1 <= have_cm1:
        return intensity
    sigma = np.sqrt((want_cm1**2 - have_cm1**2) / (8.0 * np.log(2.0)))
    spacing = wavenumber_cm1[1] - wavenumber_cm1[0]
    reach = int(np.ceil(4.0 * sigma / spacing))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * spacing / sigma) ** 2)
    weight = np.convolve(np.ones_like(intensity), kernel, mode="same")
    return np.convolve(intensity, kernel, mode="same") / weight


def to_grid(
    wavenumber_cm1: Array, intensity: Array, have_cm1: float, grid: Array, resolution_cm1: float
) -> Array:
    """A spectrum at another resolution on another grid.

    The broadening is done on a grid four times finer than the spectrum's or the target's spacing,
    extended beyond the range as far as the spectrum goes.
    """
    spacing = min(np.median(np.diff(wavenumber_cm1)), resolution_cm1 / 8.0)
    reach = 3.0 * resolution_cm1
    low = max(wavenumber_cm1[0], grid[0] - reach)
    high = min(wavenumber_cm1[-1], grid[-1] + reach)
    fine = np.arange(low, high + 0.5 * spacing, spacing)
    even = np.interp(fine, wavenumber_cm1, intensity)
    return np.interp(grid, fine, broaden(fine, even, have_cm1, resolution_cm1))


def subtract_baseline(wavenumber_cm1: Array, absorbance: Array, window_cm1: float = 400.0) -> Array:
    """Take out a slow baseline: the 10th percentile in a sliding window, smoothed.

    Parameters
    ----------
    wavenumber_cm1, absorbance : (n,) float64
    window_cm1 : float
        Wider than any band.
    """
    anchors = np.arange(wavenumber_cm1[0], wavenumber_cm1[-1] + window_cm1, window_cm1 / 4)
    level = np.empty_like(anchors)
    for index, anchor in enumerate(anchors):
        near = np.abs(wavenumber_cm1 - anchor) <= window_cm1 / 2
        level[index] = np.quantile(absorbance[near], 0.1) if near.any() else np.nan
    known = np.isfinite(level)
    smooth = np.interp(anchors, anchors[known], level[known])
    smooth = np.convolve(np.pad(smooth, 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid")
    return np.clip(absorbance - np.interp(wavenumber_cm1, anchors, smooth), 0.0, None)


def score(first: Array, second: Array) -> tuple[float, float, float]:
    """Pearson, Spearman and spectral information similarity of two spectra on one grid."""
    return (
        _pearson(first, second),
        _pearson(rankdata(first), rankdata(second)),
        information_similarity(first, second),
    )


def information_similarity(first: Array, second: Array) -> float:
    """Spectral information similarity, between 0 and 1 (identical)."""
    p, q = (_as_distribution(spectrum) for spectrum in (first, second))
    divergence = float(np.sum(p * np.log(p / q) + q * np.log(q / p)))
    return 1.0 / (1.0 + divergence)


def common_grid(first: Array, second: Array, terms: Terms) -> Array:
    """Grid of a quarter of the resolution over what both spectra and the range cover."""
    low = max(terms.low_cm1, first[0], second[0])
    high = min(terms.high_cm1, first[-1], second[-1])
    if high - low < 10.0 * terms.resolution_cm1:
        raise InputError(
            f"the spectra have only {max(high - low, 0):.0f} cm⁻¹ in common between "
            f"{terms.low_cm1:g} and {terms.high_cm1:g} cm⁻¹: nothing to compare"
        )
    return np.arange(low, high, terms.resolution_cm1 / 4.0)


def compare(
    wavenumber_cm1: Array,
    intensity: Array,
    have_cm1: float,
    measured: MeasuredSpectrum,
    terms: Terms,
    *,
    stretch: float = 1.0,
) -> Scores:
    """Score a spectrum against a measured one.

    Parameters
    ----------
    wavenumber_cm1, intensity : (n,) float64
        Calculated (or another measured) spectrum.
    have_cm1 : float
        Its resolution.
    measured : MeasuredSpectrum
    terms : Terms
    stretch : float
        Factor on the calculated wavenumbers; anything but 1 belongs beside the raw score.

    Returns
    -------
    Scores
    """
    nu = wavenumber_cm1 * stretch
    grid = common_grid(nu, measured.wavenumber_cm1, terms)
    calculated = to_grid(nu, intensity, have_cm1, grid, terms.resolution_cm1)
    reference = measured_on_grid(measured, grid, terms)
    pearson, spearman, similarity = score(calculated, reference)
    return Scores(
        pearson, spearman, similarity, float(grid[0]), float(grid[-1]), terms.resolution_cm1
    )


def compare_measured(other: MeasuredSpectrum, measured: MeasuredSpectrum, terms: Terms) -> Scores:
    """Score a measured spectrum against another one, as :func:`compare` does a calculated one."""
    grid = common_grid(other.wavenumber_cm1, measured.wavenumber_cm1, terms)
    scores = score(measured_on_grid(other, grid, terms), measured_on_grid(measured, grid, terms))
    return Scores(*scores, float(grid[0]), float(grid[-1]), terms.resolution_cm1)


def measured_on_grid(measured: MeasuredSpectrum, grid: Array, terms: Terms) -> Array:
    """The measured spectrum at the common resolution, its baseline taken out if asked for."""
    absorbance = measured.absorbance
    if terms.baseline:
        absorbance = subtract_baseline(measured.wavenumber_cm1, absorbance)
    have = measured.resolution_cm1 or 0.0
    return to_grid(measured.wavenumber_cm1, absorbance, have, grid, terms.resolution_cm1)


def best_stretch(
    wavenumber_cm1: Array,
    intensity: Array,
    have_cm1: float,
    measured: MeasuredSpectrum,
    terms: Terms,
) -> tuple[float, Scores]:
    """The factor between 0.93 and 1.05 on the wavenumbers that maximises Pearson.

    To be reported beside the raw score, never instead of it.
    """

    def scores(stretch: float) -> Scores:
        return compare(wavenumber_cm1, intensity, have_cm1, measured, terms, stretch=stretch)

    # Pearson has several maxima along the factor: a scan finds the right one, then it is refined.
    factors = np.linspace(0.93, 1.05, 121)
    start = float(factors[int(np.argmax([scores(float(f)).pearson for f in factors]))])
    refined = minimize_scalar(
        lambda stretch: -scores(stretch).pearson,
        bounds=(start - 0.001, start + 0.001),
        method="bounded",
        options={"xatol": 1e-5},
    )
    return float(refined.x), scores(float(refined.x))


def _pearson(x: Array, y: Array) -> float:
    x, y = x - x.mean(), y - y.mean()
    norm = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / norm) if norm > 0 else 0.0


def _as_distribution(spectrum: Array) -> Array:
    positive = np.clip(spectrum, 0.0, None)
    total = positive.mean()
    if total <= 0:
        raise InputError("a spectrum without any intensity cannot be compared")
    floored = np.maximum(positive / total, INFORMATION_FLOOR)
    return floored / floored.sum()
