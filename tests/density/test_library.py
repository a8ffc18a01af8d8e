"""Every density basis that comes with the package keeps what its README promises."""

import numpy as np
import pytest

from densnet.basis import DensityBasis, library_names
from densnet.density import compute_moments
from densnet.evaluation.density_error import compute_density_errors
from densnet.integrals import coulomb_metric
from densnet.reference.density_fit import DensityFitter
from densnet.reference.grid_density import GridDensity, compute_grid_density
from tests.reference_densities import ReferenceDensity
from tests.tolerances import CONSTRAINT

# Trans ethanol, bohr: the molecule the bases were made for.
ETHANOL = [6, 6, 8, 1, 1, 1, 1, 1, 1]
POSITIONS = np.array(
    [
        [2.281, -0.468, 0.0],
        [0.0, 1.055, 0.0],
        [-2.246, -0.467, 0.0],
        [-3.735, 0.616, 0.0],
        [0.018, 2.280, 1.685],
        [0.018, 2.280, -1.685],
        [3.992, 0.690, 0.0],
        [2.349, -1.681, 1.677],
        [2.349, -1.681, -1.677],
    ]
)
# The README's largest condition number is 5e7, for thiophene.
LARGEST_CONDITION = 5e7


@pytest.fixture(scope="module")
def water_grid(water: ReferenceDensity) -> GridDensity:
    return compute_grid_density(
        water.numbers, water.positions, water.orbitals, orbital_basis="aug-cc-pvdz", grid_level=1
    )


@pytest.mark.parametrize("name", library_names())
def test_a_basis_is_named_as_its_file_and_has_a_free_atom_for_every_element(name: str) -> None:
    basis = DensityBasis.load(name)
    assert basis.name == name
    assert tuple(basis.prior) == basis.elements
    assert {1, 6, 8} <= set(basis.elements)


@pytest.mark.parametrize("name", library_names())
def test_a_basis_is_named_by_its_functions_for_ethanol_and_well_conditioned(name: str) -> None:
    basis = DensityBasis.load(name)
    assert name.endswith(f"-{basis.n_functions(ETHANOL)}")
    eigenvalues = np.linalg.eigvalsh(coulomb_metric(basis, ETHANOL, POSITIONS))
    assert eigenvalues[-1] / eigenvalues[0] < LARGEST_CONDITION


@pytest.mark.parametrize("name", library_names())
def test_a_basis_fits_a_molecule_it_was_not_made_for(name, water, water_grid) -> None:
    basis = DensityBasis.load(name)
    fitter = DensityFitter(basis, water.numbers, "aug-cc-pvdz")
    c = fitter.fit(water.positions, water.orbitals, water.dipole)
    errors = compute_density_errors(
        basis,
        water.numbers,
        water.positions,
        predicted=c,
        fitted=c,
        points=water_grid.points,
        weights=water_grid.weights,
        reference=water_grid.density,
    )
    # Ethanol's floor is 0.2–0.35 %; water's oxygen is another, and the functional is HF.
    assert errors.floor < 1.0
    assert errors.baseline > 10.0
    held = compute_moments(basis, water.numbers, water.positions, c)
    np.testing.assert_allclose(held.dipole, water.dipole, atol=CONSTRAINT)
