"""A spectrum with its error, and the statistics over independent segments behind it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from densnet.errors import InputError

Array = NDArray[np.float64]

# Below this many independent segments a standard error over them means little, and the segments
# are cut into blocks for a bootstrap.
FEWEST_SEGMENTS = 5
# Blocks that a bootstrap aims at, as far as the segments are long enough.
BOOTSTRAP_BLOCKS = 12


@dataclass(frozen=True, eq=False)
class Spectrum:
    """A spectrum on a wavenumber grid, with its standard error.

    Parameters
    ----------
    wavenumber_cm1 : (n,) float64
        Ascending.
    intensity : (n,) float64
        In ``unit``: the mean over the segments, weighted by their durations.
    error : (n,) float64 or None
        Standard error of ``intensity``; None where nothing could be estimated.
    samples : (n_samples, n) float64
        The spectra of the independent segments, or of blocks of them where segments are few.
    weights : (n_samples,) float64
        Durations, normalised to sum 1.
    quantity : str
        What is shown, e.g. ``infrared absorption``.
    unit : str
        Unit of ``intensity``.
    resolution_cm1 : float
        Full width at half maximum of a sharp line.
    error_method : str
        How ``error`` was made.
    """

    wavenumber_cm1: Array
    intensity: Array
    error: Array | None
    samples: Array
    weights: Array
    quantity: str
    unit: str
    resolution_cm1: float
    error_method: str

    def cut(self, low_cm1: float, high_cm1: float) -> "Spectrum":
        """The part between two wavenumbers."""
        keep = (self.wavenumber_cm1 >= low_cm1) & (self.wavenumber_cm1 <= high_cm1)
        if not keep.any():
            raise InputError(
                f"the spectrum has no point between {low_cm1:g} and {high_cm1:g} cm⁻¹; "
                f"it covers {self.wavenumber_cm1[0]:g}–{self.wavenumber_cm1[-1]:g}"
            )
        return replace(
            self,
            wavenumber_cm1=self.wavenumber_cm1[keep],
            intensity=self.intensity[keep],
            error=None if self.error is None else self.error[keep],
            samples=self.samples[:, keep],
        )

    def area(self, low_cm1: float, high_cm1: float) -> float:
        """Integral over a wavenumber range, in ``unit`` times cm⁻¹."""
        part = self.cut(low_cm1, high_cm1)
        return float(np.trapezoid(part.intensity, part.wavenumber_cm1))


def jackknife(
    spectrum: Spectrum, statistic: Callable[[Array], Array | float]
) -> tuple[Array, Array | None]:
    """A function of the mean spectrum and its standard error by leaving samples out in turn.

    Parameters
    ----------
    spectrum : Spectrum
    statistic : callable
        Takes intensities (n,) on the spectrum's grid; returns a number or an array.

    Returns
    -------
    value : ndarray
        ``statistic`` of the mean spectrum.
    error : ndarray or None
        Delete-one jackknife, weights as in the mean; None with a single sample.
    """
    value = np.asarray(statistic(spectrum.intensity), dtype=np.float64)
    n = len(spectrum.samples)
    if n < 2:
        return value, None
    left_out = []
    for i in range(n):
        weights = np.delete(spectrum.weights, i)
        rest = np.delete(spectrum.samples, i, axis=0)
        left_out.append(np.asarray(statistic(weights @ rest / weights.sum()), dtype=np.float64))
    spread = np.asarray(left_out) - np.mean(left_out, axis=0)
    return value, np.sqrt((n - 1) / n * (spread**2).sum(axis=0))


def standard_error(samples: Array, weights: Array) -> Array:
    """Standard error of a weighted mean of independent samples.

    For equal weights it is the familiar s/√n. (n_samples, n), (n_samples,) → (n,).
    """
    n = len(samples)
    mean = weights @ samples
    return np.sqrt(n / (n - 1) * ((weights[:, None] * (samples - mean)) ** 2).sum(axis=0))


def bootstrap_error(samples: Array, weights: Array, *, n_draws: int = 400, seed: int = 0) -> Array:
    """Standard error of a weighted mean by drawing blocks with replacement.

    The spread of draws from n blocks is short by √((n−1)/n), which is put back.
    """
    n = len(samples)
    counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1.0 / n), size=n_draws)
    drawn = counts * weights
    means = (drawn @ samples) / drawn.sum(axis=1, keepdims=True)
    return means.std(axis=0) * np.sqrt(n / (n - 1))


def block_slices(lengths: Sequence[int], shortest: int) -> list[list[slice]]:
    """Cut segments into equal blocks for a bootstrap, none shorter than ``shortest`` frames.

    Parameters
    ----------
    lengths : sequence of int
        Frames of each segment.
    shortest : int

    Returns
    -------
    list of list of slice
        About ``BOOTSTRAP_BLOCKS`` blocks in all, as far as ``shortest`` allows.
    """
    wanted = -(-BOOTSTRAP_BLOCKS // max(len(lengths), 1))
    cuts = []
    for n in lengths:
        blocks = max(1, min(wanted, n // shortest))
        edges = np.linspace(0, n, blocks + 1).astype(int)
        cuts.append([slice(int(a), int(b)) for a, b in pairwise(edges)])
    return cuts
