"""Analytic signals for the tests: dipoles of harmonic oscillators at a temperature."""

import numpy as np
from numpy.typing import NDArray

from densnet.spectra.signals import Signal
from densnet.units import (
    AU_DEBYE,
    AU_FS,
    AU_WAVENUMBER_CM1,
    BOHR_ANGSTROM,
    DALTON_AU,
    KELVIN_HARTREE,
)

TEMPERATURE_KELVIN = 300.0
# ∂μ/∂Q of 1 D/(Å √amu), which makes 42.256 km/mol, in atomic units.
UNIT_DERIVATIVE = BOHR_ANGSTROM / AU_DEBYE / np.sqrt(DALTON_AU)


def coordinate(
    wavenumber_cm1: float, n: int, interval_fs: float, phase: float, amplitude: float = 1.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mass-weighted coordinate and velocity; amplitude 1 has the thermal mean ⟨Q̇²⟩ = kT."""
    omega = wavenumber_cm1 / AU_WAVENUMBER_CM1
    angle = omega * np.arange(n) * interval_fs / AU_FS + phase
    size = amplitude * np.sqrt(2 * TEMPERATURE_KELVIN * KELVIN_HARTREE)
    return size / omega * np.cos(angle), -size * np.sin(angle)


def line(
    wavenumber_cm1: float,
    *,
    n: int = 8000,
    interval_fs: float = 2.0,
    phase: float = 0.3,
    segment: str = "a",
    derivative: bool = False,
) -> Signal:
    """Dipole (or its derivative) of one thermal oscillator of 42.256 km/mol along x."""
    q, q_dot = coordinate(wavenumber_cm1, n, interval_fs, phase)
    values = np.zeros((n, 3))
    values[:, 0] = UNIT_DERIVATIVE * (q_dot if derivative else q)
    return Signal(segment, values, interval_fs / AU_FS, TEMPERATURE_KELVIN)
