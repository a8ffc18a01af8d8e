"""Results that cannot be true stop the run and leave the frame behind."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ipi_driver.checks import Template
from ipi_driver.domain import fit_domain
from ipi_driver.evaluate import Evaluation, Evaluator
from ipi_driver.guard import Guard, GuardError, Limits
from tests.ipi_driver.elastic_ethanol import POSITIONS, ElasticEthanol

FRAMES = np.stack([POSITIONS, POSITIONS + 0.01 * np.sin(np.arange(27.0)).reshape(9, 3)])


@pytest.fixture
def template() -> Template:
    return Template.from_manifest(ElasticEthanol().manifest)


@pytest.fixture
def guard(template: Template, tmp_path: Path) -> Guard:
    return Guard(template, Limits(), tmp_path)


@pytest.fixture
def evaluation(template: Template) -> Evaluation:
    return Evaluator(ElasticEthanol(), template.numbers).evaluate([FRAMES])[0]


def test_plausible_frames_pass(guard: Guard, evaluation: Evaluation, tmp_path: Path) -> None:
    guard.check(FRAMES, evaluation)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["energies", "forces", "virials", "dipoles"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_result_that_is_not_finite_is_refused(
    guard: Guard, evaluation: Evaluation, tmp_path: Path, name: str, value: float
) -> None:
    broken = getattr(evaluation, name).copy()
    broken.reshape(2, -1)[1, 0] = value
    with pytest.raises(GuardError, match=r"structure 1 .* not finite"):
        guard.check(FRAMES, replace(evaluation, **{name: broken}))
    dumped = (tmp_path / "densnet-driver-refused-0.xyz").read_text().splitlines()
    assert dumped[0] == "9"
    assert len(dumped) == 11


def test_an_absurd_force_is_refused(guard: Guard, evaluation: Evaluation) -> None:
    forces = evaluation.forces.copy()
    forces[0, 3, 2] = -1.2
    with pytest.raises(GuardError, match=r"structure 0 .* 61\.7 eV/Å"):
        guard.check(FRAMES, replace(evaluation, forces=forces))


def test_an_energy_far_from_the_first_is_refused(guard: Guard, evaluation: Evaluation) -> None:
    guard.check(FRAMES, evaluation)
    with pytest.raises(GuardError, match="from that of the first"):
        guard.check(FRAMES, replace(evaluation, energies=evaluation.energies - 1.0))


def test_a_broken_molecule_is_refused(guard: Guard, evaluation: Evaluation) -> None:
    frames = FRAMES.copy()
    frames[1, 8] += 5.0
    with pytest.raises(GuardError, match="pbc='False'"):
        guard.check(frames, evaluation)


def test_dumped_frames_do_not_overwrite_each_other(
    guard: Guard, evaluation: Evaluation, tmp_path: Path
) -> None:
    broken = replace(evaluation, energies=np.full(2, np.nan))
    for _ in range(2):
        with pytest.raises(GuardError):
            guard.check(FRAMES, broken)
    assert len(list(tmp_path.glob("*.xyz"))) == 2


def test_frames_far_from_the_training_set_are_counted_and_can_end_the_run(
    template: Template, tmp_path: Path, rng: np.random.Generator, caplog: pytest.LogCaptureFixture
) -> None:
    training = POSITIONS + rng.normal(scale=0.05, size=(200, 9, 3))
    domain = fit_domain(template.numbers.tolist(), training)
    far = POSITIONS + 0.3 * np.sin(np.arange(27.0)).reshape(9, 3)
    guard = Guard(template, Limits(), tmp_path, domain)
    assert guard.measure(training).max() == pytest.approx(1.0)
    distances = guard.measure(np.stack([POSITIONS, far, far]))
    assert distances[0] < 1.0 < distances[1]
    assert guard.outside == 2
    assert "training set" in caplog.text
    strict = Guard(template, Limits(domain_stop=1.5), tmp_path, domain)
    with pytest.raises(GuardError, match="--domain-stop"):
        strict.measure(far[None])
    assert Guard(template, Limits(), tmp_path).measure(far[None]) is None
