"""Fused forms against the explicit matrix, near and far."""

import numpy as np
import pytest
from numpy.typing import NDArray

from densnet.basis import DensityBasis
from densnet.cli.bench_molecules import oligothiophene
from densnet.integrals import (  # type: ignore[attr-defined]
    _kernel,
    apply_metric,
    coulomb_metric,
    metric_vjp,
    overlap,
    quadratic_form,
    quadratic_form_with_gradients,
)
from densnet.reference import libcint
from tests.tolerances import FUSED_RELATIVE, INTEGRALS_RELATIVE

MATRICES = {"overlap": overlap, "coulomb": coulomb_metric}
metrics = pytest.mark.parametrize("metric", sorted(MATRICES))


@metrics
def test_fused_product_equals_the_matrix_times_the_vector(
    metric: str,
    instruction_set: str,
    basis: DensityBasis,
    numbers: NDArray[np.int64],
    positions: NDArray[np.float64],
    rng: np.random.Generator,
) -> None:
    c = rng.normal(size=basis.n_functions(numbers))
    matrix = MATRICES[metric](basis, numbers, positions)
    applied = apply_metric(metric, basis, numbers, positions, c)
    assert np.abs(applied - matrix @ c).max() < FUSED_RELATIVE * np.abs(matrix @ c).max()
    value = quadratic_form(metric, basis, numbers, positions, c)
    assert value == pytest.approx(c @ matrix @ c, rel=FUSED_RELATIVE)


@metrics
@pytest.mark.parametrize("n_rings", [1, 6])
def test_screening_and_multipoles_of_a_long_chain_keep_the_error_bound(
    metric: str, n_rings: int, rng: np.random.Generator
) -> None:
    """Six rings are 43 bohr long: most pairs of shells are dropped or replaced by multipoles."""
    chain = oligothiophene(n_rings)
    basis = libcint.library_basis("def2-universal-jfit", chain.numbers)
    c = rng.normal(size=basis.n_functions(chain.numbers))
    reference = libcint.metric_matrix(
        metric, libcint.mole_of(basis, chain.numbers, chain.positions)
    )
    matrix = MATRICES[metric](basis, chain.numbers, chain.positions, n_threads=2)
    assert np.abs(matrix - reference).max() < INTEGRALS_RELATIVE * np.abs(reference).max()
    assert np.array_equal(matrix, matrix.T)
    applied = apply_metric(metric, basis, chain.numbers, chain.positions, c, n_threads=2)
    assert np.abs(applied - reference @ c).max() < 10 * FUSED_RELATIVE * np.abs(reference @ c).max()


def test_distant_atoms_act_as_multipoles(basis: DensityBasis, rng: np.random.Generator) -> None:
    """At 60 bohr every pair of shells is beyond the near field; nothing is lost by it."""
    numbers = [8, 8, 1]
    positions = np.array([[0.0, 0.0, 0.0], [30.0, 40.0, 35.0], [-40.0, 20.0, 50.0]])
    c = rng.normal(size=basis.n_functions(numbers))
    matrix = coulomb_metric(basis, numbers, positions)
    reference = libcint.metric_matrix("coulomb", libcint.mole_of(basis, numbers, positions))
    n = basis.n_functions(numbers[:1])
    far = np.abs(reference[:n, n:])
    assert np.abs(matrix[:n, n:] - reference[:n, n:]).max() < 1e-13 * far.max()
    applied = apply_metric("coulomb", basis, numbers, positions, c)
    assert np.abs(applied - reference @ c).max() < FUSED_RELATIVE * np.abs(reference @ c).max()


def test_gradients_of_distant_atoms_are_those_of_the_matrix(
    instruction_set: str, basis: DensityBasis, rng: np.random.Generator
) -> None:
    """Thirteen atoms in a cube of 120 bohr: pairs near and far in every vector of them."""
    numbers = rng.permutation([1] * 6 + [8] * 7)
    positions = rng.uniform(-60.0, 60.0, size=(13, 3))
    positions[1] = positions[0] + [0.0, 0.0, 2.0]
    c = rng.normal(size=basis.n_functions(numbers))
    fused = quadratic_form_with_gradients("coulomb", basis, numbers, positions, c, n_threads=2)
    expected = metric_vjp("coulomb", basis, numbers, positions, np.outer(c, c))
    for ours, theirs in (
        (fused.positions, expected.positions),
        (fused.exponents, expected.exponents),
    ):
        assert np.abs(ours - theirs).max() < 10 * FUSED_RELATIVE * np.abs(theirs).max()


def clusters(rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return numbers and positions of seven clusters of 14 atoms, 90 bohr and more apart.

    Their multipoles are exchanged as expansions about centres of groups, of different orders.
    """
    centres = np.array(
        [
            [0, 0, 0],
            [90, 5, 0],
            [-40, 100, 10],
            [0, -30, 120],
            [300, 0, 40],
            [0, 700, 0],
            [0, 90, 100],
        ]
    )
    positions = np.repeat(centres, 14, axis=0) + rng.uniform(-4.0, 4.0, size=(98, 3))
    shuffled = rng.permutation(98)
    return rng.choice([1, 8], size=98), positions[shuffled]


def test_groups_of_atoms_that_exchange_expansions_lose_nothing(
    instruction_set: str, basis: DensityBasis, rng: np.random.Generator
) -> None:
    numbers, positions = clusters(rng)
    c = rng.normal(size=basis.n_functions(numbers))
    matrix = coulomb_metric(basis, numbers, positions)
    applied = apply_metric("coulomb", basis, numbers, positions, c)
    assert np.abs(applied - matrix @ c).max() < FUSED_RELATIVE * np.abs(matrix @ c).max()
    expected = metric_vjp("coulomb", basis, numbers, positions, np.outer(c, c))
    for n_threads in (1, 3):
        fused = quadratic_form_with_gradients(
            "coulomb", basis, numbers, positions, c, n_threads=n_threads
        )
        for ours, theirs in (
            (fused.applied, matrix @ c),
            (fused.positions, expected.positions),
            (fused.exponents, expected.exponents),
        ):
            assert np.abs(ours - theirs).max() < 10 * FUSED_RELATIVE * np.abs(theirs).max()


def test_no_element_between_groups_is_wrong_by_more_than_the_bound(
    basis: DensityBasis, rng: np.random.Generator
) -> None:
    """Columns of M in units of √(M_ii M_jj); rounding may add as much as the bound."""
    numbers, positions = clusters(rng)
    n = basis.n_functions(numbers)
    matrix = coulomb_metric(basis, numbers, positions)
    some = rng.choice(n, size=60, replace=False)
    repeated = np.broadcast_to(positions, (60, *positions.shape))
    columns = apply_metric("coulomb", basis, numbers, repeated, np.eye(n)[some])
    scale = np.sqrt(np.diag(matrix))
    errors = np.abs(columns - matrix[some]) / np.outer(scale[some], scale)
    assert errors.max() < 2.0 * _kernel.COULOMB_ERROR


@metrics
def test_coincident_atoms_give_finite_forms(metric: str, basis: DensityBasis) -> None:
    positions = np.zeros((2, 3))
    c = np.ones(basis.n_functions([1, 8]))
    matrix = MATRICES[metric](basis, [1, 8], positions)
    applied = apply_metric(metric, basis, [1, 8], positions, c)
    assert np.abs(applied - matrix @ c).max() < FUSED_RELATIVE * np.abs(applied).max()
