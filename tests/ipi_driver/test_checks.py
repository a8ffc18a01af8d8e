"""Wrong first frames are refused with the reason; right ones pass, however hot."""

import numpy as np
import pytest

from densnet.errors import AtomOrderError, InputError, UnitsError, UnknownElementError
from densnet.units import BOHR_ANGSTROM
from ipi_driver.checks import (
    Template,
    bonded_pairs,
    check_cell,
    check_molecule,
    check_parameters,
    check_structure,
)
from tests.ipi_driver.elastic_ethanol import NUMBERS, POSITIONS, SYMBOLS, ElasticEthanol

# Swaps a carbon with a hydrogen, the hydroxyl hydrogen with a methyl one, and oxygen with carbon.
PERMUTATIONS = [(1, 6), (8, 3), (2, 1)]
# RMS displacement of light atoms in path-integral beads at 300 K, bohr.
THERMAL_BOHR = 0.12


@pytest.fixture
def template() -> Template:
    return Template.from_manifest(ElasticEthanol().manifest)


def random_rotation(rng: np.random.Generator) -> np.ndarray:
    q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return q * np.sign(np.linalg.det(q))


def test_bonds_of_ethanol_are_found() -> None:
    bonds = {tuple(pair) for pair in bonded_pairs(NUMBERS, POSITIONS).tolist()}
    assert bonds == {(0, 1), (0, 3), (0, 4), (0, 5), (1, 2), (1, 6), (1, 7), (2, 8)}


def test_any_orientation_and_thermal_motion_passes(
    template: Template, rng: np.random.Generator
) -> None:
    for _ in range(200):
        shift = rng.normal(scale=10.0, size=3)
        noise = rng.normal(scale=THERMAL_BOHR, size=POSITIONS.shape)
        check_structure(template, POSITIONS @ random_rotation(rng).T + shift + noise)


def test_gauche_ethanol_passes(template: Template) -> None:
    axis = POSITIONS[2] - POSITIONS[1]
    axis /= np.linalg.norm(axis)
    angle = np.deg2rad(120.0)
    arm = POSITIONS[8] - POSITIONS[2]
    turned = (
        arm * np.cos(angle)
        + np.cross(axis, arm) * np.sin(angle)
        + axis * (axis @ arm) * (1 - np.cos(angle))
    )
    positions = POSITIONS.copy()
    positions[8] = POSITIONS[2] + turned
    check_structure(template, positions)


def test_angstrom_sent_as_bohr_is_named(template: Template) -> None:
    with pytest.raises(UnitsError, match="units='angstrom'"):
        check_structure(template, POSITIONS * BOHR_ANGSTROM)


def test_a_double_conversion_is_named(template: Template) -> None:
    with pytest.raises(UnitsError, match="converted twice"):
        check_structure(template, POSITIONS / BOHR_ANGSTROM)


def test_angstrom_in_another_order_is_still_called_a_unit(
    template: Template, rng: np.random.Generator
) -> None:
    with pytest.raises(UnitsError):
        check_structure(template, POSITIONS[rng.permutation(9)] * BOHR_ANGSTROM)


@pytest.mark.parametrize(("i", "j"), PERMUTATIONS)
def test_permuted_atoms_are_refused(template: Template, i: int, j: int) -> None:
    order = np.arange(9)
    order[[i, j]] = order[[j, i]]
    with pytest.raises(AtomOrderError, match="C C O H H H H H H"):
        check_structure(template, POSITIONS[order])


def test_exchanging_hydrogens_of_one_group_changes_nothing(template: Template) -> None:
    check_structure(template, POSITIONS[[0, 1, 2, 4, 5, 3, 7, 6, 8]])


def test_another_element_in_place_of_hydrogen_is_refused(template: Template) -> None:
    positions = POSITIONS.copy()
    chlorine_distance = 1.78 / BOHR_ANGSTROM
    bond = positions[3] - positions[0]
    positions[3] = positions[0] + bond * chlorine_distance / np.linalg.norm(bond)
    with pytest.raises(AtomOrderError, match="C0-H3"):
        check_structure(template, positions)


def test_a_molecule_folded_into_the_cell_is_refused(template: Template) -> None:
    positions = POSITIONS.copy()
    positions[:, 0] %= 20.0
    with pytest.raises(AtomOrderError, match="periodic wrapping"):
        check_structure(template, positions)


def test_a_position_that_is_not_finite_is_refused(template: Template) -> None:
    positions = POSITIONS.copy()
    positions[4, 1] = np.nan
    with pytest.raises(InputError, match="atom 4"):
        check_structure(template, positions)


def test_declared_elements_and_charge_are_compared(template: Template) -> None:
    check_parameters(template, {})
    check_parameters(template, {"elements": " ".join(SYMBOLS), "charge": "+0"})
    with pytest.raises(UnknownElementError, match="Cl"):
        check_parameters(template, {"elements": "C C O H H H H H Cl"})
    with pytest.raises(AtomOrderError, match="order C C O"):
        check_parameters(template, {"elements": "O C C H H H H H H"})
    with pytest.raises(InputError, match="charge 1"):
        check_parameters(template, {"charge": "1"})


def test_a_transposed_cell_is_refused() -> None:
    # i-PI: upper triangular with vectors in columns, hence lower triangular in rows.
    rows = np.array([[20.0, 0, 0], [3.0, 20.0, 0], [1.0, 2.0, 20.0]])
    check_cell(rows, np.linalg.inv(rows))
    with pytest.raises(InputError, match="transposed"):
        check_cell(rows.T, np.linalg.inv(rows.T))
    with pytest.raises(InputError, match="do not belong together"):
        check_cell(rows, np.linalg.inv(rows.T))


def test_no_cell_is_a_cell() -> None:
    check_cell(np.zeros((3, 3)), np.zeros((3, 3)))


def test_a_bundle_without_template_is_refused() -> None:
    with pytest.raises(InputError, match="export the model again"):
        Template.from_manifest({"charge": 0})


def test_the_order_of_atoms_matters_only_where_it_is_asked_for(template: Template) -> None:
    backwards = template.numbers[::-1], POSITIONS[::-1]
    check_molecule(template, *backwards, any_order=True)
    with pytest.raises(AtomOrderError, match="in this order"):
        check_molecule(template, *backwards)
    with pytest.raises(UnitsError, match="in bohr"):
        check_molecule(template, backwards[0], backwards[1] / BOHR_ANGSTROM, any_order=True)
