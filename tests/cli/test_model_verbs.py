"""``densnet evaluate`` and ``densnet export`` on the shipped model and labels."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from densnet.cli.main import main
from densnet.export.contents import find_bundle
from densnet.export.runtime import load_model
from densnet.models.io import model_from_dict, model_to_dict
from densnet.training.checkpoint import save_checkpoint
from tests.tolerances import SYMMETRY

LABELS = Path(__file__).parents[2] / "examples" / "01_ethanol" / "ethanol.h5"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """The shipped model as the file that a training ends with."""
    bundle = find_bundle("ethanol")
    extra = {"config.json": "", "basis.json": ""}
    torch.jit.load(bundle / "model.pt", _extra_files=extra)
    stored = np.load(bundle / "weights.npz", allow_pickle=False)
    model, basis = model_from_dict(
        {
            "format": 1,
            "config": extra["config.json"],
            "basis": extra["basis.json"],
            "n_neighbours": json.loads((bundle / "manifest.json").read_text())["n_neighbours"],
            "weights": {name: torch.from_numpy(stored[name]) for name in stored.files},
        }
    )
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


def test_evaluate_says_which_frames_are_missing(tmp_path, capsys):
    assert main(["evaluate", "ethanol", str(LABELS), "--tag", "holdout"]) == 2
    assert "no frames with tag = holdout" in capsys.readouterr().err


def test_an_exported_checkpoint_predicts_as_the_shipped_model(checkpoint, tmp_path, capsys):
    output = tmp_path / "bundle"
    arguments = ["export", str(checkpoint), "--data", str(LABELS), "--name", "again"]
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


def test_export_refuses_what_is_not_a_checkpoint(tmp_path, capsys):
    path = tmp_path / "model.ckpt"
    path.write_bytes(b"not a checkpoint")
    arguments = ["export", str(path), "--data", str(LABELS), "--name", "x", "--output", "y"]
    assert main(arguments) == 2
    assert "not a readable checkpoint" in capsys.readouterr().err
