"""A structure accepts only what can be a molecule in bohr."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from densnet.errors import InputError, NonFiniteError, UnitsError
from densnet.structure import Structure
from densnet.units import BOHR_ANGSTROM

WATER_BOHR = np.array([[0.0, 0.0, 0.2217], [0.0, 1.4309, -0.8867], [0.0, -1.4309, -0.8867]])
NUMBERS = np.array([8, 1, 1])


def test_arrays_take_their_types_and_counts_follow() -> None:
    water = Structure([8, 1, 1], WATER_BOHR.astype(np.float32), charge=1)
    assert water.numbers.dtype == np.int64
    assert water.positions.dtype == np.float64
    assert (water.n_atoms, water.n_electrons) == (3, 9)


def test_structure_is_frozen_and_keeps_its_own_arrays() -> None:
    positions = WATER_BOHR.copy()
    water = Structure(NUMBERS, positions)
    positions[0, 0] = 7.0
    assert water.positions[0, 0] == 0.0
    with pytest.raises(FrozenInstanceError):
        water.charge = 1


def test_angstrom_in_place_of_bohr_are_refused() -> None:
    hydrogen = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.74]])
    with pytest.raises(
        UnitsError, match=r"atoms 0 and 1 are 0\.740 bohr \(0\.392 angstrom\) apart"
    ):
        Structure([1, 1], hydrogen)
    assert Structure([1, 1], hydrogen / BOHR_ANGSTROM).n_atoms == 2


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_position_that_is_not_finite_is_named(value: float) -> None:
    positions = WATER_BOHR.copy()
    positions[2, 1] = value
    with pytest.raises(NonFiniteError, match="atom 2"):
        Structure(NUMBERS, positions)


def test_a_cell_that_is_not_finite_is_refused() -> None:
    with pytest.raises(NonFiniteError, match="cell"):
        Structure(NUMBERS, WATER_BOHR, cell=np.diag([20.0, 20.0, np.nan]))


@pytest.mark.parametrize(
    ("numbers", "positions", "cell", "message"),
    [
        ([8, 1], WATER_BOHR, None, r"shape \(2, 3\)"),
        ([], np.empty((0, 3)), None, r"shape \(n_atoms,\)"),
        ([[8, 1, 1]], WATER_BOHR, None, r"shape \(n_atoms,\)"),
        ([8, 1, 0], WATER_BOHR, None, "between 1 and 118"),
        ([8, 1, 119], WATER_BOHR, None, "between 1 and 118"),
        ([8, 1, 1], WATER_BOHR[:, :2], None, r"shape \(3, 3\)"),
        ([8, 1, 1], WATER_BOHR, np.ones(3), r"cell must have shape \(3, 3\)"),
    ],
)
def test_wrong_shapes_and_charges_are_refused(
    numbers: list[int], positions: np.ndarray, cell: np.ndarray | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Structure(numbers, positions, cell)
