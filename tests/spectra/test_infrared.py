"""Infrared intensities against the analytic result for harmonic oscillators, and SI units."""

import numpy as np
import pytest
from scipy import constants
from scipy.spatial.transform import Rotation

from densnet.errors import InputError
from densnet.spectra.correlation import Resolution
from densnet.spectra.infrared import (
    DECADIC_L_MOL_CM,
    absorption_coefficient_cm1,
    absorption_factor,
    dipole_rate,
    infrared,
)
from densnet.spectra.signals import Signal
from densnet.units import AU_FS, AU_TIME_S, AU_WAVENUMBER_CM1, BOHR_M
from tests.spectra.oscillator import TEMPERATURE_KELVIN, UNIT_DERIVATIVE, coordinate, line
from tests.tolerances import LEAKAGE_RELATIVE, LINE_AREA_RELATIVE, SIGMAS

# Integrated intensity of ∂μ/∂Q = 1 D/(Å √amu).
KM_MOL = 42.2561


@pytest.mark.parametrize("window", ["blackman", "hann", "gaussian"])
@pytest.mark.parametrize("wavenumber", [613.7, 1054.2, 2991.3, 3676.1])
def test_a_harmonic_dipole_is_one_line_in_place_with_its_intensity(
    wavenumber: float, window: str
) -> None:
    spectrum = infrared([line(wavenumber)], Resolution(10.0, window))
    peak = spectrum.wavenumber_cm1[spectrum.intensity.argmax()]
    assert abs(peak - wavenumber) <= 0.5 * spectrum.wavenumber_cm1[1]
    area = spectrum.area(wavenumber - 150.0, wavenumber + 150.0)
    assert area == pytest.approx(KM_MOL, rel=LINE_AREA_RELATIVE)
    assert spectrum.area(400.0, 4000.0) == pytest.approx(KM_MOL, rel=LINE_AREA_RELATIVE)


def test_exact_derivative_gives_the_same_spectrum_as_the_dipole() -> None:
    from_dipole = infrared([line(1054.2)], Resolution(8.0))
    exact = infrared([line(1054.2, derivative=True)], Resolution(8.0), exact_derivative=True)
    difference = np.abs(from_dipole.intensity - exact.intensity).max()
    assert difference < LINE_AREA_RELATIVE * exact.intensity.max()


def test_thermal_amplitudes_average_to_the_harmonic_intensity(rng: np.random.Generator) -> None:
    signals = []
    for index in range(200):
        q, _ = coordinate(1500.0, 1500, 2.0, rng.uniform(0, 2 * np.pi), np.sqrt(rng.exponential()))
        dipole = UNIT_DERIVATIVE * q[:, None] * np.array([0.6, 0.0, 0.8])
        signals.append(Signal(str(index), dipole, 2.0 / AU_FS, TEMPERATURE_KELVIN))
    spectrum = infrared(signals, Resolution(20.0))
    area = spectrum.area(1300.0, 1700.0)
    assert abs(area - KM_MOL) < SIGMAS * KM_MOL / np.sqrt(200)
    at_peak = spectrum.intensity.argmax()
    assert spectrum.error is not None
    relative = spectrum.error[at_peak] / spectrum.intensity[at_peak]
    assert relative == pytest.approx(1 / np.sqrt(200), rel=0.3)


def test_rotation_of_the_permanent_dipole_leaves_no_floor_under_the_vibrations() -> None:
    n, interval = 10_000, 2.0
    vibration = 0.3 * line(2000.0, n=n, interval_fs=interval).values
    times = np.arange(n) * interval / AU_FS
    turn = 25.3 / AU_WAVENUMBER_CM1 * times[:, None] * np.array([0.0, 0.6, 0.8])
    permanent = np.array([0.66, 0.1, 0.0])
    dipole = Rotation.from_rotvec(turn).apply(vibration + permanent)
    signal = Signal("a", dipole, interval / AU_FS, TEMPERATURE_KELVIN)
    spectrum = infrared([signal], Resolution(10.0))
    empty = spectrum.cut(2200.0, 4000.0).intensity
    assert np.abs(empty).max() < LEAKAGE_RELATIVE * spectrum.cut(1500.0, 2500.0).intensity.max()


def test_a_rotating_line_keeps_its_intensity_in_p_and_r_branches() -> None:
    n, interval = 10_000, 2.0
    times = np.arange(n) * interval / AU_FS
    turn = 20.0 / AU_WAVENUMBER_CM1 * times[:, None] * np.array([0.0, 0.0, 1.0])
    dipole = Rotation.from_rotvec(turn).apply(line(2000.0, n=n, interval_fs=interval).values)
    signal = Signal("a", dipole, interval / AU_FS, TEMPERATURE_KELVIN)
    spectrum = infrared([signal], Resolution(5.0))
    # Rotation adds ω_rot² ⟨M²⟩ to ⟨Ṁ²⟩: (20/2000)² of it.
    assert spectrum.area(1900.0, 2100.0) == pytest.approx(
        KM_MOL * (1 + 1e-4), rel=LINE_AREA_RELATIVE
    )
    p, r = spectrum.cut(1970.0, 1990.0), spectrum.cut(2010.0, 2030.0)
    assert p.wavenumber_cm1[p.intensity.argmax()] == pytest.approx(1980.0, abs=0.7)
    assert r.wavenumber_cm1[r.intensity.argmax()] == pytest.approx(2020.0, abs=0.7)


def test_factor_agrees_with_si_constants() -> None:
    beta = 1.0 / (constants.k * 350.0)
    dipole_rate = constants.e * BOHR_M / AU_TIME_S
    si = beta / (6 * constants.epsilon_0 * constants.c) * dipole_rate**2 * AU_TIME_S
    km_mol_per_cm1 = si * constants.N_A * 100.0 / 1000.0
    assert absorption_factor(350.0) == pytest.approx(km_mol_per_cm1, rel=1e-8)


def test_absorption_coefficient_of_one_molecule_in_a_cell_is_the_formula() -> None:
    spectrum = infrared([line(1054.2)], Resolution(10.0))
    alpha = absorption_coefficient_cm1(spectrum, volume_angstrom3=1000.0)
    # κ = N_A V α: one molecule in 1000 Å³, α in 1/cm, κ in km/mol per cm⁻¹ = 1e7 cm²·…/mol.
    kappa_cm2_mol = spectrum.intensity * 1e5
    np.testing.assert_allclose(alpha, kappa_cm2_mol / (constants.N_A * 1e-21), rtol=1e-12)


def test_decadic_unit_is_that_of_the_textbooks() -> None:
    # 1 km/mol per cm⁻¹ = 1e5 cm²/mol naperian = 1e5/(1000 ln 10) L/(mol cm).
    assert pytest.approx(1e5 / (1000 * np.log(10)), rel=1e-12) == DECADIC_L_MOL_CM


def test_ring_polymer_beads_average_to_the_classical_line_of_a_harmonic_mode(
    rng: np.random.Generator,
) -> None:
    # Kubo-transformed: the centroid of a harmonic mode has the classical mean square, the internal
    # modes of the ring, of higher frequency, must leave no trace.
    n, beads, interval = 8000, 8, 1.0
    centroid = line(1500.0, n=n, interval_fs=interval).values
    internal = np.zeros((beads, n, 3))
    for k in range(1, beads):
        wavenumber = np.sqrt(1500.0**2 + (2 * beads * 208.5 * np.sin(np.pi * k / beads)) ** 2)
        q, _ = coordinate(wavenumber, n, interval, rng.uniform(0, 6.28))
        pattern = np.cos(2 * np.pi * k * np.arange(beads) / beads + 0.1)
        pattern -= pattern.mean()
        internal += UNIT_DERIVATIVE * pattern[:, None, None] * q[None, :, None]
    mean = (centroid[None] + internal).mean(axis=0)
    spectrum = infrared([Signal("a", mean, interval / AU_FS, TEMPERATURE_KELVIN)], Resolution(10.0))
    assert spectrum.area(1300.0, 1700.0) == pytest.approx(KM_MOL, rel=LINE_AREA_RELATIVE)
    assert abs(spectrum.area(1700.0, 4500.0)) < LINE_AREA_RELATIVE * KM_MOL


def test_dipole_rate_is_the_derivative_along_the_velocities(rng: np.random.Generator) -> None:
    tensors, velocities = rng.normal(size=(6, 4, 3, 3)), rng.normal(size=(6, 4, 3))
    direct = [
        sum(velocities[t, a, i] * tensors[t, a, i] for a in range(4) for i in range(3))
        for t in range(6)
    ]
    np.testing.assert_allclose(dipole_rate(tensors, velocities), direct, atol=1e-13)


def test_segments_of_different_spacing_are_refused() -> None:
    with pytest.raises(InputError, match="every 2 and 1 fs"):
        infrared([line(1000.0), line(1000.0, interval_fs=1.0, segment="b")], Resolution(10.0))


def test_a_temperature_of_zero_is_refused() -> None:
    with pytest.raises(InputError, match="temperature must be positive"):
        absorption_factor(0.0)
