"""The free atoms below the density: exact charge, small error, analytic integrals."""

import gc
import warnings

import numpy as np
import pytest
from pyscf import gto
from pyscf.scf import atom_ks

from densnet.basis import DensityBasis, Shell, library_names
from densnet.density import (
    prior_basis,
    prior_coefficients,
    prior_density_on_points,
    prior_potential_on_points,
)
from densnet.density.prior import prior_spread
from densnet.errors import UnknownElementError
from densnet.integrals import moments, potential_on_points
from tests.tolerances import BECKE_GRID, PRIOR_L1_PERCENT, ROUNDING

ELEMENTS = [(name, z) for name in library_names() for z in DensityBasis.load(name).prior]


@pytest.mark.parametrize(("name", "number"), ELEMENTS)
def test_every_free_atom_holds_exactly_z_electrons(name: str, number: int) -> None:
    basis = DensityBasis.load(name)
    coefficients = prior_coefficients(basis, [number])
    found = moments(prior_basis(basis), [number], np.zeros((1, 3)), coefficients)
    assert abs(found.charge - number) < ROUNDING * number


@pytest.mark.parametrize("number", [1, 6, 8])
def test_free_atoms_agree_with_spherical_kohn_sham_atoms(basis: DensityBasis, number: int) -> None:
    symbol = gto.elements.ELEMENTS[number]
    molecule = gto.M(atom=[(symbol, (0, 0, 0))], basis="aug-cc-pvdz", spin=number % 2, verbose=0)
    with warnings.catch_warnings():
        # PySCF leaves temporary files of its atoms to the garbage collector, and warns of itself.
        warnings.simplefilter("ignore", ResourceWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        _, _, orbitals, occupation = atom_ks.get_atm_nrks(molecule, xc="pbe")[symbol]
        gc.collect()
    log_r = np.linspace(np.log(1e-4), np.log(25.0), 600)
    r = np.exp(log_r)
    points = np.outer(r, [0.0, 0.0, 1.0])
    values = molecule.eval_gto("GTOval_sph", points) @ orbitals
    reference = (values**2) @ occupation
    fitted = prior_density_on_points(basis, [number], np.zeros((1, 3)), points)
    shell_volume = 4.0 * np.pi * r**3 * (log_r[1] - log_r[0])
    error = 100.0 * np.sum(np.abs(fitted - reference) * shell_volume) / number
    assert error < PRIOR_L1_PERCENT


def test_potential_of_free_atoms_is_that_of_their_density(basis: DensityBasis, rng) -> None:
    numbers, positions = [8, 1], np.array([[0.0, 0.0, 0.0], [0.3, 1.7, 0.0]])
    points = rng.normal(scale=2.0, size=(20, 3))
    electrons = potential_on_points(
        prior_basis(basis), numbers, positions, prior_coefficients(basis, numbers), points
    )
    distance = np.linalg.norm(points[:, None] - positions, axis=-1)
    expected = (np.array(numbers) / distance).sum(axis=1) - electrons
    found = prior_potential_on_points(basis, numbers, positions, points)
    np.testing.assert_allclose(found, expected, atol=1e-10)


def test_potential_of_free_atoms_is_infinite_on_a_nucleus(basis: DensityBasis) -> None:
    potential = prior_potential_on_points(basis, [1], np.zeros((1, 3)), np.zeros((1, 3)))
    assert np.isposinf(potential[0])


def test_spread_of_a_free_atom_agrees_with_quadrature(basis: DensityBasis) -> None:
    log_r = np.linspace(np.log(1e-5), np.log(30.0), 4000)
    r = np.exp(log_r)
    density = prior_density_on_points(basis, [6], np.zeros((1, 3)), np.outer(r, [1.0, 0.0, 0.0]))
    expected = np.sum(4.0 * np.pi * r**5 * density) * (log_r[1] - log_r[0])
    assert abs(prior_spread(basis, [6]) - expected) < BECKE_GRID * expected


def test_an_element_without_a_free_atom_is_refused_by_name() -> None:
    bare = DensityBasis("bare", {1: (Shell(0, (1.0,)),)}, {})
    with pytest.raises(UnknownElementError, match="no free-atom density for Z = 1"):
        prior_coefficients(bare, [1])
