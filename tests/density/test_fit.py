"""The constrained fit: constraints exact, solution optimal, wrong input refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from densnet.basis import DensityBasis
from densnet.density import fit_difference_density, fit_error, moment_rows, solve_constrained
from densnet.errors import InputError, NonFiniteError
from densnet.integrals import coulomb_metric, moments
from tests.tolerances import CONSTRAINT


def positive_definite(rng: np.random.Generator, n: int) -> np.ndarray:
    root = rng.normal(size=(n, n))
    return root @ root.T + n * np.eye(n)


def test_moment_rows_agree_with_closed_form_moments(basis: DensityBasis, water, rng) -> None:
    coefficients = rng.normal(size=basis.n_functions(water.numbers))
    expected = moments(basis, water.numbers, water.positions, coefficients, origin=(0.1, 0.2, 0.3))
    rows = moment_rows(basis, water.numbers, water.positions, origin=(0.1, 0.2, 0.3))
    np.testing.assert_allclose(
        rows @ coefficients, [expected.charge, *expected.dipole], atol=CONSTRAINT
    )


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), n_constraints=st.integers(0, 4))
def test_solution_obeys_constraints_and_no_allowed_step_lowers_it(seed, n_constraints) -> None:
    rng = np.random.default_rng(seed)
    metric, projection = positive_definite(rng, 12), rng.normal(size=12)
    rows, targets = rng.normal(size=(n_constraints, 12)), rng.normal(size=n_constraints)
    solution = solve_constrained(metric, projection, rows, targets)
    np.testing.assert_allclose(rows @ solution, targets, atol=CONSTRAINT)
    # The gradient J c − b is a combination of constraint rows: nothing is left beyond their span.
    gradient = metric @ solution - projection
    if n_constraints:
        gradient = gradient - rows.T @ np.linalg.lstsq(rows.T, gradient, rcond=None)[0]
    assert np.abs(gradient).max() < 1e-9


def test_many_densities_are_fitted_as_one_by_one(rng) -> None:
    metric, rows = positive_definite(rng, 10), rng.normal(size=(4, 10))
    projections, targets = rng.normal(size=(10, 3)), rng.normal(size=(4, 3))
    together = solve_constrained(metric, projections, rows, targets)
    for k in range(3):
        alone = solve_constrained(metric, projections[:, k], rows, targets[:, k])
        np.testing.assert_allclose(together[:, k], alone, atol=1e-12)


def test_a_density_of_the_basis_is_recovered(basis: DensityBasis, water, rng) -> None:
    metric = coulomb_metric(basis, water.numbers, water.positions)
    known = rng.normal(size=len(metric)) * 0.01
    held = moments(basis, water.numbers, water.positions, known)
    found = fit_difference_density(
        basis,
        water.numbers,
        water.positions,
        metric @ known,
        charge=-float(held.charge),
        dipole=-held.dipole,
    )
    # In the metric of the fit: single coefficients are only determined to cond(J) times rounding.
    assert fit_error(metric, found, known) < 1e-16


def test_constraints_stay_exact_under_a_ridge_and_far_from_the_origin(basis, water, rng) -> None:
    far = water.positions + np.array([50.0, -80.0, 30.0])
    projection = rng.normal(size=basis.n_functions(water.numbers)) * 0.01
    for ridge in (0.0, 1e-4):
        c = fit_difference_density(
            basis, water.numbers, far, projection, charge=0.0, dipole=(0.3, -0.7, 0.1), ridge=ridge
        )
        found = moments(basis, water.numbers, far, c)
        assert abs(found.charge) < CONSTRAINT
        # A shift by 100 bohr multiplies the rounding of the charge by 100.
        np.testing.assert_allclose(-found.dipole, (0.3, -0.7, 0.1), atol=CONSTRAINT)


def test_fit_error_is_a_squared_distance(rng) -> None:
    metric = positive_definite(rng, 5)
    batch = rng.normal(size=(7, 5))
    expected = [(c - batch[0]) @ metric @ (c - batch[0]) for c in batch]
    np.testing.assert_allclose(fit_error(metric, batch, batch[0]), expected, atol=1e-12)


def test_a_metric_that_is_not_positive_definite_is_refused() -> None:
    with pytest.raises(InputError, match="not positive definite"):
        solve_constrained(-np.eye(3), np.ones(3), np.empty((0, 3)), np.empty(0))


def test_a_projection_with_nan_is_refused() -> None:
    with pytest.raises(NonFiniteError, match="not finite"):
        solve_constrained(np.eye(2), [np.nan, 1.0], np.empty((0, 2)), np.empty(0))


def test_a_projection_of_another_basis_is_refused(basis: DensityBasis, water) -> None:
    with pytest.raises(InputError, match="projection must have shape"):
        fit_difference_density(
            basis, water.numbers, water.positions, np.zeros(5), charge=0.0, dipole=(0, 0, 0)
        )


def test_a_negative_ridge_is_refused(basis: DensityBasis, water) -> None:
    n = basis.n_functions(water.numbers)
    with pytest.raises(InputError, match="ridge"):
        fit_difference_density(
            basis,
            water.numbers,
            water.positions,
            np.zeros(n),
            charge=0.0,
            dipole=(0, 0, 0),
            ridge=-1.0,
        )
