"""``densnet harmonic`` on the shipped model."""

import json
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms

from densnet.calculators.ase import DensNetCalculator
from densnet.cli.main import main
from densnet.export.loading import load_model
from tests.polarizable import load_older_model

GAUCHE = Path(__file__).parents[2] / "examples" / "01_ethanol" / "ethanol-gauche.xyz"


def test_modes_are_printed_drawn_and_written(tmp_path, capsys):
    arguments = ["harmonic", "ethanol", "--bands", "ethanol", "--output", str(tmp_path / "out")]
    assert main([*arguments, "--json", str(tmp_path / "modes.json")]) == 0
    assert "harmonic modes of ethanol" in capsys.readouterr().out
    report = json.loads((tmp_path / "modes.json").read_text())
    wavenumber = np.array(report["predicted"]["wavenumber_cm1"])
    assert wavenumber.shape == (21,)
    assert np.all(np.diff(wavenumber) >= 0.0)
    assert (tmp_path / "out" / "harmonic.png").stat().st_size > 10_000
    assert report == json.loads((tmp_path / "out" / "harmonic.json").read_text())


def test_raman_activities_come_with_a_model_that_has_polarizabilities(
    polarizable_bundle, tmp_path, capsys
):
    output = tmp_path / "out"
    assert main(["harmonic", str(polarizable_bundle), "--output", str(output)]) == 0
    assert "R / Å⁴ amu⁻¹" in capsys.readouterr().out
    predicted = json.loads((output / "harmonic.json").read_text())["predicted"]
    activity = np.array(predicted["activity_angstrom4_amu"])
    assert activity.shape == (21,)
    assert activity.min() >= 0.0
    assert activity.max() > 0.0


def test_without_raman_nobody_is_asked_for_polarizabilities(
    polarizable_bundle, tmp_path, capsys, monkeypatch
):
    """The reference stands for PySCF: the shipped weights, which cannot give them here."""
    monkeypatch.setattr(
        "densnet.cli.harmonic.reference_calculator",
        lambda model: DensNetCalculator(load_older_model()),
    )
    report = tmp_path / "modes.json"
    arguments = ["harmonic", str(polarizable_bundle), "--dft", "--json", str(report)]
    assert main([*arguments, "--no-raman"]) == 0
    output = capsys.readouterr().out
    assert "I DFT / km mol⁻¹" in output
    assert "Raman" not in output
    found = json.loads(report.read_text())
    assert found["predicted"]["activity_angstrom4_amu"] is None
    assert found["errors"]["mean_absolute_wavenumber_error_cm1"] < 0.5
    assert "relative_activity_error" not in found["errors"]


def test_a_reference_of_the_mirror_image_is_not_taken_up(tmp_path, capsys, monkeypatch):
    """The model itself stands for PySCF."""
    monkeypatch.setattr("densnet.cli.harmonic.reference_calculator", DensNetCalculator)
    reference = tmp_path / "reference"
    reference.mkdir()
    mirrored = ase.io.read(GAUCHE)
    mirrored.positions[:, 2] *= -1.0
    ase.io.write(reference / "minimum.xyz", mirrored)
    arguments = ["harmonic", "ethanol", str(GAUCHE), "--dft", "--no-raman"]
    assert main([*arguments, "--output", str(tmp_path)]) == 2
    assert "minimum.xyz is of another" in capsys.readouterr().err
    (reference / "minimum.xyz").write_text("9\n\nC 0.0 0.0")
    assert main([*arguments, "--output", str(tmp_path)]) == 2
    assert "minimum.xyz: ASE cannot read it" in capsys.readouterr().err
    for _ in ("made", "taken up"):
        assert main([*arguments, "--output", str(tmp_path / "new")]) == 0
        found = json.loads((tmp_path / "new" / "harmonic.json").read_text())
        assert found["errors"]["mean_absolute_wavenumber_error_cm1"] < 0.5


def test_a_geometry_that_is_not_there_is_named(capsys):
    assert main(["harmonic", "ethanol", "nowhere.xyz"]) == 2
    assert "nowhere.xyz: no such geometry" in capsys.readouterr().err


def test_a_geometry_of_another_unit_or_molecule_is_refused(tmp_path, capsys):
    model = load_model("ethanol")
    path = tmp_path / "bohr.xyz"
    # In bohr, where the format has angstrom.
    ase.io.write(path, Atoms(model.template_numbers, model.template_positions))
    assert main(["harmonic", "ethanol", str(path)]) == 2
    assert "bohr.xyz: bonds of the structure are 1.89 times" in capsys.readouterr().err
    ase.io.write(path, Atoms(model.template_numbers[:-1], model.template_positions[:-1]))
    assert main(["cube", "ethanol", "--geometry", str(path)]) == 2
    assert "the structure has the atoms C C O H H H H H, the model's" in capsys.readouterr().err
