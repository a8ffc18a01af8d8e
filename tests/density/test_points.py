"""Density and electrostatic potential on points against PySCF."""

import numpy as np
import pytest
from pyscf import dft, gto

from densnet.basis import DensityBasis
from densnet.density import electron_density_on_points, electrostatic_potential_on_points
from densnet.reference.density_fit import DensityFitter


@pytest.fixture(scope="module")
def coefficients(basis: DensityBasis, water) -> np.ndarray:
    fitter = DensityFitter(basis, water.numbers, "aug-cc-pvdz")
    return fitter.fit(water.positions, water.orbitals, water.dipole)


def test_fitted_density_follows_the_orbital_density(basis, water, coefficients) -> None:
    grid = dft.gen_grid.Grids(water.molecule)
    grid.level = 1
    grid.build()
    values = water.molecule.eval_gto("GTOval_sph", grid.coords) @ water.orbitals
    reference = 2.0 * (values**2).sum(axis=1)
    density = electron_density_on_points(
        basis, water.numbers, water.positions, coefficients, grid.coords
    )
    error = 100.0 * grid.weights @ np.abs(density - reference) / 10.0
    # The basis was made for ethanol at PBE; water with HF must still be well below the 20 % of SAD.
    assert error < 1.0


def test_electrostatic_potential_follows_the_orbital_potential(
    basis, water, coefficients, rng
) -> None:
    # On and outside the molecular surface, where the potential is used.
    directions = rng.normal(size=(12, 3))
    points = water.positions[0] + 5.0 * directions / np.linalg.norm(
        directions, axis=1, keepdims=True
    )
    charges = gto.fakemol_for_charges(points)
    electrons = np.einsum(
        "ijp,ij->p",
        (water.molecule + charges).intor(
            "int3c2e",
            shls_slice=(
                0,
                water.molecule.nbas,
                0,
                water.molecule.nbas,
                water.molecule.nbas,
                water.molecule.nbas + charges.nbas,
            ),
        ),
        water.matrix,
    )
    distance = np.linalg.norm(points[:, None] - water.positions, axis=-1)
    expected = (water.numbers / distance).sum(axis=1) - electrons
    found = electrostatic_potential_on_points(
        basis, water.numbers, water.positions, coefficients, points
    )
    # 1 mhartree/e, 2 % of the potential there.
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_potential_of_a_neutral_molecule_far_away_is_that_of_its_dipole(
    basis, water, coefficients
) -> None:
    direction = np.array([0.36, 0.48, 0.8])
    point = 300.0 * direction
    found = electrostatic_potential_on_points(
        basis, water.numbers, water.positions, coefficients, point[None]
    )[0]
    expected = water.dipole @ direction / 300.0**2
    # The next term, of the quadrupole, is smaller by (size of the molecule)/300.
    assert abs(found - expected) < 0.02 * abs(expected)
