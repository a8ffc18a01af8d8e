"""One Fock build from a density: exact densities, the energy's order, refusals."""

from dataclasses import replace

import numpy as np
import pytest

from densnet.basis import DensityBasis
from densnet.errors import InputError
from densnet.reference.density_fit import DensityFitter, coulomb_matrix, pyscf_molecule
from densnet.reference.density_start import start_from_density
from densnet.reference.kept_grid import KeptGridIntegrator
from densnet.reference.level import Level
from densnet.reference.method import build_method, build_molecule
from densnet.reference.scf import Calculator
from densnet.structure import Structure

LEVEL = Level(basis="def2-svp", grid_level=2)
BASIS = DensityBasis.load("densnet-dz-367")


@pytest.fixture
def fitted(water: Structure):
    label = Calculator(LEVEL).label(water)
    fitter = DensityFitter(BASIS, water.numbers, LEVEL.basis)
    return label, fitter.fit(water.positions, label.orbitals, label.dipole)


def test_a_good_density_gives_nearly_the_energy_and_starts_near_convergence(water, fitted):
    label, coefficients = fitted
    start = start_from_density(water, LEVEL, BASIS, coefficients)
    assert start.n_electrons == pytest.approx(10.0, abs=5e-3)
    # The fit is off by 0.2 % of the electrons; the energy's error is of second order.
    assert start.harris_energy == pytest.approx(label.energy, abs=2e-3)
    atoms_only = start_from_density(water, LEVEL, BASIS, np.zeros_like(coefficients))
    assert abs(atoms_only.harris_energy - label.energy) > 10.0 * abs(
        start.harris_energy - label.energy
    )
    cycles = []
    for guess in (start.density_matrix, atoms_only.density_matrix, None):
        # A method of its own: a used one starts from its last orbitals when no guess is given.
        method = build_method(build_molecule(water, LEVEL), LEVEL, KeptGridIntegrator())
        method.kernel(dm0=guess)
        assert method.e_tot == pytest.approx(label.energy, abs=1e-7)
        cycles.append(method.cycles)
    assert cycles[0] < min(cycles[1:])


def test_the_energy_error_is_of_second_order(water, fitted, rng):
    label, coefficients = fitted
    # Halfway from the free atoms to the density: a quarter of the error.
    errors = [
        start_from_density(water, LEVEL, BASIS, fraction * coefficients).harris_energy
        - label.energy
        for fraction in (0.0, 0.5)
    ]
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.3)


def test_the_coulomb_matrix_is_that_of_a_point_charge_far_away(water):
    # A neutral tight s pair is nothing; a tight s of unit charge acts as a point.
    far = pyscf_molecule([1], [[0.0, 0.0, 40.0]], {"H": [[0, [1e3, 1.0]]]})
    a = 1e3
    charge = (2.0 * np.pi / a) ** 0.75  # of a normalised s function
    mol = pyscf_molecule(water.numbers, water.positions, "sto-3g")
    matrix = coulomb_matrix(mol, far, [1.0 / charge])
    with mol.with_rinv_origin((0.0, 0.0, 40.0)):
        expected = mol.intor("int1e_rinv")
    np.testing.assert_allclose(matrix, expected, atol=1e-9)


@pytest.mark.parametrize("xc", ["b3lyp", "r2scan"])
def test_functionals_of_orbitals_are_refused(water, xc):
    with pytest.raises(InputError, match="needs LDA or GGA"):
        start_from_density(water, replace(LEVEL, xc=xc), BASIS, np.zeros(1))
