"""Gradients with respect to positions and exponents: finite differences, sum rules, the twin."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from densnet.basis import DensityBasis
from densnet.integrals import (
    apply_metric,
    bilinear_form_with_gradients,
    coulomb_metric,
    flat_exponents,
    metric_vjp,
    overlap,
    quadratic_form_with_gradients,
    twin_backend,
    with_exponents,
)
from densnet.integrals.shell_table import shell_table
from tests.tolerances import RICHARDSON_RELATIVE, ROUNDING_RELATIVE

MATRICES = {"overlap": overlap, "coulomb": coulomb_metric}
metrics = pytest.mark.parametrize("metric", sorted(MATRICES))


def central_difference(function: Callable[[float], float], step: float) -> float:
    """Return f'(0) with one Richardson step: the error is of order step⁴."""
    coarse = (function(2.0 * step) - function(-2.0 * step)) / (4.0 * step)
    fine = (function(step) - function(-step)) / (2.0 * step)
    return (4.0 * fine - coarse) / 3.0


@metrics
def test_position_gradient_matches_central_differences(
    metric: str,
    basis: DensityBasis,
    numbers: NDArray[np.int64],
    positions: NDArray[np.float64],
    rng: np.random.Generator,
) -> None:
    n = basis.n_functions(numbers)
    weights = rng.normal(size=(n, n))
    gradient = metric_vjp(metric, basis, numbers, positions, weights).positions
    for atom, axis in [(0, 0), (0, 2), (1, 1), (4, 2), (6, 0)]:

        def value(step: float, atom: int = atom, axis: int = axis) -> float:
            moved = positions.copy()
            moved[atom, axis] += step
            return float((weights * MATRICES[metric](basis, numbers, moved)).sum())

        expected = central_difference(value, 2e-3)
        assert abs(gradient[atom, axis] - expected) < RICHARDSON_RELATIVE * np.abs(gradient).max()


@metrics
def test_exponent_gradient_matches_central_differences_with_contractions(
    metric: str,
    basis: DensityBasis,
    numbers: NDArray[np.int64],
    positions: NDArray[np.float64],
    rng: np.random.Generator,
) -> None:
    n = basis.n_functions(numbers)
    weights = rng.normal(size=(n, n))
    exponents = flat_exponents(basis)
    gradient = metric_vjp(metric, basis, numbers, positions, weights).exponents
    for k in range(len(exponents)):

        def value(step: float, k: int = k) -> float:
            changed = exponents.copy()
            changed[k] *= 1.0 + step
            other = with_exponents(basis, changed)
            return float((weights * MATRICES[metric](other, numbers, positions)).sum())

        expected = central_difference(value, 2e-3) / exponents[k]
        scale = np.abs(gradient * exponents).max() / exponents[k]
        assert abs(gradient[k] - expected) < RICHARDSON_RELATIVE * scale


@metrics
def test_position_gradient_sums_to_zero_and_has_no_torque(
    metric: str,
    basis: DensityBasis,
    numbers: NDArray[np.int64],
    positions: NDArray[np.float64],
    rng: np.random.Generator,
) -> None:
    """Moving or turning everything leaves a form of s functions alone; moving leaves every form."""
    c = rng.normal(size=basis.n_functions(numbers))
    gradient = quadratic_form_with_gradients(metric, basis, numbers, positions, c).positions
    assert np.abs(gradient.sum(axis=0)).max() < ROUNDING_RELATIVE * np.abs(gradient).max()
    spherical = np.where(basis.layout(numbers).l == 0, c, 0.0)
    gradient = quadratic_form_with_gradients(metric, basis, numbers, positions, spherical).positions
    torque = np.cross(positions, gradient).sum(axis=0)
    assert np.abs(torque).max() < 10.0 * ROUNDING_RELATIVE * np.abs(gradient).max()


@metrics
def test_fused_gradients_equal_those_of_the_matrix_and_of_the_twin(
    metric: str,
    instruction_set: str,
    basis: DensityBasis,
    numbers: NDArray[np.int64],
    positions: NDArray[np.float64],
    rng: np.random.Generator,
) -> None:
    c = rng.normal(size=basis.n_functions(numbers))
    fused = quadratic_form_with_gradients(metric, basis, numbers, positions, c)
    explicit = metric_vjp(metric, basis, numbers, positions, np.outer(c, c))
    table = shell_table(basis)
    _, by_position, by_exponent = twin_backend.quadratic_gradient(
        metric, table, table.species(numbers), positions[None], c[None], 1
    )
    for ours, theirs in [
        (fused.positions, explicit.positions),
        (fused.exponents, explicit.exponents),
        (fused.positions, by_position[0]),
        (fused.exponents, by_exponent),
    ]:
        assert np.abs(ours - theirs).max() < ROUNDING_RELATIVE * np.abs(theirs).max()


@metrics
def test_bilinear_form_and_its_gradients_are_those_of_the_outer_product(
    metric: str,
    basis: DensityBasis,
    numbers: NDArray[np.int64],
    positions: NDArray[np.float64],
    rng: np.random.Generator,
) -> None:
    u, v = rng.normal(size=(2, basis.n_functions(numbers)))
    form = bilinear_form_with_gradients(metric, basis, numbers, positions, u, v)
    explicit = metric_vjp(metric, basis, numbers, positions, np.outer(u, v))
    applied = apply_metric(metric, basis, numbers, positions, v)
    assert np.allclose(form.applied, applied, rtol=0, atol=1e-12 * np.abs(applied).max())
    assert form.value == pytest.approx(float(u @ applied), rel=1e-11)
    for ours, theirs in [
        (form.positions, explicit.positions),
        (form.exponents, explicit.exponents),
    ]:
        assert np.abs(ours - theirs).max() < 10.0 * ROUNDING_RELATIVE * np.abs(theirs).max()


@metrics
def test_gradients_of_a_batch_are_those_of_its_structures_on_any_number_of_threads(
    metric: str,
    basis: DensityBasis,
    numbers: NDArray[np.int64],
    positions: NDArray[np.float64],
    rng: np.random.Generator,
) -> None:
    batch = positions + rng.normal(scale=0.2, size=(4, *positions.shape))
    c = rng.normal(size=(4, basis.n_functions(numbers)))
    together = quadratic_form_with_gradients(metric, basis, numbers, batch, c, n_threads=3)
    single = [
        quadratic_form_with_gradients(metric, basis, numbers, r, x)
        for r, x in zip(batch, c, strict=True)
    ]
    assert np.allclose(together.value, [s.value for s in single], rtol=1e-13)
    assert np.allclose(together.positions, [s.positions for s in single], rtol=0, atol=1e-11)
    total = np.sum([s.exponents for s in single], axis=0)
    assert np.abs(together.exponents - total).max() < ROUNDING_RELATIVE * np.abs(total).max()
    weights = c[:, :, None] * c[:, None, :]
    explicit = metric_vjp(metric, basis, numbers, batch, weights, n_threads=2)
    assert np.allclose(together.positions, explicit.positions, rtol=0, atol=1e-11)
