"""Projection and fit against PySCF's own integrals, and an independent solution."""

import numpy as np
import pytest
from pyscf import df

from densnet.basis import DensityBasis
from densnet.density import moment_rows, prior_density_on_points
from densnet.errors import InputError
from densnet.integrals import coulomb_metric
from densnet.reference.density_fit import (
    DensityFitter,
    project_densities,
    pyscf_basis,
    pyscf_molecule,
)
from densnet.reference.grid_density import compute_grid_density
from tests.reference_densities import ReferenceDensity, water_density
from tests.tolerances import CONSTRAINT, FIT_COEFFICIENTS


@pytest.fixture(scope="module")
def water() -> ReferenceDensity:
    return water_density()


@pytest.fixture(scope="module")
def basis() -> DensityBasis:
    return DensityBasis.load("densnet-dz-367").restricted_to([1, 8])


def test_pyscf_reads_a_density_basis_in_the_same_order(basis, water) -> None:
    auxiliary = pyscf_molecule(water.numbers, water.positions, pyscf_basis(basis))
    ours = coulomb_metric(basis, water.numbers, water.positions)
    np.testing.assert_allclose(ours, auxiliary.intor("int2c2e"), atol=1e-9)


def test_projection_in_blocks_is_that_of_all_three_centre_integrals(basis, water) -> None:
    auxiliary = pyscf_molecule(water.numbers, water.positions, pyscf_basis(basis))
    integrals = df.incore.aux_e2(water.molecule, auxiliary, "int3c2e")
    expected = np.einsum("ijp,ij->p", integrals, water.matrix)
    found = project_densities(water.molecule, water.matrix[None], auxiliary)[0]
    np.testing.assert_allclose(found, expected, atol=1e-10)


def test_fit_agrees_with_a_bordered_solve_of_pyscf_integrals(basis, water) -> None:
    auxiliary = pyscf_molecule(water.numbers, water.positions, pyscf_basis(basis))
    n = auxiliary.nao
    projection = np.einsum(
        "ijp,ij->p", df.incore.aux_e2(water.molecule, auxiliary, "int3c2e"), water.matrix
    )
    # The free atoms as uncontracted s functions: another route to their Coulomb projection.
    for z, centre in zip(water.numbers.tolist(), water.positions, strict=True):
        prior = basis.prior[z]
        a = np.array(prior.exponents)
        atom = pyscf_molecule([z], centre[None], {"default": [[0, [e, 1.0]] for e in a.tolist()]})
        # ∫φ = (2π/a)^{3/4} for a normalised s Gaussian
        weights = np.array(prior.populations) / (2.0 * np.pi / a) ** 0.75
        joint = auxiliary + atom
        block = (0, auxiliary.nbas, auxiliary.nbas, auxiliary.nbas + atom.nbas)
        projection -= joint.intor("int2c2e", shls_slice=block) @ weights
    bordered = np.zeros((n + 4, n + 4))
    bordered[:n, :n] = auxiliary.intor("int2c2e")
    bordered[:n, n:] = moment_rows(basis, water.numbers, water.positions).T
    bordered[n:, :n] = bordered[:n, n:].T
    right = np.concatenate([projection, [0.0], -water.dipole])
    expected = np.linalg.solve(bordered, right)[:n]
    fitter = DensityFitter(basis, water.numbers, "aug-cc-pvdz")
    found = fitter.fit(water.positions, water.orbitals, water.dipole)
    np.testing.assert_allclose(found, expected, atol=FIT_COEFFICIENTS)


def test_orbitals_and_their_density_matrix_give_the_same_fit(basis, water) -> None:
    fitter = DensityFitter(basis, water.numbers, "aug-cc-pvdz")
    from_orbitals = fitter.fit(water.positions, water.orbitals, water.dipole)
    from_matrix = fitter.fit_matrix(water.positions, water.matrix, water.dipole)
    np.testing.assert_allclose(from_orbitals, from_matrix, atol=FIT_COEFFICIENTS)


def test_response_carries_no_charge_and_reproduces_the_polarizability(basis, water, rng) -> None:
    fitter = DensityFitter(basis, water.numbers, "aug-cc-pvdz")
    change = rng.normal(size=(3, *water.orbitals.shape)) * 0.1
    alpha = rng.normal(size=(3, 3))
    response = fitter.fit_response(water.positions, water.orbitals, change, alpha)
    held = moment_rows(basis, water.numbers, water.positions) @ response.T
    np.testing.assert_allclose(held[0], 0.0, atol=CONSTRAINT)
    np.testing.assert_allclose(-held[1:], alpha, atol=CONSTRAINT)


def test_response_is_the_derivative_of_the_fit(basis, water, rng) -> None:
    fitter = DensityFitter(basis, water.numbers, "aug-cc-pvdz")
    change = rng.normal(size=(3, *water.orbitals.shape)) * 0.1
    alpha = np.diag([1.0, 2.0, 3.0])
    response = fitter.fit_response(water.positions, water.orbitals, change, alpha)
    step = 1e-4
    for axis in range(3):
        ends = [
            fitter.fit(
                water.positions,
                water.orbitals + sign * step * change[axis],
                water.dipole + sign * step * alpha[axis],
            )
            for sign in (1.0, -1.0)
        ]
        # Exact for a density that is quadratic in the orbitals; rounding times cond(J) / step.
        np.testing.assert_allclose(
            response[axis], (ends[0] - ends[1]) / (2.0 * step), atol=FIT_COEFFICIENTS / step
        )


def test_orbitals_of_another_basis_are_refused(basis, water) -> None:
    fitter = DensityFitter(basis, water.numbers, "def2-svp")
    with pytest.raises(InputError, match="which basis are they in"):
        fitter.fit(water.positions, water.orbitals, water.dipole)


def test_orbitals_of_another_number_of_electrons_are_refused(basis, water) -> None:
    fitter = DensityFitter(basis, water.numbers, "aug-cc-pvdz")
    with pytest.raises(InputError, match="10 electrons fill 5 orbitals"):
        fitter.fit(water.positions, water.orbitals[:, :4], water.dipole)


def test_grid_density_integrates_to_the_electrons_and_the_dipole(water) -> None:
    grid = compute_grid_density(
        water.numbers, water.positions, water.orbitals, orbital_basis="aug-cc-pvdz", grid_level=3
    )
    # Level 3 integrates a density to some 1e-4.
    assert abs(grid.n_electrons - 10.0) < 1e-3
    dipole = water.numbers @ water.positions - (grid.weights * grid.density) @ grid.points
    np.testing.assert_allclose(dipole, water.dipole, atol=1e-3)


def test_grid_density_far_below_the_free_atoms_means_the_density_is_the_molecules(
    basis, water
) -> None:
    grid = compute_grid_density(
        water.numbers, water.positions, water.orbitals, orbital_basis="aug-cc-pvdz", grid_level=1
    )
    atoms = prior_density_on_points(basis, water.numbers, water.positions, grid.points)
    moved = grid.weights @ np.abs(atoms - grid.density)
    # Bonding moves between a tenth and a third of water's ten electrons.
    assert 0.5 < moved < 4.0


def test_a_grid_density_of_orbitals_of_another_basis_is_refused(water) -> None:
    with pytest.raises(InputError, match="must have"):
        compute_grid_density(
            water.numbers, water.positions, water.orbitals, orbital_basis="def2-svp"
        )
