"""The right checkpoint after an orderly end and after a kill."""

from pathlib import Path

import pytest

from densnet.simulate.checkpoints import (
    done_steps,
    find_checkpoint,
    last_whole_step,
    periodic_checkpoints,
    prune_checkpoints,
    rows_reach,
)
from densnet.simulate.manifest import Segment

STRIDE = 4


@pytest.fixture
def segment() -> Segment:
    return Segment(
        name="nve-00",
        stage="01_nve",
        ensemble="nve",
        temperature_kelvin=300.0,
        timestep_fs=0.5,
        steps=5000,
        dipole_stride=STRIDE,
        dipole_files=("01_nve/densnet.dipole_0",),
        properties_file="01_nve/densnet.out",
        use_for_spectrum=True,
    )


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    directory = tmp_path / "01_nve"
    directory.mkdir()
    return directory


def checkpoint(path: Path, step: int) -> None:
    path.write_text(f"<simulation><step>{step}</step></simulation>")


def dipoles(stage: Path, last: int, cut: str = "") -> None:
    rows = [
        f" #EXTRAS(dipole)# Step:  {step:10d} \n  1.0  2.0  3.0\n"
        for step in range(0, last + 1, STRIDE)
    ]
    (stage / "densnet.dipole_0").write_text("".join(rows) + cut)


def test_an_orderly_end_is_continued_from_restart(stage: Path, segment: Segment) -> None:
    checkpoint(stage / "densnet.checkpoint_1", 2000)
    checkpoint(stage / "RESTART", 2300)
    dipoles(stage, 2340)
    assert find_checkpoint(stage, stage.parent, [segment]) == stage / "RESTART"
    assert done_steps(stage) == 2300


def test_rows_lost_in_a_buffer_are_computed_again(stage: Path, segment: Segment) -> None:
    for number, step in enumerate((1000, 2000, 3000)):
        checkpoint(stage / f"densnet.checkpoint_{number}", step)
    dipoles(stage, 2996)
    assert find_checkpoint(stage, stage.parent, [segment]) == stage / "densnet.checkpoint_1"
    assert done_steps(stage) == 0
    dipoles(stage, 3000)
    assert find_checkpoint(stage, stage.parent, [segment]) == stage / "densnet.checkpoint_2"


def test_half_a_checkpoint_and_half_a_row_do_not_count(stage: Path, segment: Segment) -> None:
    checkpoint(stage / "densnet.checkpoint_0", 1000)
    (stage / "densnet.checkpoint_1").write_text("<simulation><step>2000</st")
    dipoles(stage, 2000, cut=" #EXTRAS(dipole)# Step:        2004 \n  1.0  2.")
    assert last_whole_step(stage / "densnet.dipole_0") == 2000
    assert find_checkpoint(stage, stage.parent, [segment]) == stage / "densnet.checkpoint_0"


def test_nothing_to_continue_from(stage: Path, segment: Segment) -> None:
    assert find_checkpoint(stage, stage.parent, [segment]) is None
    checkpoint(stage / "densnet.checkpoint_0", 1000)
    assert not rows_reach(1000, stage.parent, [segment])
    assert find_checkpoint(stage, stage.parent, [segment]) is None


def test_the_latest_checkpoints_are_kept(stage: Path) -> None:
    for number in range(12):
        checkpoint(stage / f"densnet.checkpoint_{number}", 1000 * (number + 1))
    prune_checkpoints(stage)
    assert [path.name[-3:] for path in periodic_checkpoints(stage)] == ["t_9", "_10", "_11"]
    prune_checkpoints(stage)
    assert len(periodic_checkpoints(stage)) == 3
