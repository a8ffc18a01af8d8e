"""Training learns, resumes to the same result after a kill, and refuses data it cannot use."""

import json
import os
import shutil
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

import densnet.training.metric as metric_module
from densnet.basis import DensityBasis
from densnet.data.coefficients import check_basis
from densnet.errors import DataError, InputError, MissingLabelError, UnknownElementError
from densnet.integrals import kernel_info
from densnet.models import DensityMapConfig
from densnet.models.io import model_from_dict
from densnet.training.checkpoint import load_checkpoint, save_checkpoint
from densnet.training.config import StageConfig
from densnet.training.losses import density_loss
from densnet.training.run import TrainingRun


def weights_of(path):
    return load_checkpoint(path)["weights"]


def test_every_stage_lowers_its_error(make_config):
    config = make_config(
        density=StageConfig(epochs=25, learning_rate=1e-2, batch_size=4, warmup_steps=2),
        energy=StageConfig(epochs=25, learning_rate=1e-2, batch_size=4, warmup_steps=2),
    )
    run = TrainingRun(config)
    model, _ = model_from_dict(load_checkpoint(run.run()))
    rows = {
        stage: [r for r in run.history if r["stage"] == stage] for stage in ("density", "energy")
    }
    assert rows["density"][-1]["coulomb"] < 0.5 * rows["density"][0]["coulomb"]
    first, last = rows["energy"][0], rows["energy"][-1]
    assert last["energy_mae_mev"] < 0.5 * first["energy_mae_mev"]
    # Four channels hardly learn forces, but the loss is mostly theirs.
    assert last["forces_mae_mev_angstrom"] < 0.95 * first["forces_mae_mev_angstrom"]
    assert last["loss"] < 0.85 * first["loss"]
    # The energy stage leaves the density map alone.
    assert rows["energy"][0]["coulomb"] == pytest.approx(rows["energy"][-1]["coulomb"], rel=1e-12)
    assert model.config.cutoff == config.cutoff_bohr


def test_a_killed_training_resumes_to_the_same_weights(make_config, tmp_path):
    whole = TrainingRun(make_config("whole")).run()
    config = make_config("killed")
    text = tmp_path / "train.yaml"
    content = {
        "data": [str(config.data[0])],
        "output": str(config.output),
        "basis": config.basis,
        "n_radial": 6,
        "n_contracted": 6,
        "validate_every": 1,
        "ema_decay": 0.9,
        "density_map": {"n_channels": 4},
        "energy_functional": {"n_channels": 4, "n_layers": 1},
    }
    for stage in ("density", "energy", "joint"):
        settings = getattr(config, stage)
        content[stage] = {
            "epochs": settings.epochs,
            "learning_rate": settings.learning_rate,
            "batch_size": 4,
            "warmup_steps": 2,
        }
    text.write_text(yaml.safe_dump(content))
    command = [sys.executable, "-m", "densnet", "train", str(text)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env={**os.environ})
    deadline = time.monotonic() + 120.0
    checkpoint = config.output / "checkpoint.pt"
    while not checkpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert checkpoint.exists()
    assert not (config.output / "model.ckpt").exists()
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL, timeout=300)
    first, second = weights_of(whole), weights_of(config.output / "model.ckpt")
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def test_a_resume_under_other_settings_is_refused(make_config):
    config = make_config(energy=StageConfig(0, 1e-3), joint=StageConfig(0, 1e-3))
    TrainingRun(config).run()
    with pytest.raises(InputError, match="other settings of seed"):
        TrainingRun(replace(config, seed=2)).run()


def test_a_training_goes_on_wherever_its_files_lie_but_not_on_other_ones(
    make_config, labels, tmp_path
):
    config = make_config("foundation")
    TrainingRun(config).run()
    moved = tmp_path / "moved.h5"
    moved.write_bytes(labels.read_bytes())
    (tmp_path / "basis.json").write_text(json.dumps(DensityBasis.load(config.basis).to_dict()))
    TrainingRun(replace(config, data=(moved,), basis=str(tmp_path / "basis.json"))).run()
    with h5py.File(moved, "r+") as file:
        file["energy"][...] += 1.0
    with pytest.raises(InputError, match="written with another data; give another output folder"):
        TrainingRun(replace(config, data=(moved,))).run()


def test_a_flipped_bit_of_a_checkpoint_is_noticed(tmp_path):
    path = tmp_path / "c.pt"
    save_checkpoint(path, {"weights": torch.arange(1000.0)})
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)
    with pytest.raises(DataError, match="is damaged"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"data": ()}, "at least one file"),
        ({"n_train": 0}, "n_train must be at least 1"),
        ({"ema_decay": 1.0}, "0 <= ema_decay < 1"),
        ({"validate_every": 0}, "validate_every must be at least 1"),
    ],
)
def test_settings_that_cannot_work_say_why(make_config, changes, reason):
    with pytest.raises(InputError, match=reason):
        make_config(**changes)


def test_networks_of_a_higher_l_than_the_basis_are_refused(make_config):
    sizes = DensityMapConfig(n_channels=2, l_two_body=6)
    with pytest.raises(InputError, match=r"density_map.l_two_body is 6, .* up to l = 4; set"):
        TrainingRun(make_config(density_map=sizes))


def test_ions_are_refused(make_config, labels, tmp_path):
    charged = tmp_path / "charged.h5"
    charged.write_bytes(labels.read_bytes())
    with h5py.File(charged, "r+") as file:
        file.attrs["charge"] = 1
    with pytest.raises(InputError, match=r"labelled with charge \+1; .* neutral molecules only"):
        TrainingRun(make_config(data=(charged,)))


def test_a_truncated_checkpoint_is_refused(tmp_path):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"weights": {"a": torch.ones(1000)}})
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="not a readable checkpoint"):
        load_checkpoint(path)


def test_missing_labels_are_an_error_before_training(make_config, labels, tmp_path):
    broken = tmp_path / "broken.h5"
    broken.write_bytes(labels.read_bytes())
    with h5py.File(broken, "r+") as file:
        file["forces"][3] = np.nan
    with pytest.raises(MissingLabelError, match="forces is missing or not finite in 1 of 12"):
        TrainingRun(make_config(data=(broken,)))


def test_coefficients_in_another_basis_are_refused(make_config, labels, tmp_path):
    broken = tmp_path / "other.h5"
    broken.write_bytes(labels.read_bytes())
    with h5py.File(broken, "r+") as file:
        file.attrs["basis_sha256"] = "0" * 64
    with pytest.raises(InputError, match="refit them"):
        TrainingRun(make_config(data=(broken,)))


def test_a_basis_may_cover_more_elements_than_the_molecule(make_config, labels, tmp_path):
    basis = DensityBasis.load("densnet-dz-hcos-367")
    file_of_wider_basis = tmp_path / "wider.h5"
    file_of_wider_basis.write_bytes(labels.read_bytes())
    with h5py.File(file_of_wider_basis, "r+") as file:
        file.attrs["basis_name"], file.attrs["basis_sha256"] = basis.name, basis.sha256
    run = TrainingRun(make_config(data=(file_of_wider_basis,), basis=basis.name))
    assert run.basis.elements == (1, 6, 8)
    check_basis(run.train_sets[0], run.basis)
    with pytest.raises(InputError, match="refit them"):
        check_basis(run.train_sets[0], DensityBasis.load("densnet-dz-367"))
    with pytest.raises(UnknownElementError, match=r"no functions for Z = \[8\]"):
        check_basis(run.train_sets[0], basis.restricted_to((1, 6)))


def test_one_model_learns_two_molecules(make_config, water_labels):
    config = make_config()
    both = replace(config, data=(*config.data, water_labels))
    run = TrainingRun(both)
    # Energies of the elements from both molecules: what is left of each mean is small.
    for frames in run.train_sets:
        atoms = np.searchsorted(run.basis.elements, frames.numbers)
        left = frames.energy.mean() - run.model.reference_energies.numpy()[atoms].sum()
        assert abs(left) < 1e-6
    run.run()
    history = [entry for entry in run.history if entry["stage"] == "joint"]
    assert history[-1]["loss"] < history[0]["loss"]
    assert len(run.validation) == 2


def test_frames_of_another_level_are_refused(make_config, water_labels, tmp_path):
    other = tmp_path / "other.h5"
    shutil.copy(water_labels, other)
    with h5py.File(other, "r+") as file:
        level = json.loads(file.attrs["level"])
        file.attrs["level"] = json.dumps({**level, "xc": "b3lyp"})
    config = make_config()
    with pytest.raises(InputError, match=r"'xc': 'b3lyp'.*one model learns one level"):
        TrainingRun(replace(config, data=(*config.data, other)))


def test_the_density_loss_is_made_by_the_kernel(make_config):
    config = make_config(
        density=StageConfig(epochs=0, learning_rate=1e-3),
        energy=StageConfig(epochs=0, learning_rate=1e-3),
        joint=StageConfig(epochs=0, learning_rate=1e-3),
    )
    before = kernel_info().calls
    run = TrainingRun(config)
    made = kernel_info().calls - before
    # One metric and one overlap for each of the 16 frames, one call for the whitening of each of
    # the three elements; none while training.
    assert made >= 2 * 16
    run.run()
    assert kernel_info().calls - before == made


def test_metrics_that_do_not_fit_are_never_built(make_config, monkeypatch):
    """The fused forms of the kernel give the loss and its gradient, two calls a batch."""
    stored = TrainingRun(make_config("stored"))
    monkeypatch.setattr(metric_module, "STORED_BYTES", 0)
    fused = TrainingRun(make_config("fused"))
    index = torch.tensor([7, 0, 3])
    results = []
    for run in (stored, fused):
        batch = run.train[0].batch(index)
        before = kernel_info().calls
        residual = batch.coefficients.float().clone().requires_grad_()
        loss = density_loss(residual, batch.metric)
        loss.backward()
        results.append((loss.item(), residual.grad, kernel_info().calls - before))
    (loss, gradient, calls), (fused_loss, fused_gradient, fused_calls) = results
    assert (calls, fused_calls) == (0, 2)
    # The stored matrices are rounded to float32.
    assert fused_loss == pytest.approx(loss, rel=1e-5)
    assert (fused_gradient - gradient).abs().max() < 1e-5 * gradient.abs().max()


def test_two_processes_train_together(make_config, tmp_path):
    """Data-parallel by torchrun: the same batches, gradients summed over two processes."""
    config = make_config("parallel", energy=StageConfig(1, 1e-3, batch_size=4))
    script = tmp_path / "train.py"
    script.write_text(
        "import pickle, sys\n"
        "from densnet.training.run import TrainingRun\n"
        "TrainingRun(pickle.load(open(sys.argv[1], 'rb'))).run()\n"
    )
    import pickle

    (tmp_path / "config.pickle").write_bytes(pickle.dumps(config))
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["--standalone", str(script), str(tmp_path / "config.pickle")]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL, timeout=300)
    alone = TrainingRun(replace(config, output=tmp_path / "alone"))
    alone.run()
    together = load_checkpoint(config.output / "checkpoint.pt")
    history = json.loads(together["history"])
    # Noise on the coefficients is drawn per process, so only the density stage is comparable.
    for a, b in zip(alone.history, history, strict=True):
        if a["stage"] == "density":
            assert a["coulomb"] == pytest.approx(b["coulomb"], rel=1e-3)


def test_more_processes_than_frames_of_a_batch_are_refused(make_config, monkeypatch):
    """A process without a frame would have no loss; it is told before any work is done."""
    backends = []
    monkeypatch.setattr(torch.distributed, "init_process_group", backends.append)
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(InputError, match=r"'joint' has batches of 3 \(.* 12 training .* 4 proc"):
        TrainingRun(make_config(joint=StageConfig(1, 1e-3, batch_size=3)))
    TrainingRun(make_config(joint=StageConfig(0, 1e-3, batch_size=3)))
    monkeypatch.setenv("WORLD_SIZE", "16")
    with pytest.raises(InputError, match=r"'density' has batches of 12 \(batch_size 16,"):
        TrainingRun(make_config(density=StageConfig(1, 1e-3, batch_size=16)))
    assert set(backends) == {"gloo"}
