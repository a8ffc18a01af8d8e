"""Several models as one: mean, spread, what does not belong together, and real bundles."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from densnet.errors import InputError
from densnet.export.bundle import Provenance, export_bundle
from densnet.export.loading import load_model
from densnet.export.rebuild import rebuild_model
from ipi_driver.__main__ import load_bundle
from ipi_driver.checks import Template
from ipi_driver.committee import Committee
from ipi_driver.evaluate import Evaluator
from ipi_driver.guard import Guard, GuardError, Limits
from tests.ipi_driver.elastic_ethanol import NUMBERS, POSITIONS, ElasticEthanol
from tests.tolerances import ROUNDING

SCALES = (1.0, 1.1, 0.97)
# Of the weights of a second member: a few times the error of a trained model.
PERTURBATION = 2e-3


class Relabelled(ElasticEthanol):
    """A member with something else in its manifest."""

    def __init__(self, **changes: Any) -> None:
        super().__init__(scale=1.1)
        self._changes = changes

    @property
    def manifest(self) -> dict[str, Any]:
        return {**super().manifest, **self._changes}


@pytest.fixture
def frames(rng: np.random.Generator) -> np.ndarray:
    return POSITIONS + rng.normal(scale=0.05, size=(6, 9, 3))


@pytest.fixture
def committee() -> Committee:
    return Committee([ElasticEthanol(scale=scale) for scale in SCALES])


def test_the_mean_is_served_and_the_spread_is_that_of_the_members(
    committee: Committee, frames: np.ndarray
) -> None:
    members = [ElasticEthanol(scale=s).evaluate(NUMBERS, frames) for s in SCALES]
    found = committee.evaluate(NUMBERS, frames)
    for name in ("energy", "forces", "virial", "dipole"):
        mean = sum(getattr(m, name) for m in members) / len(members)
        np.testing.assert_allclose(getattr(found, name), mean, atol=ROUNDING)
    for k in range(len(frames)):
        deviations = [
            sum(np.sum((m.forces[k, a] - found.forces[k, a]) ** 2) for m in members) / len(members)
            for a in range(9)
        ]
        assert found.spread.forces[k] == pytest.approx(max(deviations) ** 0.5, rel=1e-10)
        energies = np.array([m.energy[k] for m in members])
        assert found.spread.energies[k] == pytest.approx(energies.std(), rel=1e-10)
    # All have the same charges.
    np.testing.assert_allclose(found.spread.dipoles, 0.0, atol=ROUNDING)


def test_each_structure_of_a_batch_has_its_own_spread(
    committee: Committee, frames: np.ndarray
) -> None:
    padded = frames[[0, 1, 2, 2, 2]]
    first, second = Evaluator(committee, NUMBERS).evaluate([padded, frames[3:4]])
    assert first.spread is not None
    assert second.spread is not None
    alone = [committee.evaluate(NUMBERS, frames[k : k + 1]).spread.forces[0] for k in range(4)]
    np.testing.assert_allclose(first.spread.forces, [alone[k] for k in (0, 1, 2, 2, 2)])
    np.testing.assert_allclose(second.spread.forces, [alone[3]])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"charge": 1}, "another charge"),
        ({"level": {"functional": "B3LYP"}}, "another level"),
        ({"basis": {"name": "b", "sha256": "1"}}, "another density basis"),
        ({"template": {"numbers": [8, 1, 1], "positions": [[0, 0, 0]] * 3}}, "another molecule"),
    ],
)
def test_what_does_not_belong_together_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=f"member 2 .*{words}"):
        Committee([ElasticEthanol(), Relabelled(**changes)])


def test_one_model_is_no_committee() -> None:
    with pytest.raises(InputError, match="at least two"):
        Committee([ElasticEthanol()])


def test_disputed_frames_are_counted_and_can_end_the_run(
    committee: Committee, frames: np.ndarray, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    template = Template.from_manifest(committee.manifest)
    (evaluation,) = Evaluator(committee, NUMBERS).evaluate([frames])
    assert evaluation.spread is not None
    limit = float(np.median(evaluation.spread.forces))
    guard = Guard(template, Limits(spread_warning=limit), tmp_path)
    guard.check(frames, evaluation)
    guard.check(frames, evaluation)
    assert guard.disputed == 6
    assert caplog.text.count("disagrees") == 1
    assert not list(tmp_path.iterdir())
    strict = Guard(template, Limits(spread_stop=limit), tmp_path)
    with pytest.raises(GuardError, match="--spread-stop"):
        strict.check(frames, evaluation)
    assert list(tmp_path.glob("*.xyz"))
    strict.check(frames, replace(evaluation, spread=None))


@pytest.fixture(scope="module")
def second_member(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped model with other weights, exported as any trained model is."""
    shipped = load_model("ethanol")
    model, basis = rebuild_model("ethanol")
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
            parameter.mul_(1.0 + PERTURBATION * noise)
    provenance = Provenance(
        name="ethanol",
        numbers=shipped.template_numbers,
        positions=shipped.template_positions[None],
        level=shipped.manifest["level"],
        training_sha256="",
        accuracy={},
    )
    folder = tmp_path_factory.mktemp("committee") / "second"
    export_bundle(model, basis, provenance, folder)
    return folder


def test_bundles_are_served_together(second_member: Path, rng: np.random.Generator) -> None:
    def load(*committee: str) -> Any:
        return load_bundle(
            argparse.Namespace(
                model="ethanol",
                committee=list(committee),
                dtype="float64",
                threads=1,
                path="auto",
            )
        )

    both, first, second = (
        load(str(second_member)),
        load(),
        load_model(second_member, dtype="float64"),
    )
    structures = first.template_positions + rng.normal(scale=0.05, size=(3, 9, 3))
    numbers = first.template_numbers
    found = both.evaluate(numbers, structures)
    a, b = first.evaluate(numbers, structures), second.evaluate(numbers, structures)
    for name in ("energy", "forces", "virial", "dipole", "coefficients"):
        mean = 0.5 * (getattr(a, name) + getattr(b, name))
        np.testing.assert_allclose(getattr(found, name), mean, rtol=1e-12, atol=1e-10)
    half = 0.5 * np.linalg.norm(a.forces - b.forces, axis=2).max(axis=1)
    np.testing.assert_allclose(found.spread.forces, half, rtol=1e-6)
    # The members differ, and by no more than models of one training set would.
    assert 1e-6 < found.spread.forces.min() < found.spread.forces.max() < 0.02
    assert (found.spread.dipoles > 0.0).all()
    with pytest.raises(InputError, match="same bundle twice"):
        load("ethanol")
