import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from densnet.errors import InputError
from densnet.spectra.harmonic import harmonic_modes
from densnet.spectra.mode_matching import compare_modes, relative_error, superposition

MASSES = np.array([4.0, 1.0, 2.0, 3.0, 1.0])
POSITIONS = np.random.default_rng(3).normal(size=(5, 3))


def test_modes_that_exchange_intensity_are_one_band_where_they_are_degenerate() -> None:
    wavenumbers = np.array([3697.1, 732.0, 3694.4, 1162.0])
    expected = np.array([40.0, 30.0, 60.0, 70.0])
    difference = np.array([-20.0, 2.0, 21.0, -4.0])
    assert relative_error(difference, expected, wavenumbers) == pytest.approx(47.0 / 200.0)
    assert relative_error(difference, expected, wavenumbers, 2.0) == pytest.approx(47.0 / 200.0)
    assert relative_error(difference, expected, wavenumbers, 5.0) == pytest.approx(7.0 / 200.0)


def test_a_chain_of_near_modes_is_one_band() -> None:
    wavenumbers = np.array([100.0, 104.0, 108.0, 120.0])
    difference = np.array([3.0, -1.0, -2.0, 5.0])
    found = relative_error(difference, np.full(4, 10.0), wavenumbers, 5.0)
    assert found == pytest.approx(5.0 / 40.0)


def test_a_turned_and_shifted_structure_is_the_same() -> None:
    turn = Rotation.from_rotvec([0.3, -1.1, 0.7])
    moved = turn.apply(POSITIONS) + np.array([1.0, 2.0, -3.0])
    found, distance = superposition(POSITIONS, moved, MASSES)
    assert distance < 1e-7
    np.testing.assert_allclose(found.as_matrix(), turn.as_matrix(), atol=1e-7)


def test_the_distance_that_is_left_is_the_mass_weighted_root_mean_square() -> None:
    centred = POSITIONS - MASSES @ POSITIONS / MASSES.sum()
    expected = 0.2 * np.sqrt(MASSES @ np.sum(centred**2, axis=1) / MASSES.sum())
    assert superposition(POSITIONS, 1.2 * POSITIONS, MASSES)[1] == pytest.approx(expected)


def test_modes_of_a_mirror_image_are_not_paired() -> None:
    root = np.random.default_rng(4).normal(size=(15, 15))
    modes = harmonic_modes(root @ root.T, MASSES, POSITIONS)
    same = compare_modes(modes, POSITIONS, modes, POSITIONS, MASSES)
    np.testing.assert_array_equal(same.order, np.arange(len(modes.wavenumber_cm1)))
    mirrored = POSITIONS * np.array([1.0, 1.0, -1.0])
    with pytest.raises(InputError, match="mirror images"):
        compare_modes(modes, POSITIONS, modes, mirrored, MASSES)
