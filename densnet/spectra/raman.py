"""Raman activity from the polarizability along a trajectory.

With ā the mean polarizability, β̃ the traceless part and γ² = (3/2) β̃:β̃ the squared anisotropy,

    45 ā² + 4 γ²   polarised (parallel)      3 γ²   depolarised (perpendicular)

of the time derivatives give the Raman activity per wavenumber

    S(ν̃) = (β/π)(dω/dν̃) ∫ ⟨45 ȧ(0)ȧ(t) + 7·(3/2) β̃̇(0):β̃̇(t)⟩ e^{−iωt} dt ,

whose band areas are the harmonic Raman activities in Å⁴/amu that quantum-chemistry programs print.
The light scattered at temperature T with a laser of wavenumber ν̃₀ is

    I(ν̃) ∝ (ν̃₀ − ν̃)⁴ / (ν̃ [1 − exp(−hcν̃/kT)]) · S(ν̃) ;

the Bose factor belongs to Stokes scattering; as in the infrared no further correction is applied.

References
----------
Thomas et al. 2013, https://doi.org/10.1039/C3CP44302G.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import pi

import numpy as np
from numpy.typing import NDArray

from densnet.errors import InputError
from densnet.spectra.correlation import Resolution, power_spectrum
from densnet.spectra.estimate import estimate_spectrum
from densnet.spectra.signals import Signal
from densnet.spectra.spectrum import Spectrum
from densnet.units import AU_WAVENUMBER_CM1, BOHR_ANGSTROM, DALTON_AU, KELVIN_HARTREE

Array = NDArray[np.float64]

UNIT = "Å⁴/amu per cm⁻¹"
# bohr⁴ per electron mass (polarizability volume squared over mass-weighted coordinate squared).
_AU_ANGSTROM4_AMU = BOHR_ANGSTROM**4 * DALTON_AU


@dataclass(frozen=True)
class Raman:
    """Raman activities per wavenumber, Å⁴/amu per cm⁻¹.

    Parameters
    ----------
    total : Spectrum
        45 ā² + 7 γ².
    isotropic : Spectrum
        45 ā².
    depolarised : Spectrum
        3 γ², light scattered with crossed polarisation.
    """

    total: Spectrum
    isotropic: Spectrum
    depolarised: Spectrum


def raman(signals: Sequence[Signal], resolution: Resolution) -> Raman:
    """Raman activity spectra of a gas-phase molecule.

    Parameters
    ----------
    signals : sequence of Signal
        Polarizabilities (n, 3, 3), bohr³, symmetric.
    resolution : Resolution

    Returns
    -------
    Raman
    """
    for signal in signals:
        if signal.values.shape[1:] != (3, 3):
            raise InputError(
                f"{signal.segment}: polarizabilities must have shape (n, 3, 3), "
                f"got {signal.values.shape}"
            )

    def spectrum(weight_isotropic: float, weight_anisotropic: float, name: str) -> Spectrum:
        def kernel(signal: Signal) -> tuple[Array, Array]:
            mean, traceless = split_polarizability(signal.values)
            components = np.concatenate(
                [
                    np.sqrt(weight_isotropic) * mean[:, None],
                    np.sqrt(1.5 * weight_anisotropic) * traceless.reshape(len(mean), 9),
                ],
                axis=1,
            )
            omega, power = power_spectrum(
                components, signal.timestep_au, resolution, derivative=True
            )
            beta = 1.0 / (signal.temperature_kelvin * KELVIN_HARTREE)
            return omega, beta / pi / AU_WAVENUMBER_CM1 * _AU_ANGSTROM4_AMU * power

        return estimate_spectrum(
            signals, resolution, kernel, quantity=f"Raman activity, {name}", unit=UNIT
        )

    return Raman(
        total=spectrum(45.0, 7.0, "total"),
        isotropic=spectrum(45.0, 0.0, "isotropic"),
        depolarised=spectrum(0.0, 3.0, "depolarised"),
    )


def mode_activity(derivatives: Array) -> Array:
    """Raman activity of normal modes, 45 ā′² + 7 γ′², (n_modes,), Å⁴/amu.

    Parameters
    ----------
    derivatives : (n_modes, 3, 3) float64
        ∂α/∂Q in bohr³ per √m_e·bohr, Q mass-weighted.
    """
    mean, traceless = split_polarizability(derivatives)
    squared_anisotropy = 1.5 * np.square(traceless).sum(axis=(1, 2))
    return np.asarray(_AU_ANGSTROM4_AMU * (45.0 * mean**2 + 7.0 * squared_anisotropy))


def split_polarizability(polarizability: Array) -> tuple[Array, Array]:
    """Split into mean and traceless part: (n, 3, 3) → (n,), (n, 3, 3)."""
    mean = np.trace(polarizability, axis1=1, axis2=2) / 3.0
    return mean, polarizability - mean[:, None, None] * np.eye(3)


def stokes_intensity(activity: Spectrum, laser_nm: float, temperature_kelvin: float) -> Spectrum:
    """Light scattered on the Stokes side, scaled to a maximum of 1.

    Parameters
    ----------
    activity : Spectrum
        From :func:`raman`.
    laser_nm : float
        Wavelength of the exciting light in vacuum.
    temperature_kelvin : float

    Returns
    -------
    Spectrum
        Points at and below zero wavenumber are left out.
    """
    laser_cm1 = 1e7 / laser_nm
    low = activity.wavenumber_cm1[activity.wavenumber_cm1 > 0].min()
    part = activity.cut(float(low), laser_cm1 * 0.999)
    nu = part.wavenumber_cm1
    ratio = nu / AU_WAVENUMBER_CM1 / (temperature_kelvin * KELVIN_HARTREE)
    factor = (laser_cm1 - nu) ** 4 / (nu * -np.expm1(-ratio))
    factor /= (factor * part.intensity).max()
    return replace(
        part,
        intensity=part.intensity * factor,
        error=None if part.error is None else part.error * factor,
        samples=part.samples * factor,
        quantity=f"Stokes Raman intensity, {laser_nm:g} nm",
        unit="relative",
    )
