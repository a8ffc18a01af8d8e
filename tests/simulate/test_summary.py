"""Drifts and errors against series whose answer is known."""

import numpy as np
import pytest

from densnet.simulate.summary import block_error, fit_drift


def test_the_slope_of_a_line_is_exact() -> None:
    time = np.linspace(0.0, 10.0, 200)
    slope, error, scatter = fit_drift(time, 3.0 - 0.5 * time)
    assert slope == pytest.approx(-0.5, abs=1e-12)
    assert error < 1e-12
    assert scatter < 1e-12


def test_the_error_of_the_slope_covers_the_truth(rng: np.random.Generator) -> None:
    time = np.linspace(0.0, 10.0, 2000)
    pulls = []
    for _ in range(200):
        # Correlated noise, as the fluctuation of a conserved quantity.
        noise = np.convolve(rng.normal(size=2020), np.ones(21) / 21, mode="valid")
        slope, error, _ = fit_drift(time, 0.2 * time + noise)
        pulls.append((slope - 0.2) / error)
    # Six degrees of freedom: a Student variable of variance 1.5.
    assert abs(np.mean(pulls)) < 0.35
    assert 0.8 < np.std(pulls) < 1.8


def test_too_few_rows_give_no_error() -> None:
    assert fit_drift(np.arange(2.0), np.arange(2.0))[1] == np.inf
    assert block_error(np.ones(1)) == np.inf


def test_block_errors_of_white_noise_are_its_standard_error(rng: np.random.Generator) -> None:
    errors = [block_error(rng.normal(size=4000)) for _ in range(100)]
    assert np.mean(errors) == pytest.approx(1.0 / np.sqrt(4000), rel=0.15)
