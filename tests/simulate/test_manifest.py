"""run.json survives the disk, and a damaged one is refused."""

import json
from pathlib import Path

import pytest

from densnet.errors import DataError, InputError
from densnet.simulate.manifest import RunManifest
from densnet.simulate.plan import Settings
from densnet.simulate.run import start_run
from tests.simulate.test_plan import MOLECULE


@pytest.fixture
def run(tmp_path: Path) -> Path:
    directory = tmp_path / "run"
    start_run(Settings("elastic", replicas=2), MOLECULE, directory, ("densnet", "md", "elastic"))
    return directory


def test_a_manifest_is_read_as_it_was_written(run: Path) -> None:
    manifest = RunManifest.load(run)
    assert not manifest.finished
    assert [s.name for s in manifest.segments] == [
        "thermalise-00",
        "thermalise-01",
        "nve-00",
        "nve-01",
    ]
    manifest.as_finished().save(run)
    assert RunManifest.load(run) == manifest.as_finished()


def test_a_used_directory_is_not_overwritten(run: Path) -> None:
    with pytest.raises(InputError, match="--resume"):
        start_run(Settings("elastic"), MOLECULE, run, ())


def test_a_directory_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="densnet md"):
        RunManifest.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(version=99), "version 99"),
        (lambda d: d.update(format="other"), "not the manifest"),
        (lambda d: d.pop("segments"), "segments"),
        (lambda d: d["segments"][0].update(colour="red"), "colour"),
    ],
)
def test_a_foreign_manifest_is_refused(run: Path, change: object, message: str) -> None:
    path = run / "run.json"
    document = json.loads(path.read_text())
    change(document)  # type: ignore[operator]
    path.write_text(json.dumps(document))
    with pytest.raises(DataError, match=message):
        RunManifest.load(run)


def test_a_truncated_manifest_is_refused(run: Path) -> None:
    path = run / "run.json"
    path.write_text(path.read_text()[:100])
    with pytest.raises(DataError, match="damaged"):
        RunManifest.load(run)
