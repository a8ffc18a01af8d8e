"""One model call for all requests, each distinct structure once, results in order."""

import json

import numpy as np

from ipi_driver.evaluate import Evaluator
from ipi_driver.extras import encode_extras
from tests.ipi_driver.elastic_ethanol import CHARGES, NUMBERS, POSITIONS, ElasticEthanol
from tests.tolerances import ROUNDING


def structures(n: int, rng: np.random.Generator) -> np.ndarray:
    return POSITIONS + rng.normal(scale=0.05, size=(n, 9, 3))


def test_several_requests_cost_one_call_and_equal_single_ones(rng: np.random.Generator) -> None:
    model = ElasticEthanol()
    evaluator = Evaluator(model, NUMBERS)
    requests = [structures(n, rng) for n in (1, 4, 2)]
    together = evaluator.evaluate(requests)
    assert model.batch_sizes == [7]
    for request, result in zip(requests, together, strict=True):
        (alone,) = Evaluator(ElasticEthanol(), NUMBERS).evaluate([request])
        np.testing.assert_allclose(result.energies, alone.energies, atol=ROUNDING)
        np.testing.assert_allclose(result.forces, alone.forces, atol=ROUNDING)
        np.testing.assert_allclose(result.virials, alone.virials, atol=ROUNDING)
        np.testing.assert_allclose(result.dipoles, alone.dipoles, atol=ROUNDING)


def test_padding_is_evaluated_once_and_answered_everywhere(rng: np.random.Generator) -> None:
    model = ElasticEthanol()
    frames = structures(3, rng)
    padded = np.concatenate([frames, np.repeat(frames[-1:], 13, axis=0)])
    (result,) = Evaluator(model, NUMBERS).evaluate([padded])
    assert model.batch_sizes == [3]
    assert result.energies.shape == (16,)
    np.testing.assert_array_equal(result.forces[3:], np.repeat(result.forces[2:3], 13, axis=0))
    assert result.forces.flags["C_CONTIGUOUS"]


def test_duplicates_in_the_middle_keep_their_places(rng: np.random.Generator) -> None:
    frames = structures(3, rng)[[2, 0, 2, 1, 0]]
    (result,) = Evaluator(ElasticEthanol(), NUMBERS).evaluate([frames])
    expected = ElasticEthanol().evaluate(NUMBERS, frames).energy
    np.testing.assert_allclose(result.energies, expected, atol=ROUNDING)


def test_polar_tensors_of_point_charges_are_their_charges(rng: np.random.Generator) -> None:
    model = ElasticEthanol()
    tensors = Evaluator(model, NUMBERS).polar_tensors(structures(2, rng))
    assert model.batch_sizes == [2 * 2 * 27]
    expected = np.repeat(CHARGES, 3)[:, None] * np.tile(np.eye(3), (9, 1))
    # The dipole is linear in the positions: rounding over the displacement.
    np.testing.assert_allclose(tensors, np.stack([expected] * 2), atol=1e-12)


def test_dipoles_survive_the_json_exactly(rng: np.random.Generator) -> None:
    (result,) = Evaluator(ElasticEthanol(), NUMBERS).evaluate([structures(4, rng)])
    texts = encode_extras(result)
    assert all(text.isascii() for text in texts)
    parsed = [json.loads(text) for text in texts]
    assert [set(extras) for extras in parsed] == [{"dipole"}] * 4
    np.testing.assert_array_equal([extras["dipole"] for extras in parsed], result.dipoles)
