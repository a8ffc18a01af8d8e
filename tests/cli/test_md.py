"""``densnet md``: from the command line to settings, and what it refuses."""

import argparse
from pathlib import Path

import pytest

from densnet.cli import md
from densnet.cli.main import main
from densnet.errors import InputError


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    md.add_arguments(parser)
    return parser.parse_args(words)


def test_an_ensemble_brings_its_own_beads_and_step() -> None:
    settings = md.settings_from(parse("ethanol", "--ensemble", "pa-cmd"))
    assert (settings.beads, settings.timestep_fs) == (32, 0.05)
    settings = md.settings_from(parse("ethanol", "--ensemble", "trpmd", "--beads", "8"))
    assert (settings.beads, settings.timestep_fs) == (8, 0.5)
    assert md.settings_from(parse("ethanol")).ensemble == "nve"


def test_a_bundle_of_the_users_is_found_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "mine"
    bundle.mkdir()
    (bundle / "manifest.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert md.settings_from(parse("mine")).model == str(bundle.resolve())


def test_a_folder_of_the_same_name_does_not_hide_a_shipped_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ethanol").mkdir()
    monkeypatch.chdir(tmp_path)
    assert md.settings_from(parse("ethanol")).model == "ethanol"


def test_a_model_has_to_be_named() -> None:
    with pytest.raises(InputError, match="which model"):
        md.settings_from(parse())


def test_what_cannot_run_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "run"
    assert main(["md", "no-such-model", "--output", str(output)]) == 2
    assert "no model 'no-such-model'" in capsys.readouterr().err
    assert not output.exists()
    assert main(["md", "--resume", str(tmp_path)]) == 2
    assert "no run to resume" in capsys.readouterr().err


def test_a_run_goes_on_with_its_own_settings(tmp_path: Path, capsys) -> None:
    assert main(["md", "ethanol", "--resume", str(tmp_path), "--steps", "5"]) == 2
    assert "leave out MODEL, --steps" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--timestep-fs", "0"), "timestep_fs must be positive"),
        (("--beads", "0"), "beads must be at least 1"),
        (("--tau-fs", "10"), "nve has no thermostat"),
    ],
)
def test_zeros_and_what_nothing_uses_are_refused(options: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        md.settings_from(parse("ethanol", *options))
