"""The distance from a training set: invariant, near one at its edge, large outside."""

from pathlib import Path

import numpy as np
import pytest

from densnet.data.store import FrameFile
from densnet.errors import DataError, InputError
from densnet.export.contents import DOMAIN, find_bundle, read_contents, shipped_bundles
from ipi_driver.__main__ import build_parser, find_domain
from ipi_driver.checks import Template
from ipi_driver.domain import Descriptor, Domain, fit_domain
from ipi_driver.guard import Limits
from tests.ipi_driver.elastic_ethanol import NUMBERS, POSITIONS, ElasticEthanol

LABELS = Path(__file__).parents[2] / "examples" / "01_ethanol" / "ethanol.h5"


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
    describe = Descriptor(NUMBERS)
    np.testing.assert_allclose(describe(moved[None]), describe(POSITIONS[None]), atol=1e-13)
    # All 36 distances are there, whatever their order.
    distances = np.linalg.norm(POSITIONS[:, None] - POSITIONS[None], axis=2)
    inverse = 1.0 / distances[np.triu_indices(9, k=1)]
    np.testing.assert_allclose(np.sort(describe(POSITIONS[None])[0]), np.sort(inverse), rtol=1e-13)


def test_training_frames_are_inside_and_the_farthest_is_one(
    domain: Domain, training: np.ndarray
) -> None:
    measures = domain.measure(training)
    assert measures.max() == pytest.approx(1.0, abs=1e-12)
    assert measures.mean() < 0.9


def test_new_frames_of_the_same_kind_are_near_and_others_far(
    domain: Domain, rng: np.random.Generator
) -> None:
    same = POSITIONS + rng.normal(scale=0.06, size=(200, 9, 3))
    assert np.mean(domain.measure(same) < Limits().domain_warning) > 0.95
    hot = POSITIONS + rng.normal(scale=0.2, size=(200, 9, 3))
    assert domain.measure(hot).min() > 1.2


@pytest.mark.parametrize("change", [-0.2, 0.2])
def test_one_bond_outside_the_range_of_the_training_set_is_seen(change: float) -> None:
    """However well the shape of the rest, and of many other distances, is known."""
    training = FrameFile.read(LABELS, select={"tag": "train"})
    domain = fit_domain(training.numbers.tolist(), training.positions)
    inside = FrameFile.read(LABELS, select={"tag": "test", "temperature": 300.0}).positions
    measures = domain.measure(inside)
    assert measures.max() < Limits().domain_warning
    # O–H, by a fifth; its distances from all other atoms are those of other conformers.
    frame = inside[np.argmin(measures)].copy()
    frame[8] += change * (frame[8] - frame[2])
    longest, shortest = (
        extreme(np.linalg.norm(training.positions[:, 8] - training.positions[:, 2], axis=1))
        for extreme in (np.max, np.min)
    )
    assert not shortest < np.linalg.norm(frame[8] - frame[2]) < longest
    assert domain.measure(frame[None])[0] > Limits().domain_warning


def test_a_domain_survives_the_disk(domain: Domain, training: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "domain.npz"
    path.write_bytes(domain.to_bytes())
    # The whitening is stored in single precision.
    np.testing.assert_allclose(
        Domain.load(path, NUMBERS).measure(training), domain.measure(training), rtol=1e-5
    )
    with pytest.raises(InputError, match="another molecule"):
        Domain.load(path, NUMBERS[:8])
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(DataError, match="damaged"):
        Domain.load(path, NUMBERS)
    np.savez(path, mean=domain.mean)
    with pytest.raises(DataError, match="densnet ipi domain"):
        Domain.load(path, NUMBERS)


def test_a_bundle_brings_its_domain_and_another_can_be_named(
    domain: Domain, training: np.ndarray, tmp_path: Path
) -> None:
    model = ElasticEthanol()
    template = Template.from_manifest(model.manifest)

    def found(*options: str) -> Domain | None:
        arguments = ["elastic", "--unix", "nobody", *options]
        return find_domain(build_parser().parse_args(arguments), model, template)

    assert found() is None
    with pytest.raises(InputError, match="densnet ipi domain"):
        found("--domain-stop", "2")
    model.domain = domain.to_bytes()
    own = found("--domain-stop", "2")
    assert own is not None
    assert own.farthest == domain.farthest
    wider = fit_domain(NUMBERS.tolist(), 1.2 * training)
    (tmp_path / "wider.npz").write_bytes(wider.to_bytes())
    other = found("--domain", str(tmp_path / "wider.npz"))
    assert other is not None
    assert other.farthest == wider.farthest


def test_too_few_frames_are_refused(training: np.ndarray) -> None:
    with pytest.raises(InputError, match="10 frames"):
        fit_domain(NUMBERS.tolist(), training[:10])


@pytest.mark.parametrize("name", shipped_bundles())
def test_the_minimum_of_a_shipped_model_is_inside(name: str) -> None:
    """Its equal distances are more equal than those of any frame in which atoms vibrate."""
    manifest, content, _ = read_contents(find_bundle(name))
    numbers = np.array(manifest["template"]["numbers"])
    domain = Domain.from_bytes(content[DOMAIN], numbers, name)
    assert domain.measure(np.array([manifest["template"]["positions"]]))[0] < 1.0
