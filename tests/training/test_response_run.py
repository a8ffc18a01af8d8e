"""The response map learns on top of frozen networks, changes none, and resumes after a kill."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch
import yaml

from densnet.cli.main import main
from densnet.cli.networks import load_networks
from densnet.cli.train import shipped_or_beside
from densnet.data.store import FrameFile
from densnet.density import compute_moments
from densnet.errors import InputError, MissingLabelError
from densnet.export.contents import find_bundle
from densnet.export.rebuild import rebuild_model
from densnet.models.io import model_from_dict, model_to_dict
from densnet.training.checkpoint import load_checkpoint, save_checkpoint
from densnet.training.config import ResponseConfig, StageConfig
from densnet.training.response_frames import compute_response_errors
from densnet.training.response_run import ResponseRun
from densnet.training.run import TrainingRun
from tests.tolerances import SINGLE_RELATIVE


@pytest.fixture(scope="module")
def shipped():
    return rebuild_model("ethanol")


def response_weights(path):
    weights = load_checkpoint(path)["weights"]
    return {k: v for k, v in weights.items() if k.startswith("response_map.")}


def test_the_labels_obey_the_sum_rule_that_the_model_is_built_on(response_labels, shipped):
    """Labels: no induced charge, and α is minus the dipole of ∂ρ/∂E, charges and dipoles of it."""
    frames = FrameFile.read(response_labels)
    for k in range(3):
        found = compute_moments(
            shipped[1], frames.numbers, frames.positions[k], frames["coefficient_response"][k, 1]
        )
        # Coefficients are stored in single precision.
        assert abs(found.charge) < 10.0 * SINGLE_RELATIVE
        np.testing.assert_allclose(
            found.dipole, frames.polarizability[k][:, 1], atol=40.0 * SINGLE_RELATIVE
        )


def test_the_response_is_learned_and_everything_else_stays(make_response_config, shipped):
    model, basis = shipped
    config = make_response_config(epochs=30)
    run = ResponseRun(config, model, basis)
    untrained = compute_response_errors(run.model, run.validation)
    trained, _ = model_from_dict(load_checkpoint(run.run()))
    assert run.history[-1]["polarizability_mae_bohr3"] < 1.0
    assert untrained.polarizability_mae_bohr3 > 3.0
    assert run.history[-1]["asymmetry_bohr3"] < 0.3
    assert run.history[-1]["response_coulomb"] < 0.3 * untrained.response_coulomb
    # What is saved is what was validated: the averaged weights.
    saved = compute_response_errors(trained, run.validation)
    expected = run.history[-1]["polarizability_mae_bohr3"]
    assert saved.polarizability_mae_bohr3 == pytest.approx(expected, rel=1e-4)
    kept = [name for name in model.state_dict() if not name.startswith("response_map.")]
    assert len(kept) > 50
    for name in kept:
        assert torch.equal(model.state_dict()[name], trained.state_dict()[name]), name


def test_percentages_are_of_the_mean_isotropic_polarizability(make_response_config, shipped):
    run = ResponseRun(make_response_config(), *shipped)
    errors = compute_response_errors(run.model, run.validation)
    isotropic = np.mean([np.trace(a) / 3.0 for f in run.validation_sets for a in f.polarizability])
    # PBE/aug-cc-pVDZ of ethanol: 35 bohr³.
    assert 32.0 < isotropic < 40.0
    percent = 100.0 * errors.polarizability_mae_bohr3 / isotropic
    assert errors.polarizability_mae_percent == pytest.approx(percent)


def test_a_killed_training_resumes_to_the_same_weights(make_response_config, shipped, tmp_path):
    save_checkpoint(tmp_path / "model.ckpt", model_to_dict(*shipped))
    whole = make_response_config("whole")
    path = ResponseRun(whole, *shipped).run()
    stage = whole.response
    content = {
        "initial_model": "model.ckpt",
        "output": "killed",
        "ema_decay": 0.9,
        "validate_every": 1,
        "response": {
            "data": [str(stage.data[0])],
            "epochs": stage.epochs,
            "learning_rate": stage.learning_rate,
            "batch_size": 4,
            "warmup_steps": 2,
            "network": {"n_channels": 4, "n_transfer": 4},
        },
    }
    text = tmp_path / "response.yaml"
    text.write_text(yaml.safe_dump(content))
    command = [sys.executable, "-m", "densnet", "train", str(text)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env={**os.environ})
    checkpoint = tmp_path / "killed" / "response_checkpoint.pt"
    deadline = time.monotonic() + 120.0
    while not checkpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert checkpoint.exists()
    assert not (tmp_path / "killed" / "model.ckpt").exists()
    assert main(["train", str(text)]) == 0
    first = response_weights(path)
    second = response_weights(tmp_path / "killed" / "model.ckpt")
    assert len(first) > 20
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
    assert (tmp_path / "killed" / "learning_curve.png").exists()


def test_a_checkpoint_on_another_initial_model_is_refused(make_response_config, shipped):
    model, basis = shipped
    config = make_response_config(epochs=1)
    ResponseRun(config, model, basis).run()
    other, _ = model_from_dict(model_to_dict(model, basis))
    with torch.no_grad():
        other.density_map.readout.weight.mul_(1.01)
    with pytest.raises(InputError, match="another initial model"):
        ResponseRun(config, other, basis).run()
    changed = replace(config, response=replace(config.response, epochs=2))
    with pytest.raises(InputError, match="other settings of response"):
        ResponseRun(changed, model, basis).run()


def test_more_processes_than_frames_with_a_response_are_refused(
    make_config, make_response_config, response_labels, shipped, monkeypatch
):
    monkeypatch.setattr(torch.distributed, "init_process_group", lambda backend: None)
    monkeypatch.setenv("WORLD_SIZE", "9")
    with pytest.raises(InputError, match="'response' has batches of 8"):
        ResponseRun(make_response_config(batch_size=16), *shipped)
    nothing = StageConfig(epochs=0, learning_rate=1e-3)
    stage = ResponseConfig(1, 1e-3, data=(response_labels,))
    with pytest.raises(InputError, match="'response' has batches of 8"):
        TrainingRun(make_config(density=nothing, energy=nothing, joint=nothing, response=stage))


def test_a_fourth_stage_ends_a_training_of_all_networks(make_config, response_labels):
    stage = ResponseConfig(epochs=2, learning_rate=1e-2, batch_size=4, data=(response_labels,))
    quick = StageConfig(epochs=1, learning_rate=1e-3, batch_size=4)
    config = make_config(density=quick, energy=quick, joint=quick, response=stage)
    run = TrainingRun(config)
    path = run.run()
    assert [row["stage"] for row in run.history] == [
        "density",
        "energy",
        "joint",
        "response",
        "response",
    ]
    whole = load_checkpoint(path)["weights"]
    before = load_checkpoint(config.output / "joint.ckpt")["weights"]
    assert all(torch.equal(value, whole[name]) for name, value in before.items())
    assert any(name.startswith("response_map.") for name in whole)
    # Started again, it has nothing left to do.
    second = TrainingRun(config)
    again = load_checkpoint(second.run())["weights"]
    assert all(torch.equal(value, again[name]) for name, value in whole.items())
    # As text, for a NaN is not equal to itself.
    assert json.dumps(second.history) == json.dumps(run.history)


def test_no_response_map_is_left_untrained(make_config, make_response_config, response_labels):
    quick = StageConfig(epochs=1, learning_rate=1e-3, batch_size=4)
    stage = ResponseConfig(epochs=0, learning_rate=1e-2, data=(response_labels,))
    config = make_config(density=quick, energy=quick, joint=quick, response=stage)
    weights = load_checkpoint(TrainingRun(config).run())["weights"]
    assert not any(name.startswith("response_map.") for name in weights)
    with pytest.raises(InputError, match="would stay untrained"):
        ResponseRun(make_response_config(epochs=0), *rebuild_model("ethanol"))


def test_missing_responses_are_an_error_before_any_training(make_config, labels, response_labels):
    stage = ResponseConfig(epochs=1, learning_rate=1e-2)
    with pytest.raises(MissingLabelError, match="polarizability"):
        TrainingRun(make_config(response=stage))


def test_responses_in_another_basis_or_of_other_elements_are_refused(
    make_response_config, shipped, response_labels, tmp_path
):
    broken = tmp_path / "other.h5"
    broken.write_bytes(response_labels.read_bytes())
    with h5py.File(broken, "r+") as file:
        file.attrs["basis_sha256"] = "0" * 64
    with pytest.raises(InputError, match="refit them"):
        ResponseRun(make_response_config(data=(broken,)), *shipped)
    broken.write_bytes(response_labels.read_bytes())
    with h5py.File(broken, "r+") as file:
        file["numbers"][2] = 16
    with pytest.raises(InputError, match=r"Z = \[16\]"):
        ResponseRun(make_response_config(data=(broken,)), *shipped)


def test_a_training_file_without_data_or_model_says_so(tmp_path, capsys):
    text = tmp_path / "response.yaml"
    head = "initial_model: absent.ckpt\noutput: run\n"
    text.write_text(head + "response: {epochs: 1, learning_rate: 1e-3}\n")
    assert main(["train", str(text)]) == 2
    assert "response.data must name at least one file" in capsys.readouterr().err
    text.write_text(head + "response: {epochs: 1, learning_rate: 1e-3, data: [a.h5]}\n")
    assert main(["train", str(text)]) == 2
    assert "absent.ckpt does not exist" in capsys.readouterr().err


def test_networks_are_read_from_a_checkpoint_and_from_a_bundle(shipped, tmp_path):
    path = tmp_path / "model.ckpt"
    save_checkpoint(path, model_to_dict(*shipped))
    for source in (path, find_bundle("ethanol")):
        model, basis = load_networks(source)
        assert basis.sha256 == shipped[1].sha256
        for name, value in shipped[0].state_dict().items():
            assert torch.equal(value, model.state_dict()[name]), name


def test_a_bare_name_means_a_shipped_model_and_a_path_does_not(tmp_path):
    file = tmp_path / "train.yaml"
    assert shipped_or_beside(file, tmp_path / "ethanol") == find_bundle("ethanol")
    missing = tmp_path / "runs" / "ethanol"
    assert shipped_or_beside(file, missing) == missing
    (tmp_path / "ethanol").mkdir()
    assert shipped_or_beside(file, tmp_path / "ethanol") == tmp_path / "ethanol"
