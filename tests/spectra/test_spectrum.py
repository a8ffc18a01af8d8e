"""Errors of spectra: what they claim is what repeating the experiment shows."""

import numpy as np
import pytest

from densnet.errors import InputError
from densnet.spectra.correlation import Resolution
from densnet.spectra.estimate import estimate_spectrum
from densnet.spectra.infrared import infrared
from densnet.spectra.signals import Signal
from densnet.spectra.spectrum import (
    Spectrum,
    block_slices,
    bootstrap_error,
    jackknife,
    standard_error,
)
from densnet.units import AU_FS
from tests.tolerances import ROUNDING_RELATIVE


def noise(rng: np.random.Generator, n_segments: int, n: int = 600) -> list[Signal]:
    return [Signal(f"s{k}", rng.normal(size=(n, 3)), 2.0 / AU_FS, 300.0) for k in range(n_segments)]


def spectrum(samples: np.ndarray, weights: np.ndarray | None = None) -> Spectrum:
    n = len(samples)
    weights = np.full(n, 1.0 / n) if weights is None else weights
    nu = np.arange(samples.shape[1], dtype=float)
    return Spectrum(nu, weights @ samples, None, samples, weights, "x", "1", 1.0, "")


def test_standard_error_of_equal_weights_is_s_over_root_n(rng: np.random.Generator) -> None:
    samples = rng.normal(size=(7, 5))
    expected = samples.std(axis=0, ddof=1) / np.sqrt(7)
    error = standard_error(samples, np.full(7, 1 / 7))
    np.testing.assert_allclose(error, expected, rtol=ROUNDING_RELATIVE)


def test_jackknife_of_the_mean_is_the_standard_error(rng: np.random.Generator) -> None:
    samples = rng.normal(size=(9, 4))
    value, error = jackknife(spectrum(samples), lambda intensity: intensity)
    np.testing.assert_allclose(value, samples.mean(axis=0), rtol=0, atol=1e-14)
    np.testing.assert_allclose(
        error, samples.std(axis=0, ddof=1) / 3.0, rtol=1e3 * ROUNDING_RELATIVE
    )


def test_jackknife_of_one_sample_has_no_error(rng: np.random.Generator) -> None:
    assert jackknife(spectrum(rng.normal(size=(1, 4))), np.sum)[1] is None


def test_bootstrap_agrees_with_the_standard_error(rng: np.random.Generator) -> None:
    samples, weights = rng.normal(size=(12, 50)), np.full(12, 1 / 12)
    ratio = bootstrap_error(samples, weights) / standard_error(samples, weights)
    # 400 draws know a spread to 1/√800 = 3.5 %; the mean over 50 points better.
    assert ratio.mean() == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("n_segments", [1, 3, 16])
def test_error_is_the_spread_of_repeated_experiments(
    rng: np.random.Generator, n_segments: int
) -> None:
    length = 9600 // n_segments
    repeats = [infrared(noise(rng, n_segments, length), Resolution(100.0)) for _ in range(60)]
    band = slice(20, 150)
    seen = np.std([s.intensity[band] for s in repeats], axis=0)
    errors = [s.error[band] for s in repeats if s.error is not None]
    assert len(errors) == 60
    claimed = np.sqrt(np.mean(np.square(errors), axis=0))
    # 60 repeats know a spread to 9 %, some ten independent points to 3 %; blocks lose a little.
    assert (claimed / seen).mean() == pytest.approx(1.0, abs=0.15)


def test_many_segments_stay_whole_and_few_are_cut_into_blocks() -> None:
    cuts = block_slices([1000], shortest=300)
    assert [(s.start, s.stop) for s in cuts[0]] == [(0, 333), (333, 666), (666, 1000)]
    cuts = block_slices([4000, 4000], shortest=100)
    assert sum(len(c) for c in cuts) == 12


def test_a_single_short_segment_has_no_error_and_says_so(rng: np.random.Generator) -> None:
    result = infrared(noise(rng, 1, 600), Resolution(50.0))
    assert result.error is None
    assert "no error bars: a single segment" in result.error_method


def test_segments_weigh_as_long_as_they_are(rng: np.random.Generator) -> None:
    long, short = noise(rng, 1, 8000)[0], noise(rng, 1, 2000)[0]
    short = Signal("short", short.values, short.timestep_au, 300.0)
    resolution = Resolution(100.0)
    both = infrared([long, short], resolution)
    parts = [infrared([s], resolution).intensity for s in (long, short)]
    np.testing.assert_allclose(both.intensity, 0.8 * parts[0] + 0.2 * parts[1], rtol=1e-10)


def test_a_stretch_too_short_is_left_out_with_a_warning(
    rng: np.random.Generator, caplog: pytest.LogCaptureFixture
) -> None:
    long, short = noise(rng, 2, 2000)
    short = Signal("short", short.values[:50], short.timestep_au, 300.0)
    resolution = Resolution(50.0)
    both = infrared([long, short], resolution)
    np.testing.assert_array_equal(both.intensity, infrared([long], resolution).intensity)
    assert "short: a stretch of 0.10 ps is too short for 50 cm⁻¹" in caplog.text


def test_no_signal_at_all_is_refused() -> None:
    with pytest.raises(InputError, match="no trajectory"):
        estimate_spectrum([], Resolution(), lambda s: (s.values, s.values), quantity="x", unit="1")


def test_a_cut_outside_the_spectrum_is_refused(rng: np.random.Generator) -> None:
    with pytest.raises(InputError, match="no point between 50 and 60"):
        spectrum(rng.normal(size=(2, 8))).cut(50.0, 60.0)
