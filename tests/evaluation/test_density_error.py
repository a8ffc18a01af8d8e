"""The L1 error of densities against numbers known without a grid."""

import numpy as np
import pytest

from densnet.basis import DensityBasis
from densnet.density import prior_density_on_points
from densnet.errors import InputError
from densnet.evaluation.density_error import (
    compute_density_errors,
    core_electrons,
    density_l1_error,
)
from densnet.integrals import density_on_points


@pytest.fixture(scope="module")
def basis() -> DensityBasis:
    return DensityBasis.load("densnet-dz-367")


@pytest.fixture(scope="module")
def hydrogen_grid() -> tuple[np.ndarray, np.ndarray]:
    """Return a quadrature for one atom at the origin: radial × Gauss–Legendre × uniform."""
    log_r = np.linspace(np.log(1e-4), np.log(25.0), 200)
    cosine, weight = np.polynomial.legendre.leggauss(12)
    angle = 2.0 * np.pi * np.arange(24) / 24
    r, c, p = np.meshgrid(np.exp(log_r), cosine, angle, indexing="ij")
    s = np.sqrt(1.0 - c * c)
    points = np.stack([r * s * np.cos(p), r * s * np.sin(p), r * c], axis=-1).reshape(-1, 3)
    weights = r**3 * (log_r[1] - log_r[0]) * weight[None, :, None] * 2.0 * np.pi / 24
    return points, weights.reshape(-1)


def test_l1_error_of_a_scaled_density_is_the_scale() -> None:
    density, weights = np.array([1.0, 2.0, 1.0]), np.array([0.5, 0.5, 0.5])
    assert density_l1_error(1.01 * density, density, weights, 2) == pytest.approx(1.0)


def test_errors_vanish_for_the_exact_coefficients_and_add_up_otherwise(
    basis, hydrogen_grid
) -> None:
    points, weights = hydrogen_grid
    where = np.zeros((1, 3))
    exact = np.zeros(basis.n_functions([1]))
    layout = basis.layout([1])
    # A p function: its positive half holds as much as its negative one, the charge stays.
    p = int(np.flatnonzero(layout.l == 1)[0])
    exact[p] = 0.05
    difference = density_on_points(basis, [1], where, exact, points)
    reference = prior_density_on_points(basis, [1], where, points) + difference
    errors = compute_density_errors(
        basis,
        [1],
        where,
        predicted=2.0 * exact,
        fitted=exact,
        points=points,
        weights=weights,
        reference=reference,
    )
    expected = 100.0 * weights @ np.abs(difference)
    assert errors.floor < 1e-10
    assert errors.predicted == pytest.approx(expected, rel=1e-9)
    assert errors.baseline == pytest.approx(expected, rel=1e-9)
    assert errors.n_electrons == errors.n_valence == 1


def test_a_reference_of_another_molecule_is_refused(basis, hydrogen_grid) -> None:
    points, weights = hydrogen_grid
    zero = np.zeros(basis.n_functions([1]))
    with pytest.raises(InputError, match="integrates to"):
        compute_density_errors(
            basis,
            [1],
            np.zeros((1, 3)),
            predicted=zero,
            fitted=zero,
            points=points,
            weights=weights,
            reference=np.full(len(weights), 1e-3),
        )


def test_core_electrons_are_those_of_the_noble_gas_below() -> None:
    assert core_electrons([1, 2, 3, 6, 8, 10, 11, 16, 18, 19]).tolist() == [
        0, 0, 2, 2, 2, 2, 10, 10, 10, 18,
    ]  # fmt: skip
