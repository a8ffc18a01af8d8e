"""Overlap and Coulomb metric against libcint, the twin, and themselves."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from densnet.basis import DensityBasis, Shell
from densnet.integrals import coulomb_metric, metric_between, overlap, twin_backend
from densnet.integrals.shell_table import shell_table
from densnet.reference import libcint
from tests.integrals.conftest import (
    random_pair,
    random_positions,
    random_separation,
    random_shells,
)
from tests.integrals.exact_coulomb import exact_coulomb
from tests.integrals.exact_overlap import exact_overlap, shell_norm
from tests.tolerances import INTEGRALS_RELATIVE, ROUNDING_RELATIVE

MATRICES = {"overlap": overlap, "coulomb": coulomb_metric}
metrics = pytest.mark.parametrize("metric", sorted(MATRICES))


def largest_difference(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return the largest difference relative to the largest element."""
    return float(np.abs(a - b).max() / np.abs(b).max())


EXACT = {"overlap": exact_overlap, "coulomb": exact_coulomb}


def exact_block(
    metric: str, a: Shell, b: Shell, separation: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the integrals of two contracted shells, every pair of primitives in 50 digits."""
    of_primitives = [
        [
            w / float(shell_norm(shell.l, x))
            for w, x in zip(shell.radial_weights(), shell.exponents, strict=True)
        ]
        for shell in (a, b)
    ]
    return sum(
        u * v * EXACT[metric](a.l, x, b.l, y, separation)
        for u, x in zip(of_primitives[0], a.exponents, strict=True)
        for v, y in zip(of_primitives[1], b.exponents, strict=True)
    )


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(shells=random_pair(), separation=random_separation())
@metrics
def test_random_pairs_are_exact_and_agree_with_libcint_where_it_is(
    metric: str,
    instruction_set: str,
    shells: tuple[Shell, Shell],
    separation: NDArray[np.float64],
) -> None:
    """All of l ≤ 5, exponents 1e-2 to 1e6, distances 0 to 20 bohr, relative to the largest element.

    The kernel is held to exact arithmetic everywhere. libcint is too, for the Coulomb metric; its
    overlap loses digits where a tight shell meets the tail of a smooth one (one pair in some fifty
    of these, 1e-5 at worst of 500), and there it is no oracle.
    """
    basis = DensityBasis("pair", {1: shells[:1], 2: shells[1:]}, {})
    positions = np.array([np.zeros(3), separation])
    block = (slice(0, 2 * shells[0].l + 1), slice(2 * shells[0].l + 1, None))
    matrix = MATRICES[metric](basis, [1, 2], positions)
    theirs = libcint.metric_matrix(metric, libcint.mole_of(basis, [1, 2], positions))
    exact = exact_block(metric, *shells, separation)
    scale = np.abs(matrix).max()
    assert np.abs(matrix[block] - exact).max() < INTEGRALS_RELATIVE * scale
    error_of_libcint = np.abs(theirs[block] - exact).max() / scale
    if metric == "coulomb":
        assert error_of_libcint < INTEGRALS_RELATIVE
    if error_of_libcint < 0.5 * INTEGRALS_RELATIVE:
        assert largest_difference(matrix, theirs) < INTEGRALS_RELATIVE


def test_libcint_loses_digits_where_the_kernel_does_not() -> None:
    """The reason for exact arithmetic: h functions with exponents 1000 and 1 at 3 bohr."""
    shells = (Shell(5, (1000.0,)), Shell(5, (1.0,)))
    basis = DensityBasis("pair", {1: shells[:1], 2: shells[1:]}, {})
    separation = np.array([1.0, 2.0, 2.0])
    positions = np.array([np.zeros(3), separation])
    exact = exact_block("overlap", *shells, separation)
    theirs = libcint.metric_matrix("overlap", libcint.mole_of(basis, [1, 2], positions))
    assert np.abs(overlap(basis, [1, 2], positions)[:11, 11:] - exact).max() < 1e-14
    assert np.abs(theirs[:11, 11:] - exact).max() > 1e-10


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_random_coulomb_metrics_agree_with_libcint(
    instruction_set: str, data: st.DataObject
) -> None:
    """Groups of several shells of an element."""
    shells = {1: data.draw(random_shells()), 6: data.draw(random_shells())}
    basis, numbers = DensityBasis("random", shells, {}), [1, 6, 1]
    positions = data.draw(random_positions(3))
    ours = coulomb_metric(basis, numbers, positions)
    theirs = libcint.metric_matrix("coulomb", libcint.mole_of(basis, numbers, positions))
    assert largest_difference(ours, theirs) < INTEGRALS_RELATIVE


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_random_overlaps_of_many_shells_are_those_of_their_pairs(
    instruction_set: str, data: st.DataObject
) -> None:
    """Groups of several shells give what two shells alone give, which exact arithmetic holds."""
    shells = {1: data.draw(random_shells()), 6: data.draw(random_shells())}
    basis = DensityBasis("random", shells, {})
    positions = data.draw(random_positions(2))
    matrix = overlap(basis, [1, 6], positions)
    rows, columns = (np.cumsum([0, *(2 * s.l + 1 for s in basis.shells[z])]) for z in (1, 6))
    for i, a in enumerate(basis.shells[1]):
        for j, b in enumerate(basis.shells[6]):
            alone = overlap(DensityBasis("pair", {1: (a,), 6: (b,)}, {}), [1, 6], positions)
            block = matrix[rows[i] : rows[i + 1], rows[-1] + columns[j] : rows[-1] + columns[j + 1]]
            expected = alone[: 2 * a.l + 1, 2 * a.l + 1 :]
            assert np.abs(block - expected).max() < ROUNDING_RELATIVE


@metrics
@pytest.mark.parametrize("name", ["def2-universal-jfit", "aug-cc-pvqz-jkfit"])
def test_library_bases_agree_with_libcint(
    metric: str, name: str, instruction_set: str, positions: NDArray[np.float64]
) -> None:
    numbers = [8, 1, 1, 6, 1, 1, 1]
    basis = libcint.library_basis(name, numbers)
    ours = MATRICES[metric](basis, numbers, positions)
    theirs = libcint.metric_matrix(metric, libcint.mole_of(basis, numbers, positions))
    assert largest_difference(ours, theirs) < INTEGRALS_RELATIVE


@metrics
@pytest.mark.parametrize("l", range(7))
def test_every_degree_agrees_with_the_twin(metric: str, l: int, instruction_set: str) -> None:
    shells = tuple(Shell(k, (a,)) for k in range(7) for a in (0.3, 2.0))
    basis = DensityBasis("all", {1: (Shell(l, (0.7,)),), 2: shells}, {})
    numbers, positions = [1, 2], np.array([[[0.3, -0.2, 0.5], [1.1, 0.9, -0.4]]])
    table = shell_table(basis)
    twin = twin_backend.metric_matrix(metric, table, table.species(numbers), positions, 1)
    ours = MATRICES[metric](basis, numbers, positions)
    assert largest_difference(ours, twin) < ROUNDING_RELATIVE


@pytest.mark.parametrize("distance", [0.0, 1e-8, 1e-3, 0.7, 4.0, 9.0, 25.0])
def test_s_functions_follow_their_closed_forms(distance: float, instruction_set: str) -> None:
    from scipy.special import erf

    a, b = 0.8, 2.3
    basis = DensityBasis("s", {1: (Shell(0, (a,)),), 2: (Shell(0, (b,)),)}, {})
    positions = [[0.0, 0.0, 0.0], [0.0, distance, 0.0]]
    p = a * b / (a + b)
    s = (4.0 * a * b / (a + b) ** 2) ** 0.75 * np.exp(-p * distance**2)
    potential = erf(np.sqrt(p) * distance) / distance if distance else 2.0 * np.sqrt(p / np.pi)
    charges = (2.0 * np.pi / a) ** 0.75 * (2.0 * np.pi / b) ** 0.75
    assert np.isclose(overlap(basis, [1, 2], positions)[0, 1], s, rtol=1e-13, atol=1e-16)
    assert np.isclose(
        coulomb_metric(basis, [1, 2], positions)[0, 1], charges * potential, rtol=1e-13
    )


@metrics
def test_batch_equals_single_structures(
    metric: str,
    basis: DensityBasis,
    numbers: NDArray[np.int64],
    positions: NDArray[np.float64],
    rng: np.random.Generator,
) -> None:
    batch = positions + rng.normal(scale=0.2, size=(5, *positions.shape))
    together = MATRICES[metric](basis, numbers, batch)
    for matrix, single in zip(together, batch, strict=True):
        assert np.array_equal(matrix, MATRICES[metric](basis, numbers, single))


@metrics
def test_threads_and_given_memory_do_not_change_the_result(
    metric: str, basis: DensityBasis, numbers: NDArray[np.int64], positions: NDArray[np.float64]
) -> None:
    one = MATRICES[metric](basis, numbers, positions)
    out = np.full_like(one, np.nan)
    three = MATRICES[metric](basis, numbers, positions, n_threads=3, out=out)
    assert np.shares_memory(three, out)
    assert np.array_equal(one, three)


@metrics
def test_large_matrices_equal_their_small_blocks(metric: str) -> None:
    """Beyond 16 MiB results are written past the caches, and distant blocks may not be written."""
    basis = DensityBasis("d", {1: tuple(Shell(2, (a,)) for a in (0.4, 0.9, 2.0, 5.0))}, {})
    positions = np.array([[4.0 * k, 0.3 * (k % 3), 0.1 * (k % 2)] for k in range(120)])
    large = MATRICES[metric](basis, np.ones(120, dtype=int), positions)
    recycled = np.full_like(large, np.nan)
    MATRICES[metric](basis, np.ones(120, dtype=int), positions, out=recycled)
    assert large.nbytes > 2**25
    assert np.array_equal(large, recycled)
    for first in (0, 50, 114):
        rows = slice(20 * first, 20 * first + 120)
        small = MATRICES[metric](basis, np.ones(6, dtype=int), positions[first : first + 6])
        assert np.array_equal(large[rows, rows], small)
    assert np.array_equal(large, large.T)


@metrics
def test_matrices_are_symmetric_and_positive_definite(
    metric: str, basis: DensityBasis, numbers: NDArray[np.int64], positions: NDArray[np.float64]
) -> None:
    matrix = MATRICES[metric](basis, numbers, positions)
    assert np.array_equal(matrix, matrix.T)
    assert np.linalg.eigvalsh(matrix).min() > 0.0


@metrics
def test_diagonal_of_the_overlap_is_one_and_blocks_between_structures_match(
    metric: str, basis: DensityBasis, numbers: NDArray[np.int64], positions: NDArray[np.float64]
) -> None:
    whole = MATRICES[metric](basis, numbers, positions)
    n = basis.n_functions(numbers[:3])
    block = metric_between(
        metric, basis, numbers[:3], positions[:3], numbers[3:], positions[3:], n_threads=2
    )
    assert largest_difference(block, whole[:n, n:]) < ROUNDING_RELATIVE
    if metric == "overlap":
        assert np.allclose(np.diag(whole), 1.0, rtol=1e-14)


@metrics
def test_two_bases_agree_with_libcint(
    metric: str, basis: DensityBasis, positions: NDArray[np.float64], instruction_set: str
) -> None:
    from pyscf import gto

    numbers = [8, 1, 1]
    other = libcint.library_basis("def2-universal-jfit", numbers)
    ours = metric_between(
        metric,
        basis,
        numbers,
        positions[:3],
        numbers,
        positions[1:4],
        other_basis=other,
    )
    theirs = gto.mole.intor_cross(
        libcint.INTEGRALS[metric],
        libcint.mole_of(basis, numbers, positions[:3]),
        libcint.mole_of(other, numbers, positions[1:4]),
    )
    assert largest_difference(ours, theirs) < INTEGRALS_RELATIVE
