"""Vibrational density of states from velocities.

    D(ν̃) = (β/π) (dω/dν̃) ∫ Σ_A m_A ⟨v_A(0)·v_A(t)⟩ e^{−iωt} dt

By equipartition its area is the number of degrees of freedom that move: 3N for all, 3N − 6 without
translation and rotation.
"""

from collections.abc import Sequence
from math import pi

import numpy as np
from numpy.typing import NDArray

from densnet.errors import InputError
from densnet.spectra.correlation import Resolution, power_spectrum
from densnet.spectra.estimate import estimate_spectrum
from densnet.spectra.signals import Signal
from densnet.spectra.spectrum import Spectrum
from densnet.units import AU_WAVENUMBER_CM1, KELVIN_HARTREE

Array = NDArray[np.float64]


def vibrational_density(
    signals: Sequence[Signal], masses: Array, resolution: Resolution
) -> Spectrum:
    """Mass-weighted vibrational density of states.

    Parameters
    ----------
    signals : sequence of Signal
        Velocities (n, n_atoms, 3), bohr per atomic time.
    masses : (n_atoms,) float64
        Electron masses.
    resolution : Resolution

    Returns
    -------
    Spectrum
        Modes per cm⁻¹; the area counts degrees of freedom.
    """
    for signal in signals:
        if signal.values.shape[1:] != (len(masses), 3):
            raise InputError(
                f"{signal.segment}: velocities of shape {signal.values.shape[1:]} for "
                f"{len(masses)} masses"
            )

    def kernel(signal: Signal) -> tuple[Array, Array]:
        weighted = signal.values * np.sqrt(masses)[:, None]
        omega, power = power_spectrum(weighted, signal.timestep_au, resolution)
        beta = 1.0 / (signal.temperature_kelvin * KELVIN_HARTREE)
        return omega, beta / pi / AU_WAVENUMBER_CM1 * power

    return estimate_spectrum(
        signals,
        resolution,
        kernel,
        quantity="vibrational density of states",
        unit="modes per cm⁻¹",
    )
