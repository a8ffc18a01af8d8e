"""Charge, dipole and quadrupole in closed form against quadrature and PySCF."""

import numpy as np
import pytest
from pyscf import dft

from densnet.basis import DensityBasis
from densnet.density import compute_moments, electron_density_on_points
from densnet.reference.density_fit import DensityFitter
from tests.tolerances import BECKE_GRID, CONSTRAINT


@pytest.fixture(scope="module")
def coefficients(basis: DensityBasis, water) -> np.ndarray:
    fitter = DensityFitter(basis, water.numbers, "aug-cc-pvdz")
    return fitter.fit(water.positions, water.orbitals, water.dipole)


def test_charge_and_dipole_of_a_fit_are_those_of_pyscf(basis, water, coefficients) -> None:
    found = compute_moments(basis, water.numbers, water.positions, coefficients)
    assert abs(found.charge) < CONSTRAINT
    np.testing.assert_allclose(found.dipole, water.dipole, atol=CONSTRAINT)


def test_moments_agree_with_quadrature(basis, water, coefficients) -> None:
    grid = dft.gen_grid.Grids(water.molecule)
    grid.level = 5
    grid.build()
    density = electron_density_on_points(
        basis, water.numbers, water.positions, coefficients, grid.coords
    )
    electrons = grid.weights * density
    r, nuclei = grid.coords, water.positions
    found = compute_moments(basis, water.numbers, nuclei, coefficients)
    assert abs(electrons.sum() - 10.0) < BECKE_GRID
    np.testing.assert_allclose(
        found.dipole, water.numbers @ nuclei - electrons @ r, atol=BECKE_GRID
    )
    second = np.einsum("a,ax,ay->xy", water.numbers.astype(float), nuclei, nuclei)
    second -= np.einsum("p,px,py->xy", electrons, r, r)
    np.testing.assert_allclose(found.second_moment, second, atol=10 * BECKE_GRID)


def test_quadrupole_of_a_fit_is_near_that_of_pyscf(basis, water, coefficients) -> None:
    found = compute_moments(basis, water.numbers, water.positions, coefficients).quadrupole
    with water.molecule.with_common_orig((0.0, 0.0, 0.0)):
        electrons = -np.einsum(
            "xyij,ji->xy",
            water.molecule.intor("int1e_rr").reshape(3, 3, *water.matrix.shape),
            water.matrix,
        )
    nuclei = np.einsum("a,ax,ay->xy", water.numbers.astype(float), water.positions, water.positions)
    total = electrons + nuclei
    expected = 1.5 * total - 0.5 * np.trace(total) * np.eye(3)
    assert abs(np.trace(found)) < CONSTRAINT
    # The fit does not constrain the quadrupole, and the basis was not made for water: 2 %.
    np.testing.assert_allclose(found, expected, atol=0.02 * np.abs(expected).max())


def test_dipole_of_a_neutral_molecule_is_independent_of_the_origin(
    basis, water, coefficients
) -> None:
    here = compute_moments(basis, water.numbers, water.positions, coefficients)
    there = compute_moments(
        basis, water.numbers, water.positions, coefficients, origin=(3.0, -2.0, 1.0)
    )
    np.testing.assert_allclose(here.dipole, there.dipole, atol=CONSTRAINT)


def test_dipole_of_an_ion_moves_with_the_origin_by_its_charge(basis, hydroxide) -> None:
    fitter = DensityFitter(basis, hydroxide.numbers, "aug-cc-pvdz", charge=-1)
    c = fitter.fit(hydroxide.positions, hydroxide.orbitals, hydroxide.dipole)
    origin = np.array([3.0, -2.0, 1.0])
    here = compute_moments(basis, hydroxide.numbers, hydroxide.positions, c)
    there = compute_moments(basis, hydroxide.numbers, hydroxide.positions, c, origin=origin)
    assert abs(here.charge + 1.0) < CONSTRAINT
    np.testing.assert_allclose(here.dipole, hydroxide.dipole, atol=CONSTRAINT)
    np.testing.assert_allclose(there.dipole, here.dipole + origin, atol=CONSTRAINT)


def test_a_batch_gives_the_moments_of_its_members(basis, water, coefficients) -> None:
    positions = np.stack([water.positions, water.positions + 0.5])
    batch = compute_moments(
        basis, water.numbers, positions, np.stack([coefficients, 2 * coefficients])
    )
    second = compute_moments(basis, water.numbers, positions[1], 2 * coefficients)
    assert batch.quadrupole.shape == (2, 3, 3)
    np.testing.assert_allclose(batch.dipole[1], second.dipole, atol=CONSTRAINT)
    np.testing.assert_allclose(batch.quadrupole[1], second.quadrupole, atol=CONSTRAINT)
