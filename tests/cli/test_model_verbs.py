"""``densnet evaluate`` and ``densnet export`` on the shipped model and labels."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest

from densnet.cli.evaluate import differences
from densnet.cli.main import main
from densnet.data.store import FrameFile
from densnet.errors import MissingLabelError
from densnet.evaluation.density_error import compute_frame_errors
from densnet.export.loading import load_model
from densnet.export.rebuild import rebuild_model
from densnet.models.io import model_to_dict
from densnet.training.checkpoint import save_checkpoint
from densnet.training.run_lock import locked_folder
from ipi_driver.domain import Domain
from tests.tolerances import SYMMETRY

LABELS = Path(__file__).parents[2] / "examples" / "01_ethanol" / "ethanol.h5"
RESPONSES = LABELS.with_name("ethanol_response.h5")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """The shipped model as the file that a training ends with."""
    model, basis = rebuild_model("ethanol")
    path = tmp_path_factory.mktemp("training") / "model.ckpt"
    save_checkpoint(path, model_to_dict(model, basis))
    return path


def test_evaluate_prints_a_table_and_writes_numbers_and_pictures(tmp_path, capsys):
    arguments = ["evaluate", "ethanol", str(LABELS), "--density-frames", "1", "--grid-level", "1"]
    arguments += ["--output", str(tmp_path / "report"), "--json", str(tmp_path / "errors.json")]
    assert main(arguments) == 0
    assert "dipole vector MAE" in capsys.readouterr().out
    report = json.loads((tmp_path / "errors.json").read_text())
    assert report["bundle_sha256"] == load_model("ethanol").sha256
    assert set(report["errors"]) == {"300 K", "500 K"}
    at_300 = report["errors"]["300 K"]
    assert at_300["properties"]["n_frames"] == 150
    assert at_300["density_percent"]["floor"] < at_300["density_percent"]["predicted"] < 0.6
    assert (tmp_path / "report" / "parity.png").stat().st_size > 10_000


def test_evaluate_compares_densities_where_there_are_orbitals(tmp_path, capsys):
    """The compact file keeps those of its test frames."""
    numbers = tmp_path / "errors.json"
    arguments = ["evaluate", "ethanol", str(LABELS), "--tag", "validation", "--density-frames", "1"]
    assert main([*arguments, "--output", str(tmp_path), "--json", str(numbers)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "orbitals of 0 of these 110 frames" in printed
    assert "nan" not in printed
    assert (tmp_path / "parity.png").is_file()
    errors = json.loads(numbers.read_text(encoding="utf-8"))["errors"]
    assert all(of["density_percent"] is None for of in errors.values())
    frames = FrameFile.read(LABELS, select={"tag": "validation"})
    with pytest.raises(MissingLabelError, match="orbitals is missing"):
        compute_frame_errors(load_model("ethanol").basis, frames, frames.coefficients)


def test_evaluate_says_which_frames_are_missing(tmp_path, capsys):
    assert main(["evaluate", "ethanol", str(LABELS), "--tag", "holdout"]) == 2
    assert "no frames with tag = holdout" in capsys.readouterr().err


@pytest.mark.parametrize("source", ["checkpoint", "shipped"])
def test_an_exported_model_predicts_as_the_shipped_one(source, checkpoint, tmp_path, capsys):
    output = tmp_path / "bundle"
    model = str(checkpoint) if source == "checkpoint" else "ethanol"
    arguments = ["export", model, "--data", str(LABELS), "--name", "again"]
    assert main([*arguments, "--output", str(output)]) == 0
    assert "verified" in capsys.readouterr().out
    first, second = load_model(output, dtype="float64"), load_model("ethanol", dtype="float64")
    numbers, positions = second.template_numbers, second.template_positions
    np.testing.assert_allclose(
        first.evaluate(numbers, positions).forces,
        second.evaluate(numbers, positions).forces,
        atol=SYMMETRY,
    )
    assert first.manifest["level"]["xc"] == "pbe"
    # It brings the domain of its training set, whose equilibrium geometry lies inside.
    domain = Domain.from_bytes(first.domain, numbers, "the bundle's domain")
    assert domain.measure(positions[None])[0] < 1.0


def test_a_bundle_knows_all_files_it_was_trained_on(checkpoint, tmp_path, capsys):
    beads = LABELS.with_name("ethanol_quantum.h5")
    arguments = ["export", str(checkpoint), "--name", "again", "--output", str(tmp_path / "bundle")]
    assert main([*arguments, "--data", str(LABELS), str(beads)]) == 0
    model = load_model(tmp_path / "bundle")
    digest = hashlib.sha256(LABELS.read_bytes() + beads.read_bytes()).hexdigest()
    assert model.manifest["training_sha256"] == digest
    # Beads of a replica that was not trained on lie farther out for the classical frames alone.
    frames = FrameFile.read(beads, select={"tag": "test"})
    assert main([*arguments, "--data", str(LABELS)]) == 0
    farthest = [
        Domain.from_bytes(m.domain, m.template_numbers, "it").measure(frames.positions).max()
        for m in (model, load_model(tmp_path / "bundle"))
    ]
    assert farthest[0] < 0.8 * farthest[1]
    other = LABELS.parents[1] / "02_ethanethiol" / "ethanethiol.h5"
    assert main([*arguments, "--data", str(LABELS), str(other)]) == 2
    assert "holds another molecule" in capsys.readouterr().err


def test_a_response_map_is_trained_exported_and_evaluated(checkpoint, tmp_path, capsys):
    """The verbs in their order, a few epochs of a tiny map."""
    (tmp_path / "response.yaml").write_text(
        f"initial_model: {checkpoint}\noutput: run\nvalidate_every: 5\nema_decay: 0.9\n"
        f"response: {{data: [{RESPONSES}], epochs: 3, learning_rate: 1.0e-2, batch_size: 8, "
        "network: {n_channels: 8}}\n"
    )
    with locked_folder(tmp_path / "run"):
        assert main(["train", str(tmp_path / "response.yaml")]) == 2
    assert f"process {os.getpid()} on" in capsys.readouterr().err
    assert main(["train", str(tmp_path / "response.yaml")]) == 0
    trained, bundle = tmp_path / "run" / "model.ckpt", tmp_path / "bundle"
    arguments = ["export", str(trained), "--data", str(LABELS), "--name", "polarizable"]
    assert main([*arguments, "--output", str(bundle)]) == 0
    assert json.loads((bundle / "manifest.json").read_text())["polarizability"] is True
    report = tmp_path / "errors.json"
    arguments = ["evaluate", str(bundle), str(RESPONSES), "--density-frames", "0"]
    assert main([*arguments, "--json", str(report)]) == 0
    errors = json.loads(report.read_text())["errors"]["300 K"]["polarizability"]
    assert errors["n_frames"] >= 10
    assert errors["mae_percent"] < 4.0
    assert "polarizability MAE, bohr³" in capsys.readouterr().out
    assert main(["evaluate", "ethanol", str(LABELS), "--density-frames", "0"]) == 0
    assert "polarizability" not in capsys.readouterr().out


def test_export_refuses_what_is_not_a_checkpoint(tmp_path, capsys):
    path = tmp_path / "model.ckpt"
    path.write_bytes(b"not a checkpoint")
    arguments = ["export", str(path), "--data", str(LABELS), "--name", "x", "--output", "y"]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert "not a readable checkpoint" in error
    assert "give a model.ckpt of densnet train or a bundle" in error
    assert "delete" not in error


def test_evaluate_says_what_cannot_be_compared(capsys):
    labels = LABELS.parents[1] / "02_ethanethiol" / "ethanethiol.h5"
    found = list(differences(load_model("ethanol"), FrameFile.read(labels)))
    assert found == ["caution: ethanethiol.h5 holds C2H6S, ethanol was trained on C2H6O"]
    found = list(differences(load_model("ethanol-b3lyp"), FrameFile.read(LABELS)))
    assert len(found) == 1
    assert "labels are of pbe/aug-cc-pvdz, ethanol-b3lyp learned b3lyp/aug-cc-pvdz" in found[0]
    for option in ("--density-frames", "--grid-level"):
        assert main(["evaluate", "ethanol", str(LABELS), option, "-1"]) == 2
        assert option in capsys.readouterr().err
