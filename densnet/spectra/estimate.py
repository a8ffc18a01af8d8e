"""One estimator for all spectra: signals of independent segments in, a mean with error out."""

import logging
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from densnet.errors import InputError
from densnet.spectra.correlation import Resolution, count_lags
from densnet.spectra.signals import Signal
from densnet.spectra.spectrum import (
    FEWEST_SEGMENTS,
    Spectrum,
    block_slices,
    bootstrap_error,
    standard_error,
)
from densnet.units import AU_FS, AU_WAVENUMBER_CM1

logger = logging.getLogger(__name__)

Array = NDArray[np.float64]

# Takes the values and the temperature of a stretch; returns angular frequencies and intensities.
Kernel = Callable[[Signal], tuple[Array, Array]]


def estimate_spectrum(
    signals: Sequence[Signal],
    resolution: Resolution,
    kernel: Kernel,
    *,
    quantity: str,
    unit: str,
) -> Spectrum:
    """Average a spectrum over segments, weighted by their durations.

    With at least five independent segments the error is their standard error; with fewer, the
    segments are cut into blocks of at least 1.25 times the longest lag and bootstrapped.

    Parameters
    ----------
    signals : sequence of Signal
        All equally spaced in time by the same step. Stretches too short for the resolution are
        left out with a warning.
    resolution : Resolution
    kernel : callable
        Spectrum of one signal: (omega, intensity).
    quantity, unit : str

    Returns
    -------
    Spectrum

    Raises
    ------
    InputError
        If the steps differ or no stretch is long enough.
    """
    if not signals:
        raise InputError(f"nothing to compute an {quantity} spectrum from: no trajectory was given")
    timestep = signals[0].timestep_au
    for signal in signals:
        if abs(signal.timestep_au - timestep) > 1e-6 * timestep:
            raise InputError(
                f"segments {signals[0].segment!r} and {signal.segment!r} are written every "
                f"{timestep * AU_FS:.4g} and {signal.timestep_au * AU_FS:.4g} fs; "
                "spectra of different spacing cannot be averaged: run them apart"
            )
    n_lags = count_lags(max(len(signal.values) for signal in signals), timestep, resolution)
    usable = [signal for signal in signals if len(signal.values) > n_lags]
    for signal in signals:
        if len(signal.values) <= n_lags:
            logger.warning(
                "%s: a stretch of %.2f ps is too short for %g cm⁻¹, left out",
                signal.segment,
                signal.duration_ps,
                resolution.resolution_cm1,
            )
    spectra = [kernel(signal) for signal in usable]
    wavenumber = spectra[0][0] * AU_WAVENUMBER_CM1
    durations = np.array([len(signal.values) for signal in usable], dtype=np.float64)
    intensity = durations @ np.array([s for _, s in spectra]) / durations.sum()
    samples, weights, error, method = _samples(usable, spectra, kernel, 5 * n_lags // 4)
    return Spectrum(
        wavenumber_cm1=wavenumber,
        intensity=intensity,
        error=error,
        samples=samples,
        weights=weights,
        quantity=quantity,
        unit=unit,
        resolution_cm1=resolution.resolution_cm1,
        error_method=method,
    )


def count_segments(n: int) -> str:
    """``1 segment``, ``6 segments``."""
    return f"{n} segment" if n == 1 else f"{n} segments"


def _samples(
    signals: Sequence[Signal], spectra: list[tuple[Array, Array]], kernel: Kernel, shortest: int
) -> tuple[Array, Array, Array | None, str]:
    """Return independent samples, their weights, the error of the mean and how it was made."""
    names = list(dict.fromkeys(signal.segment for signal in signals))
    if len(names) >= FEWEST_SEGMENTS:
        samples, durations = [], []
        for name in names:
            mine = [i for i, signal in enumerate(signals) if signal.segment == name]
            lengths = np.array([len(signals[i].values) for i in mine], dtype=np.float64)
            samples.append(lengths @ np.array([spectra[i][1] for i in mine]) / lengths.sum())
            durations.append(lengths.sum())
        table, weights = np.array(samples), np.array(durations) / sum(durations)
        method = f"standard error over {len(names)} independent segments"
        return table, weights, standard_error(table, weights), method
    blocks: list[Signal] = []
    cuts = block_slices([len(signal.values) for signal in signals], shortest)
    for signal, slices in zip(signals, cuts, strict=True):
        blocks.extend(
            Signal(signal.segment, signal.values[s], signal.timestep_au, signal.temperature_kelvin)
            for s in slices
        )
    table = np.array([kernel(block)[1] for block in blocks])
    weights = np.array([len(block.values) for block in blocks], dtype=np.float64)
    weights /= weights.sum()
    if len(blocks) < 2:
        return (
            table,
            weights,
            None,
            "no error bars: a single segment, too short to be cut into blocks",
        )
    method = f"block bootstrap over {len(blocks)} blocks of {count_segments(len(names))}"
    return table, weights, bootstrap_error(table, weights), method
