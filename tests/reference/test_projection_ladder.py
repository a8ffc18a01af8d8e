"""Projections on a ladder of exponents and the self-energy of Δρ."""

import numpy as np
import pytest

from densnet.basis import DensityBasis
from densnet.density import prior_basis, prior_coefficients
from densnet.density.exponents import ProjectionLadder, residual_and_gradient
from densnet.integrals import metric_between
from densnet.reference.density_fit import project_densities, pyscf_basis, pyscf_molecule
from densnet.reference.projection_ladder import compute_projection_ladder, ladder_exponents
from tests.reference_densities import ReferenceDensity, water_density


@pytest.fixture(scope="module")
def water() -> ReferenceDensity:
    return water_density()


@pytest.fixture(scope="module")
def basis() -> DensityBasis:
    return DensityBasis.load("densnet-dz-367").restricted_to([1, 8])


@pytest.fixture(scope="module")
def ladder(water, basis) -> ProjectionLadder:
    return compute_projection_ladder(
        water.numbers,
        water.positions,
        water.matrix,
        orbital_basis="aug-cc-pvdz",
        prior=basis,
        l_max={1: 2, 8: 4},
    )


def test_interpolated_projections_agree_with_integrals(ladder, water, basis) -> None:
    auxiliary = pyscf_molecule(water.numbers, water.positions, pyscf_basis(basis))
    expected = project_densities(water.molecule, water.matrix[None], auxiliary)[0]
    expected -= metric_between(
        "coulomb",
        basis,
        water.numbers,
        water.positions,
        water.numbers,
        water.positions,
        other_basis=prior_basis(basis),
    ) @ prior_coefficients(basis, water.numbers)
    found, _ = ladder.project(basis)
    # Cubic splines over rungs of ratio 1.15.
    np.testing.assert_allclose(found, expected, atol=2e-6 * np.abs(expected).max())


def test_a_basis_made_for_such_densities_leaves_a_small_positive_rest(ladder, basis) -> None:
    rest, _ = residual_and_gradient(basis, ladder)
    assert 0.0 < rest < 1e-3 * ladder.self_energy


def test_rungs_are_ascending_and_reach_the_core() -> None:
    rungs = ladder_exponents(8, 0)
    assert (np.diff(rungs) > 0).all()
    assert rungs[-1] > 6000.0
    assert ladder_exponents(8, 4)[-1] < 100.0
