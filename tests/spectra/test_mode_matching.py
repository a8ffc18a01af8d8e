import numpy as np
import pytest

from densnet.spectra.mode_matching import relative_error


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
