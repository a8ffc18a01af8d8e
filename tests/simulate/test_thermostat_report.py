"""The judge of thermostats against samples whose law is known."""

import numpy as np
import pytest

from densnet.simulate.thermostat_report import autocorrelation_time, kinetic_energy_p_value
from densnet.units import KELVIN_HARTREE

FREEDOMS = 24


def autoregressive(n: int, memory: float, rng: np.random.Generator) -> np.ndarray:
    """A Gaussian process of unit variance with correlation memory^t."""
    values = np.empty(n)
    values[0] = rng.normal()
    noise = rng.normal(scale=np.sqrt(1 - memory**2), size=n)
    for t in range(1, n):
        values[t] = memory * values[t - 1] + noise[t]
    return values


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.9])
def test_the_autocorrelation_time_of_an_autoregressive_process(
    memory: float, rng: np.random.Generator
) -> None:
    # ½ + Σ memory^t = ½ (1 + memory)/(1 − memory)
    exact = 0.5 * (1 + memory) / (1 - memory)
    found = np.mean([autocorrelation_time(autoregressive(4000, memory, rng)) for _ in range(8)])
    assert found == pytest.approx(exact, rel=0.15)


def test_a_constant_has_no_memory() -> None:
    assert autocorrelation_time(np.ones(100)) == 0.5


def kinetic_energies(kelvin: float, n: int, rng: np.random.Generator) -> np.ndarray:
    return rng.gamma(FREEDOMS / 2.0, kelvin * KELVIN_HARTREE, size=n)


def test_canonical_kinetic_energies_are_accepted(rng: np.random.Generator) -> None:
    p = [
        kinetic_energy_p_value(kinetic_energies(300.0, 500, rng), 300.0, FREEDOMS)
        for _ in range(100)
    ]
    # Uniform if the test is right: five in a hundred below 0.05.
    assert 0.35 < np.mean(p) < 0.65
    assert np.mean(np.array(p) < 0.05) < 0.15


def test_a_wrong_temperature_or_width_is_rejected(rng: np.random.Generator) -> None:
    hot = kinetic_energies(315.0, 2000, rng)
    assert kinetic_energy_p_value(hot, 300.0, FREEDOMS) < 0.01
    mean = FREEDOMS / 2.0 * 300.0 * KELVIN_HARTREE
    # Berendsen's thermostat: the right mean, too narrow.
    narrow = mean + 0.5 * (kinetic_energies(300.0, 2000, rng) - mean)
    assert kinetic_energy_p_value(narrow, 300.0, FREEDOMS) < 0.01


def test_too_few_samples_give_no_verdict(rng: np.random.Generator) -> None:
    assert np.isnan(kinetic_energy_p_value(kinetic_energies(300.0, 5, rng), 300.0, FREEDOMS))
