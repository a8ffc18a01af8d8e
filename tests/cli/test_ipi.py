"""``densnet ipi``: what it prints, copies and refuses."""

import json
from pathlib import Path

import pytest

from densnet.cli.main import main

LABELS = Path(__file__).parents[2] / "examples" / "01_ethanol" / "ethanol.h5"


def test_the_path_of_the_potential_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ipi", "pes-path"]) == 0
    path = Path(capsys.readouterr().out.strip())
    assert path.name == "pes.py"
    assert "__DRIVER_CLASS__" in path.read_text()


def test_templates_are_listed_and_copied(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ipi", "template"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert {"nve", "trpmd", "replica-exchange", "phonons"} <= set(names)
    assert main(["ipi", "template", "trpmd", "--output", str(tmp_path / "new")]) == 0
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["ethanol.xyz", "trpmd.xml"]
    assert main(["ipi", "template", "trpmd", "--output", str(tmp_path / "new")]) == 2
    assert "exists" in capsys.readouterr().err
    assert main(["ipi", "template", "npt"]) == 2


def test_check_reports_what_is_dangerous(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ipi", "template", "nve", "--output", str(tmp_path)]) == 0
    path = tmp_path / "nve.xml"
    assert main(["ipi", "check", str(path)]) == 0
    path.write_text(path.read_text().replace("<timeout>600</timeout>", ""))
    report = tmp_path / "report.json"
    assert main(["ipi", "check", str(path), "--json", str(report)]) == 1
    assert "waits for ever" in capsys.readouterr().out
    (finding,) = json.loads(report.read_text())["findings"]
    assert finding["severity"] == "dangerous"


def test_the_domain_of_the_training_frames_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "domain.npz"
    assert main(["ipi", "domain", str(LABELS), "--output", str(path)]) == 0
    assert "36 distances" in capsys.readouterr().out
    assert path.is_file()
