"""Infrared absorption from the dipole along a trajectory.

    n(ω)α(ω) = β / (6 ε₀ V c) ∫ ⟨Ṁ(0)·Ṁ(t)⟩ e^{−iωt} dt

For a gas, nα per number of molecules in a volume V defines the molar absorption coefficient
κ(ν̃) = N_A V α (naperian), whose integral over a band is its integrated intensity in km/mol, the
quantity that harmonic calculations print: a classical harmonic mode of any amplitude, averaged
thermally, has the area N_A π/(3·4πε₀c²)·|∂μ/∂Q|² = 42.256 km/mol per (D/Å)²/amu.

The factor β in front already is the harmonic quantum correction, the only frequency-dependent
factor that obeys detailed balance and turns the classical into the quantum result for a harmonic
mode; no other factor is multiplied in. The Kubo correlation function of a path-integral run (CMD,
TRPMD; M averaged over the beads) enters the same formula.

| symbol | here |
| --- | --- |
| M | ``Signal.values`` of ``dipole``, e·bohr |
| Ṁ | ``Signal.values`` of ``dipole_derivative``, e·bohr per atomic time |
| κ(ν̃) | ``Spectrum.intensity``, km/mol per cm⁻¹ |

A charge of 0.2 e on a carbon atom that vibrates along z at 300 K has the harmonic intensity
974.88 km/mol · (q/e)²/(m/Da) = 3.25 km/mol:

    >>> import numpy as np
    >>> from densnet.units import AU_FS, AU_WAVENUMBER_CM1, DALTON_AU, KELVIN_HARTREE
    >>> time = np.arange(10000) * 2.0 / AU_FS
    >>> omega = 1000.0 / AU_WAVENUMBER_CM1
    >>> amplitude = np.sqrt(2 * 300.0 * KELVIN_HARTREE / (12.0 * DALTON_AU)) / omega
    >>> dipole = 0.2 * amplitude * np.cos(omega * time)[:, None] * [[0.0, 0.0, 1.0]]
    >>> signal = Signal("oscillator", dipole, 2.0 / AU_FS, temperature_kelvin=300.0)
    >>> spectrum = infrared([signal], Resolution(resolution_cm1=10.0))
    >>> print(f"{spectrum.area(900.0, 1100.0):.2f} km/mol")
    3.25 km/mol

References
----------
Ramírez et al. 2004, https://doi.org/10.1063/1.1774986 (quantum corrections).
Gaigeot and Sprik 2003, https://doi.org/10.1021/jp034788u.
"""

from collections.abc import Sequence
from math import log, pi
from typing import Final

import numpy as np
from numpy.typing import NDArray

from densnet.errors import InputError
from densnet.spectra.correlation import Resolution, power_spectrum
from densnet.spectra.estimate import estimate_spectrum
from densnet.spectra.signals import Signal
from densnet.spectra.spectrum import Spectrum
from densnet.units import (
    AU_TIME_S,
    AVOGADRO,
    BOHR_M,
    KELVIN_HARTREE,
    SPEED_OF_LIGHT_M_S,
)

Array = NDArray[np.float64]

UNIT: Final = "km/mol per cm⁻¹"
SPEED_OF_LIGHT_AU: Final = SPEED_OF_LIGHT_M_S * AU_TIME_S / BOHR_M
# bohr² a molecule → km/mol per cm⁻¹: m²/mol, of which 10 are one km/mol per cm⁻¹.
_BOHR2_KM_MOL_CM: Final = AVOGADRO * BOHR_M**2 * 0.1
# 1 km/mol per cm⁻¹ as a decadic molar absorption coefficient in L/(mol cm).
DECADIC_L_MOL_CM: Final = 100.0 / log(10.0)


def absorption_factor(temperature_kelvin: float) -> float:
    """Factor from ∫⟨Ṁ·Ṁ⟩e^{−iωt}dt in atomic units to κ in km/mol per cm⁻¹.

    It is N_A β/(6ε₀c), with ε₀ = 1/4π in atomic units.
    """
    if not temperature_kelvin > 0:
        raise InputError(f"the temperature must be positive, got {temperature_kelvin} K")
    beta = 1.0 / (temperature_kelvin * KELVIN_HARTREE)
    return 2.0 * pi / 3.0 * beta / SPEED_OF_LIGHT_AU * _BOHR2_KM_MOL_CM


def infrared(
    signals: Sequence[Signal], resolution: Resolution, *, exact_derivative: bool = False
) -> Spectrum:
    """Infrared spectrum of a gas-phase molecule.

    Parameters
    ----------
    signals : sequence of Signal
        Dipoles (n, 3), e·bohr; or, with ``exact_derivative``, Ṁ = Σ APT·v, e·bohr per atomic time.
    resolution : Resolution
    exact_derivative : bool
        The signals are Ṁ already; otherwise the spectrum of M is multiplied by ω².

    Returns
    -------
    Spectrum
        Molar absorption coefficient κ(ν̃), naperian, in km/mol per cm⁻¹.
    """

    def kernel(signal: Signal) -> tuple[Array, Array]:
        omega, power = power_spectrum(
            signal.values, signal.timestep_au, resolution, derivative=not exact_derivative
        )
        return omega, absorption_factor(signal.temperature_kelvin) * power

    return estimate_spectrum(signals, resolution, kernel, quantity="infrared absorption", unit=UNIT)


def dipole_rate(polar_tensors: Array, velocities: Array) -> Array:
    """Exact time derivative of the dipole, Ṁ = Σ_A v_A·∂μ/∂R_A.

    Parameters
    ----------
    polar_tensors : (n_times, n_atoms, 3, 3) float64, e
        ``[t, A, i, x]`` = ∂μ_x/∂R_{A,i}.
    velocities : (n_times, n_atoms, 3) float64, bohr per atomic time

    Returns
    -------
    (n_times, 3) float64, e·bohr per atomic time
    """
    return np.asarray(np.einsum("taix,tai->tx", polar_tensors, velocities), dtype=np.float64)


def absorption_coefficient_cm1(spectrum: Spectrum, volume_angstrom3: float) -> Array:
    """Turn κ into n(ω)α(ω) of a sample with one such molecule (or cell) in a volume.

    Parameters
    ----------
    spectrum : Spectrum
        From :func:`infrared`.
    volume_angstrom3 : float
        Volume V of the simulated cell, Å³.

    Returns
    -------
    (n,) float64, 1/cm
    """
    if not volume_angstrom3 > 0:
        raise InputError(f"the volume must be positive, got {volume_angstrom3} Å³")
    molar_volume_m3 = AVOGADRO * volume_angstrom3 * 1e-30
    return spectrum.intensity * 10.0 / molar_volume_m3 / 100.0
