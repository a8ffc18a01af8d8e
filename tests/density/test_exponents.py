"""Optimisation of exponents on densities whose best exponents are known."""

import numpy as np
import pytest

from densnet.basis import DensityBasis, Shell
from densnet.density.exponents import (
    CLOSEST_RATIO,
    ProjectionLadder,
    optimize_exponents,
    residual_and_gradient,
)
from densnet.errors import InputError
from densnet.integrals import coulomb_metric, flat_exponents, metric_between, with_exponents

NUMBERS = np.array([8, 1])
POSITIONS = np.array([[0.0, 0.1, 0.0], [1.2, 0.3, 1.1]])
TRUE = {8: [(0, 0.4), (0, 1.6), (1, 0.5), (1, 2.0), (2, 0.9)], 1: [(0, 0.7), (1, 1.1)]}


def primitives(shells: dict[int, list[tuple[int, float]]]) -> DensityBasis:
    return DensityBasis(
        "test", {z: tuple(Shell(l, (a,)) for l, a in entries) for z, entries in shells.items()}, {}
    )


@pytest.fixture(scope="module")
def ladder() -> ProjectionLadder:
    """Return the ladder of a density that five plus two shells expand exactly."""
    rng = np.random.default_rng(5)
    truth = primitives(TRUE)
    c = rng.normal(size=truth.n_functions(NUMBERS))
    rungs = 0.1 * 1.15 ** np.arange(35)
    exponents = dict.fromkeys([(8, 0), (8, 1), (8, 2), (1, 0), (1, 1)], rungs)
    projections = {}
    for atom, z in enumerate(NUMBERS.tolist()):
        for l in range(3 if z == 8 else 2):
            tried = primitives({z: [(l, float(a)) for a in rungs]})
            values = metric_between(
                "coulomb",
                tried,
                [z],
                POSITIONS[atom : atom + 1],
                NUMBERS,
                POSITIONS,
                other_basis=truth,
            )
            projections[atom, l] = (values @ c).reshape(len(rungs), 2 * l + 1)
    energy = float(c @ coulomb_metric(truth, NUMBERS, POSITIONS) @ c)
    return ProjectionLadder(NUMBERS, POSITIONS, energy, exponents, projections)


def test_nothing_is_left_over_at_the_true_exponents(ladder: ProjectionLadder) -> None:
    energy, gradient = residual_and_gradient(primitives(TRUE), ladder, ridge=0.0)
    # Splines over rungs of ratio 1.15 are good to 1e-7 in value and 1e-5 in slope.
    assert abs(energy) < 1e-6 * ladder.self_energy
    assert np.abs(gradient).max() < 1e-4 * ladder.self_energy


@pytest.mark.parametrize("ridge", [0.0, 1e-3])
def test_gradient_agrees_with_central_differences(ladder: ProjectionLadder, ridge: float) -> None:
    start = with_exponents(primitives(TRUE), 1.3 * flat_exponents(primitives(TRUE)))
    _, gradient = residual_and_gradient(start, ladder, ridge)
    step = 1e-4
    for k in range(len(gradient)):
        ends = []
        for sign in (1.0, -1.0):
            moved = flat_exponents(start)
            moved[k] *= np.exp(sign * step)
            ends.append(residual_and_gradient(with_exponents(start, moved), ladder, ridge)[0])
        difference = (ends[0] - ends[1]) / (2.0 * step)
        # The slope of a cubic spline is good to some 1e-5 of the self-energy of about ten.
        assert abs(gradient[k] - difference) < 1e-4


def test_optimisation_finds_the_true_exponents(ladder: ProjectionLadder) -> None:
    factors = np.array([1.2, 0.85, 1.25, 0.9, 1.3, 0.8, 1.2])
    start = with_exponents(primitives(TRUE), factors * flat_exponents(primitives(TRUE)))
    result = optimize_exponents(start, [ladder], ridge=1e-12, max_iterations=80)
    np.testing.assert_allclose(
        flat_exponents(result.basis), flat_exponents(primitives(TRUE)), rtol=0.02
    )
    assert result.residual < 1e-6
    assert result.n_evaluations > 1


def test_a_larger_ridge_never_leaves_less(ladder: ProjectionLadder) -> None:
    start = with_exponents(primitives(TRUE), 1.2 * flat_exponents(primitives(TRUE)))
    left = [residual_and_gradient(start, ladder, ridge)[0] for ridge in (0.0, 1e-6, 1e-4, 1e-2)]
    assert left == sorted(left)


def test_exponents_keep_their_distance_and_stay_on_the_ladder(ladder: ProjectionLadder) -> None:
    # Four s shells for a density that has two: the surplus would collapse or run away.
    crowd = primitives({8: [(0, a) for a in (0.3, 0.9, 2.0, 9.0)], 1: [(0, 0.7)]})
    found = optimize_exponents(crowd, [ladder], max_iterations=40).basis
    oxygen = np.array([shell.exponents[0] for shell in found.shells[8]])
    assert (oxygen[1:] / oxygen[:-1] > CLOSEST_RATIO * (1.0 - 1e-9)).all()
    rungs = ladder.exponents[8, 0]
    assert oxygen[0] >= rungs[0] * (1.0 - 1e-9)
    assert oxygen[-1] <= rungs[-1] * (1.0 + 1e-9)


def test_an_exponent_off_the_ladder_is_refused(ladder: ProjectionLadder) -> None:
    with pytest.raises(InputError, match="outside the ladder"):
        residual_and_gradient(primitives({8: [(0, 1e6)], 1: [(0, 0.7)]}), ladder)


def test_an_l_without_a_ladder_is_refused(ladder: ProjectionLadder) -> None:
    with pytest.raises(InputError, match="no molecule has Z = 1 with l = 2"):
        optimize_exponents(primitives({8: [(0, 1.0)], 1: [(2, 0.7)]}), [ladder])


def test_contracted_shells_are_refused(ladder: ProjectionLadder) -> None:
    contracted = DensityBasis(
        "c", {8: (Shell(0, (1.0, 2.0), (0.5, 0.5)),), 1: (Shell(0, (1.0,)),)}, {}
    )
    with pytest.raises(InputError, match="contracted"):
        residual_and_gradient(contracted, ladder)
