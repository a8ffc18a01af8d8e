"""The ASE calculator: units, dipole access, and refusals."""

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.fd import calculate_numerical_forces
from ase.units import Bohr, Hartree

from densnet.calculators.ase import DensNetCalculator
from densnet.errors import InputError, UnitsError
from densnet.export.loading import load_model
from densnet.units import AU_DEBYE, BOHR_ANGSTROM, HARTREE_EV
from tests.polarizable import load_older_model


@pytest.fixture(scope="module")
def model():
    return load_model("ethanol", dtype="float64")


@pytest.fixture
def atoms(model, rng):
    positions = model.template_positions + 0.05 * rng.normal(size=(9, 3))
    result = Atoms(model.template_numbers, positions * BOHR_ANGSTROM)
    result.calc = DensNetCalculator(model)
    return result


def test_results_are_the_models_in_ase_units(atoms, model):
    expected = model.evaluate(atoms.numbers, atoms.positions / BOHR_ANGSTROM)
    assert atoms.get_potential_energy() == pytest.approx(expected.energy[0] * HARTREE_EV)
    np.testing.assert_allclose(
        atoms.get_forces(), expected.forces[0] * HARTREE_EV / BOHR_ANGSTROM, rtol=1e-12
    )
    np.testing.assert_allclose(atoms.get_dipole_moment(), expected.dipole[0] * BOHR_ANGSTROM)
    # About 1.6 D for either conformer of ethanol.
    debye = np.linalg.norm(atoms.get_dipole_moment()) / BOHR_ANGSTROM * AU_DEBYE
    assert 1.0 < debye < 2.3
    assert abs(atoms.get_charges().sum()) < 1e-10


def test_ases_own_finite_differences_agree_with_the_forces(atoms):
    numerical = calculate_numerical_forces(atoms, eps=1e-4, iatoms=[2, 8])
    # Central differences of 1e-4 Å and energies of 4e3 eV with 16 digits: 1e-8 and 1e-9 / 1e-4.
    np.testing.assert_allclose(atoms.get_forces()[[2, 8]], numerical, atol=1e-5)


def test_a_big_box_changes_nothing_and_has_a_stress(atoms):
    energy = atoms.get_potential_energy()
    atoms.set_cell([20.0, 20.0, 20.0])
    atoms.pbc = True
    assert atoms.get_potential_energy() == pytest.approx(energy, abs=1e-9)
    assert atoms.get_stress().shape == (6,)


def test_half_periodic_cells_and_stress_of_molecules_are_refused(atoms):
    with pytest.raises(InputError, match="has no stress"):
        atoms.get_stress()
    atoms.set_cell([20.0, 20.0, 20.0])
    atoms.pbc = (True, True, False)
    with pytest.raises(InputError, match="periodic in all three"):
        atoms.get_potential_energy()


def test_bohr_passed_as_angstrom_is_noticed(model):
    squeezed = Atoms(model.template_numbers, model.template_positions * 0.5 * BOHR_ANGSTROM)
    squeezed.calc = DensNetCalculator(model)
    with pytest.raises(UnitsError, match=r"0\.486 angstrom\) apart"):
        squeezed.get_potential_energy()


def test_the_polarizability_is_a_property_in_ase_units_evaluated_only_when_asked(
    polarizable_bundle, atoms
):
    polarizable = load_model(polarizable_bundle, dtype="float64")
    atoms.calc = DensNetCalculator(polarizable)
    atoms.get_potential_energy()
    assert "polarizability" not in atoms.calc.results
    found = atoms.calc.get_property("polarizability", atoms)
    expected = polarizable.evaluate(
        atoms.numbers, atoms.positions / BOHR_ANGSTROM, polarizability=True
    ).polarizability[0]
    # As a volume: bohr³ in Å³.
    np.testing.assert_allclose(found * Bohr * Hartree, expected * BOHR_ANGSTROM**3, rtol=1e-6)
    assert np.abs(found).max() > 1e-3
    atoms.calc = DensNetCalculator(load_older_model())
    with pytest.raises(PropertyNotImplementedError):
        atoms.calc.get_property("polarizability", atoms)


@pytest.mark.parametrize(
    ("factor", "keep", "words"),
    [(1.0 / BOHR_ANGSTROM, slice(None), "are in bohr"), (1.0, slice(-1), "has the atoms C C O")],
)
def test_another_molecule_or_unit_is_said_once(model, factor, keep, words):
    positions = model.template_positions[keep] * BOHR_ANGSTROM * factor
    other = Atoms(model.template_numbers[keep], positions)
    other.calc = DensNetCalculator(model)
    with pytest.warns(UserWarning, match=words):
        other.get_potential_energy()
    other.rattle(0.01)
    # A second warning would be an error here.
    other.get_potential_energy()
