"""Density, gradient and potential on points against PySCF and finite differences."""

import numpy as np
import pytest
from numpy.typing import NDArray

from densnet.basis import DensityBasis
from densnet.errors import InputError
from densnet.integrals import (
    density_and_gradient_on_points,
    density_on_points,
    potential_on_points,
)
from densnet.reference import libcint
from tests.tolerances import INTEGRALS_RELATIVE


@pytest.fixture
def coefficients(
    basis: DensityBasis, numbers: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.float64]:
    return rng.normal(size=basis.n_functions(numbers))


@pytest.fixture
def points(positions: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the nuclei, points among them, and points far away."""
    near = rng.normal(scale=4.0, size=(301, 3))
    far = rng.normal(scale=60.0, size=(20, 3))
    return np.concatenate([positions, near, far])


def test_density_and_gradient_agree_with_pyscf(
    instruction_set: str,
    basis: DensityBasis,
    numbers: NDArray[np.int64],
    positions: NDArray[np.float64],
    coefficients: NDArray[np.float64],
    points: NDArray[np.float64],
) -> None:
    mole = libcint.mole_of(basis, numbers, positions)
    values = mole.eval_gto("GTOval_sph_deriv1", points) @ coefficients
    density, gradient = density_and_gradient_on_points(
        basis, numbers, positions, coefficients, points, n_threads=2
    )
    alone = density_on_points(basis, numbers, positions, coefficients, points)
    assert np.array_equal(alone, density)
    assert np.abs(density - values[0]).max() < INTEGRALS_RELATIVE * np.abs(values[0]).max()
    assert np.abs(gradient.T - values[1:]).max() < INTEGRALS_RELATIVE * np.abs(values[1:]).max()


def test_potential_agrees_with_libcint_at_and_off_the_nuclei(
    instruction_set: str,
    basis: DensityBasis,
    numbers: NDArray[np.int64],
    positions: NDArray[np.float64],
    coefficients: NDArray[np.float64],
    points: NDArray[np.float64],
) -> None:
    from pyscf import gto

    mole = libcint.mole_of(basis, numbers, positions)
    # libcint's point charges are Gaussians of exponent 1e16
    charges = gto.fakemol_for_charges(points)
    expected = gto.mole.intor_cross("int2c2e", mole, charges).T @ coefficients
    potential = potential_on_points(basis, numbers, positions, coefficients, points, n_threads=2)
    assert np.abs(potential - expected).max() < INTEGRALS_RELATIVE * np.abs(expected).max()


def test_result_does_not_depend_on_threads_or_the_number_of_points(
    basis: DensityBasis,
    numbers: NDArray[np.int64],
    positions: NDArray[np.float64],
    coefficients: NDArray[np.float64],
    points: NDArray[np.float64],
) -> None:
    for function in (density_on_points, potential_on_points):
        whole = function(basis, numbers, positions, coefficients, points, n_threads=3)
        for n in (1, 7, 9, 257):
            part = function(basis, numbers, positions, coefficients, points[:n])
            assert np.allclose(part, whole[:n], rtol=0, atol=1e-13)
    assert density_on_points(basis, numbers, positions, coefficients, points[:0]).shape == (0,)


def test_batches_of_positions_are_refused(
    basis: DensityBasis,
    numbers: NDArray[np.int64],
    positions: NDArray[np.float64],
    coefficients: NDArray[np.float64],
    points: NDArray[np.float64],
) -> None:
    with pytest.raises(InputError, match="positions must be one structure"):
        density_on_points(basis, numbers, positions[None], coefficients, points)
