"""Minima, Hessians and polar tensors; the Kohn–Sham reference as a calculator; pairing of modes."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.fd import calculate_numerical_forces
from scipy.spatial.transform import Rotation

from densnet.calculators.ase import DensNetCalculator
from densnet.calculators.derivatives import differentiate, relax
from densnet.calculators.kohn_sham import KohnShamCalculator
from densnet.errors import InputError, SimulationError
from densnet.export.loading import load_model
from densnet.reference.level import Level
from densnet.spectra.harmonic import HarmonicModes, harmonic_modes
from densnet.spectra.masses import standard_masses
from densnet.spectra.mode_matching import compare_modes
from densnet.structure import Structure
from densnet.units import BOHR_ANGSTROM
from tests.reference.test_response import finite_field

SMALL = Level(basis="sto-3g", grid_level=3)
# So small that soft torsions, too, are close to their minimum; hartree/bohr.
LARGEST_FORCE = 2e-6


@pytest.fixture(scope="module")
def ethanol():
    model = load_model("ethanol", dtype="float64")
    atoms = Atoms(model.template_numbers, model.template_positions * BOHR_ANGSTROM)
    atoms.calc = DensNetCalculator(model)
    return relax(atoms, largest_force=LARGEST_FORCE)


class OnAGrid(DensNetCalculator):
    """The model with the net force and torque that a reference on a grid has."""

    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        arms = self.atoms.positions - self.atoms.positions.mean(axis=0)
        self.results["forces"] += [4e-3, 0.0, -2e-3] + np.cross([0.0, 2e-3, 1e-3], arms)


def modes_of(atoms, derivatives):
    masses = standard_masses(atoms.get_chemical_symbols())
    hessian = 0.5 * (derivatives.hessian + derivatives.hessian.T)
    return harmonic_modes(hessian, masses, derivatives.positions, derivatives.polar_tensors)


def test_a_net_force_and_torque_do_not_move_a_minimum(ethanol):
    start = ethanol.copy()
    start.positions += np.random.default_rng(5).normal(scale=0.03, size=start.positions.shape)
    start.calc = OnAGrid(ethanol.calc.model)
    found = relax(start, largest_force=LARGEST_FORCE, max_steps=100)
    np.testing.assert_allclose(found.get_all_distances(), ethanol.get_all_distances(), atol=5e-4)
    assert not found.constraints


def test_the_hessian_of_a_minimum_is_symmetric_and_moves_rigidly_for_nothing(ethanol):
    found = differentiate(ethanol, step=0.005)
    scale = np.abs(found.hessian).max()
    assert np.abs(found.hessian - found.hessian.T).max() < 1e-4 * scale
    translations = found.hessian.reshape(27, 9, 3).sum(axis=1)
    assert np.abs(translations).max() < 1e-6 * scale
    # A neutral molecule: moving all atoms together leaves the dipole alone. Atom by atom the error
    # of the differences, step²/6 times the third derivative of the dipole, does not cancel.
    assert np.abs(found.polar_tensors.sum(axis=0)).max() < 1e-4
    # Turning the molecule turns the dipole: Σ_A r_A × ∂μ_x/∂r_A = the turned unit vector.
    dipole = ethanol.get_dipole_moment() / BOHR_ANGSTROM
    turned = np.einsum("kij,ai,ajx->kx", levi_civita(), found.positions, found.polar_tensors)
    np.testing.assert_allclose(turned, np.einsum("kyx,y->kx", levi_civita(), dipole), atol=1e-4)
    modes = modes_of(ethanol, found)
    assert modes.wavenumber_cm1.min() > 100.0
    assert 3500.0 < modes.wavenumber_cm1.max() < 3900.0


def test_evaluations_are_kept_and_torn_lines_ignored(ethanol, tmp_path):
    path = tmp_path / "kept.txt"
    first = differentiate(ethanol, checkpoint=path)
    lines = path.read_text().splitlines()
    assert sum(line.endswith("end") for line in lines) == 54
    # Cut inside a line, as a kill would; the rest is found again, whatever the calculator says.
    path.write_text(path.read_text()[:-400])
    again = ethanol.copy()
    again.calc = Counted(ethanol.calc.model)
    second = differentiate(again, checkpoint=path)
    assert 1 <= again.calc.calls - 1 <= 3
    np.testing.assert_array_equal(first.hessian, second.hessian)
    moved = ethanol.copy()
    moved.positions[0, 0] += 0.01
    moved.calc = Counted(ethanol.calc.model)
    differentiate(moved, checkpoint=path)
    assert moved.calc.calls == 55


def test_a_minimum_that_is_not_reached_is_an_error(ethanol):
    moved = ethanol.copy()
    moved.rattle(0.05, seed=1)
    moved.calc = ethanol.calc
    with pytest.raises(SimulationError, match="no minimum after 2 steps"):
        relax(moved, max_steps=2)


def test_the_reference_has_the_forces_of_its_energy():
    water = molecule("H2O")
    water.rattle(0.02, seed=2)
    water.calc = KohnShamCalculator(SMALL)
    numerical = calculate_numerical_forces(water, eps=1e-3, iatoms=[0, 1])
    # Forces lack the derivative of the grid: some 1e-3 eV/Å.
    np.testing.assert_allclose(water.get_forces()[:2], numerical, atol=5e-3)
    assert water.get_dipole_moment().shape == (3,)
    water.pbc = True
    with pytest.raises(InputError, match="without pbc"):
        water.get_potential_energy()


def test_the_reference_has_a_polarizability_that_can_be_differentiated():
    hydrogen = Atoms("H2", [[0.0, 0.0, 0.0], [0.0, 0.0, 0.74]])
    hydrogen.calc = KohnShamCalculator(Level(basis="def2-svp", grid_level=1))
    hydrogen.get_forces()
    assert "polarizability" not in hydrogen.calc.results
    found = differentiate(hydrogen, step=0.02, polarizability=True)
    assert found.polarizability_tensors.shape == (2, 3, 3, 3)
    scale = np.abs(found.polarizability_tensors).max()
    # Both atoms moving alike change nothing, one moving sideways nothing of first order.
    assert np.abs(found.polarizability_tensors.sum(axis=0)).max() < 1e-3 * scale
    assert np.abs(found.polarizability_tensors[:, :2, 2, 2]).max() < 1e-3 * scale
    # Dipoles in finite fields, of a stretched and of a shortened bond.
    step, alpha = 0.02, []
    for sign in (1.0, -1.0):
        r = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.74 / BOHR_ANGSTROM + sign * step]])
        alpha.append(finite_field(Structure(np.array([1, 1]), r), hydrogen.calc.level))
    slope = (alpha[0] - alpha[1]) / (2.0 * step)
    assert scale > 1.0
    np.testing.assert_allclose(found.polarizability_tensors[1, 2], slope, atol=1e-2 * scale)


def test_modes_are_paired_whatever_their_order_and_orientation(rng):
    positions = rng.normal(size=(4, 3))
    masses = np.array([1.0, 12.0, 16.0, 1.0])
    random = rng.normal(size=(12, 12))
    reference = harmonic_modes(random @ random.T, masses, positions, rng.normal(size=(4, 3, 3)))
    turn = Rotation.random(random_state=3).as_matrix()
    order = rng.permutation(6)
    shuffled = HarmonicModes(
        reference.wavenumber_cm1[order] + 1.0,
        reference.intensity_km_mol[order] * 2.0,
        -reference.displacements[order] @ turn.T,
    )
    found = compare_modes(shuffled, positions @ turn.T + 5.0, reference, positions, masses)
    np.testing.assert_array_equal(order[found.order], np.arange(6))
    np.testing.assert_allclose(found.overlap, 1.0)
    np.testing.assert_allclose(found.wavenumber_error_cm1, 1.0)
    np.testing.assert_allclose(found.intensity_error_km_mol, reference.intensity_km_mol)
    fewer = HarmonicModes(
        reference.wavenumber_cm1[:5], reference.intensity_km_mol[:5], reference.displacements[:5]
    )
    with pytest.raises(InputError, match="not the same molecule"):
        compare_modes(fewer, positions, reference, positions, masses)


class Counted(DensNetCalculator):
    """The model, counting its calls."""

    def __init__(self, model):
        super().__init__(model)
        self.calls = 0

    def calculate(self, *args, **kwargs):
        self.calls += 1
        super().calculate(*args, **kwargs)


def levi_civita() -> np.ndarray:
    symbol = np.zeros((3, 3, 3))
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        symbol[i, j, k], symbol[i, k, j] = 1.0, -1.0
    return symbol
