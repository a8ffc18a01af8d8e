"""Eckart frame, rigid motion, density of states and Raman of a model molecule."""

import numpy as np
import pytest
from ase.data import atomic_masses, atomic_numbers
from scipy.spatial.transform import Rotation

from densnet.errors import InputError, UnknownElementError
from densnet.spectra.correlation import Resolution
from densnet.spectra.eckart import (
    eckart_rotations,
    remove_rigid_motion,
    rotate_tensors,
    rotate_vectors,
)
from densnet.spectra.masses import MASSES_DALTON, standard_masses
from densnet.spectra.molecular_frame import on_common_steps, skip_start
from densnet.spectra.raman import raman, split_polarizability, stokes_intensity
from densnet.spectra.series import Rows
from densnet.spectra.signals import Signal
from densnet.spectra.vibrational_density import vibrational_density
from densnet.units import (
    AU_FS,
    AU_WAVENUMBER_CM1,
    BOHR_ANGSTROM,
    DALTON_AU,
    KELVIN_HARTREE,
)
from tests.spectra.oscillator import TEMPERATURE_KELVIN, coordinate
from tests.tolerances import LINE_AREA_RELATIVE

MASSES = standard_masses(["O", "H", "H", "C"])


@pytest.fixture
def reference(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(4, 3)) * 2.0


def test_eckart_rotations_undo_a_rotation(rng: np.random.Generator, reference: np.ndarray) -> None:
    turns = Rotation.random(20, rng=rng).as_matrix()
    moved = np.einsum("txy,ay->tax", turns, reference) + rng.normal(size=(20, 1, 3))
    rotations = eckart_rotations(moved, MASSES, reference)
    np.testing.assert_allclose(rotations @ turns, np.tile(np.eye(3), (20, 1, 1)), atol=1e-12)


def test_eckart_condition_holds_for_a_distorted_molecule(
    rng: np.random.Generator, reference: np.ndarray
) -> None:
    turns = Rotation.random(20, rng=rng).as_matrix()
    distorted = reference + 0.1 * rng.normal(size=(20, 4, 3))
    moved = np.einsum("txy,tay->tax", turns, distorted)
    rotations = eckart_rotations(moved, MASSES, reference)
    np.testing.assert_allclose(np.linalg.det(rotations), 1.0, atol=1e-12)
    turned = np.einsum("txy,tay->tax", rotations, moved)
    centred = reference - MASSES @ reference / MASSES.sum()
    moment = np.einsum("a,tax->tx", MASSES, np.cross(centred, turned))
    np.testing.assert_allclose(moment / MASSES.sum(), 0.0, atol=1e-12)


def test_a_planar_molecule_is_not_reflected(rng: np.random.Generator) -> None:
    planar = np.array([[0.0, 0, 0], [1.8, 0, 0], [-0.5, 1.7, 0]])
    turns = Rotation.random(50, rng=rng).as_matrix()
    moved = np.einsum("txy,ay->tax", turns, planar) + 0.02 * rng.normal(size=(50, 3, 3))
    rotations = eckart_rotations(moved, MASSES[:3], planar)
    np.testing.assert_allclose(np.linalg.det(rotations), 1.0, atol=1e-12)


def test_vectors_and_tensors_turn_alike(rng: np.random.Generator) -> None:
    turns = Rotation.random(5, rng=rng).as_matrix()
    v = rng.normal(size=(5, 3))
    tensors = np.einsum("tx,ty->txy", v, v)
    turned = rotate_vectors(turns, v)
    np.testing.assert_allclose(
        rotate_tensors(turns, tensors), np.einsum("tx,ty->txy", turned, turned), atol=1e-13
    )


def test_rigid_motion_is_removed_and_nothing_else(
    rng: np.random.Generator, reference: np.ndarray
) -> None:
    r = np.tile(reference, (6, 1, 1))
    rigid = rng.normal(size=(6, 1, 3)) + np.cross(rng.normal(size=(6, 1, 3)), r)
    np.testing.assert_allclose(remove_rigid_motion(r, rigid, MASSES), 0.0, atol=1e-12)
    internal = remove_rigid_motion(r, rng.normal(size=(6, 4, 3)), MASSES)
    np.testing.assert_allclose(
        remove_rigid_motion(r, internal + rigid, MASSES), internal, atol=1e-12
    )


def test_a_linear_molecule_loses_only_two_rotations(rng: np.random.Generator) -> None:
    r = np.tile(np.array([[0.0, 0, -2], [0, 0, 0], [0, 0, 2.2]]), (400, 1, 1))
    v = rng.normal(size=(400, 3, 3)) / np.sqrt(MASSES[:3])[:, None]
    internal = remove_rigid_motion(r, v, MASSES[:3])
    freedom = (MASSES[:3, None] * internal**2).sum(axis=(1, 2)).mean()
    assert freedom == pytest.approx(9 - 5, abs=0.5)


def test_density_of_states_of_thermal_modes_counts_them() -> None:
    n, wavenumbers = 8000, (700.0, 1500.0, 3000.0)
    velocities = np.zeros((n, 1, 3))
    for axis, wavenumber in enumerate(wavenumbers):
        velocities[:, 0, axis] = coordinate(wavenumber, n, 2.0, 0.2)[1] / np.sqrt(DALTON_AU)
    signal = Signal("a", velocities, 2.0 / AU_FS, TEMPERATURE_KELVIN)
    spectrum = vibrational_density([signal], np.array([DALTON_AU]), Resolution(15.0))
    for wavenumber in wavenumbers:
        area = spectrum.area(wavenumber - 200, wavenumber + 200)
        assert area == pytest.approx(1.0, rel=LINE_AREA_RELATIVE)


def test_velocities_and_masses_must_fit() -> None:
    signal = Signal("a", np.zeros((500, 2, 3)), 80.0, 300.0)
    with pytest.raises(InputError, match=r"2, 3.*for 4 masses"):
        vibrational_density([signal], MASSES, Resolution(50.0))


def test_raman_activity_of_a_mode_is_45_a_squared_plus_7_gamma_squared() -> None:
    n, wavenumber = 8000, 1200.0
    q, _ = coordinate(wavenumber, n, 2.0, 0.1)
    derivative = np.array([[1.0, 0.2, 0.0], [0.2, 0.4, -0.3], [0.0, -0.3, -0.1]])
    polarizability = 35.0 * np.eye(3) + derivative * q[:, None, None] * 1e-3
    signal = Signal("a", polarizability, 2.0 / AU_FS, TEMPERATURE_KELVIN)
    result = raman([signal], Resolution(10.0))
    d = derivative * 1e-3 * BOHR_ANGSTROM**2 * np.sqrt(DALTON_AU)  # Å²/√amu
    mean = np.trace(d) / 3
    gamma2 = 0.5 * (
        (d[0, 0] - d[1, 1]) ** 2
        + (d[1, 1] - d[2, 2]) ** 2
        + (d[2, 2] - d[0, 0]) ** 2
        + 6 * (d[0, 1] ** 2 + d[1, 2] ** 2 + d[0, 2] ** 2)
    )
    window = (wavenumber - 150, wavenumber + 150)
    for spectrum, expected in (
        (result.total, 45 * mean**2 + 7 * gamma2),
        (result.isotropic, 45 * mean**2),
        (result.depolarised, 3 * gamma2),
    ):
        assert spectrum.area(*window) == pytest.approx(expected, rel=LINE_AREA_RELATIVE)


def test_raman_does_not_change_when_the_molecule_is_turned(rng: np.random.Generator) -> None:
    values = rng.normal(size=(3000, 3, 3)).cumsum(axis=0)
    values = values + values.transpose(0, 2, 1)
    turn = np.tile(Rotation.random(rng=rng).as_matrix(), (3000, 1, 1))
    signals = [
        Signal("a", tensors, 2.0 / AU_FS, 300.0)
        for tensors in (values, rotate_tensors(turn, values))
    ]
    first, second = (raman([signal], Resolution(30.0)).total.intensity for signal in signals)
    np.testing.assert_allclose(first, second, rtol=1e-8, atol=1e-8 * first.max())


def test_split_polarizability_is_traceless(rng: np.random.Generator) -> None:
    mean, traceless = split_polarizability(rng.normal(size=(10, 3, 3)))
    np.testing.assert_allclose(np.trace(traceless, axis1=1, axis2=2), 0.0, atol=1e-14)
    assert mean.shape == (10,)


def test_stokes_intensities_carry_the_bose_factor() -> None:
    values = np.random.default_rng(1).normal(size=(4000, 3, 3))
    values = values + values.transpose(0, 2, 1)
    activity = raman([Signal("a", values, 2.0 / AU_FS, 300.0)], Resolution(50.0)).total
    light = stokes_intensity(activity, laser_nm=532.0, temperature_kelvin=300.0)
    activity = activity.cut(light.wavenumber_cm1[0], light.wavenumber_cm1[-1])
    factor = light.intensity / activity.intensity
    i, j = np.searchsorted(light.wavenumber_cm1, [500.0, 2500.0])
    nu = light.wavenumber_cm1
    x = nu / AU_WAVENUMBER_CM1 / (300.0 * KELVIN_HARTREE)
    expected = (1e7 / 532.0 - nu) ** 4 / nu / (1 - np.exp(-x))
    assert factor[i] / factor[j] == pytest.approx(expected[i] / expected[j], rel=1e-9)


def test_masses_agree_with_ase() -> None:
    for symbol, mass in MASSES_DALTON.items():
        if symbol != "D":
            assert mass == pytest.approx(atomic_masses[atomic_numbers[symbol]], rel=1e-6), symbol


def test_an_element_without_mass_is_named() -> None:
    with pytest.raises(UnknownElementError, match="no standard mass for Xx"):
        standard_masses(["H", "Xx"])


def test_the_start_of_every_segment_is_skipped_once() -> None:
    half = [Signal("a", np.zeros((100, 3)), 10.0 / AU_FS, 300.0) for _ in range(2)]
    kept = skip_start([*half, Signal("b", np.zeros((300, 3)), 10.0 / AU_FS, 300.0)], 1.5)
    assert [len(signal.values) for signal in kept] == [50, 150]


def test_quantities_of_different_stride_meet_on_common_steps() -> None:
    first = Rows(np.arange(0, 20, 2), np.arange(0.0, 20, 2), "a")
    second = Rows(np.arange(0, 20, 5), np.arange(0.0, 20, 5), "b")
    steps, a, b = on_common_steps(first, second)
    assert steps.tolist() == a.tolist() == b.tolist() == [0, 10]
