"""The distance from a training set: invariant, near one at its edge, large outside."""

from pathlib import Path

import numpy as np
import pytest

from densnet.errors import DataError, InputError
from ipi_driver.domain import Domain, describe, fit_domain
from tests.ipi_driver.elastic_ethanol import NUMBERS, POSITIONS


@pytest.fixture
def training(rng: np.random.Generator) -> np.ndarray:
    return POSITIONS + rng.normal(scale=0.06, size=(400, 9, 3))


@pytest.fixture
def domain(training: np.ndarray) -> Domain:
    return fit_domain(NUMBERS.tolist(), training)


def test_the_descriptor_ignores_orientation_and_the_exchange_of_equal_atoms(
    rng: np.random.Generator,
) -> None:
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    moved = (POSITIONS @ rotation.T + 3.0)[[0, 1, 2, 5, 3, 8, 7, 6, 4]]
    np.testing.assert_allclose(
        describe(NUMBERS, moved[None]), describe(NUMBERS, POSITIONS[None]), atol=1e-13
    )


def test_training_frames_are_inside_and_the_farthest_is_one(
    domain: Domain, training: np.ndarray
) -> None:
    measures = domain.measure(training)
    assert measures.max() == pytest.approx(1.0, abs=1e-12)
    assert measures.mean() < 0.8


def test_new_frames_of_the_same_kind_are_near_and_others_far(
    domain: Domain, rng: np.random.Generator
) -> None:
    same = POSITIONS + rng.normal(scale=0.06, size=(200, 9, 3))
    assert np.mean(domain.measure(same) < 1.1) > 0.95
    hot = POSITIONS + rng.normal(scale=0.2, size=(200, 9, 3))
    assert domain.measure(hot).min() > 1.2
    stretched = POSITIONS.copy()
    stretched[8] += 0.5 * (POSITIONS[8] - POSITIONS[2])
    assert domain.measure(stretched[None])[0] > 2.0


def test_a_domain_survives_the_disk(domain: Domain, training: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "domain.json"
    domain.save(path)
    np.testing.assert_array_equal(
        Domain.load(path, NUMBERS).measure(training), domain.measure(training)
    )
    with pytest.raises(InputError, match="another molecule"):
        Domain.load(path, NUMBERS[:8])
    path.write_text(path.read_text()[:50])
    with pytest.raises(DataError, match="damaged"):
        Domain.load(path, NUMBERS)
    path.write_text("{}")
    with pytest.raises(DataError, match="densnet ipi domain"):
        Domain.load(path, NUMBERS)


def test_too_few_frames_are_refused(training: np.ndarray) -> None:
    with pytest.raises(InputError, match="10 frames"):
        fit_domain(NUMBERS.tolist(), training[:10])
