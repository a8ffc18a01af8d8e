"""A functional learns the mean force on centroids of real path integrals; the rest stays."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from densnet.cli.main import main
from densnet.cli.networks import bundle_sha256
from densnet.data.store import FrameFile
from densnet.errors import InputError
from densnet.export.contents import find_bundle
from densnet.export.loading import load_model
from densnet.export.rebuild import rebuild_model
from densnet.models.io import model_from_dict
from densnet.simulate.bundle import load_molecule
from densnet.simulate.manifest import RunManifest
from densnet.simulate.plan import Settings
from densnet.simulate.run import continue_run, start_run
from densnet.spectra.centroids import load_centroids
from densnet.spectra.ipi_xyz import load_xyz
from densnet.spectra.run_directory import load_run
from densnet.training.centroid_run import CentroidRun
from densnet.training.checkpoint import load_checkpoint
from densnet.training.config import CentroidConfig, CentroidTrainingConfig
from tests.training.conftest import LABELS

# i-PI writes six digits of the positions; forces differ by as much times a bond's stiffness.
POSITION_ERROR = 1e-5
FORCE_ERROR = 2e-5
BEADS = 8
STRIDE = 4


@pytest.fixture(scope="module")
def shipped():
    return rebuild_model("ethanol")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Four ring polymers of the shipped ethanol at 500 K, driven through i-PI."""
    directory = tmp_path_factory.mktemp("centroids") / "pimd"
    settings = Settings(
        "ethanol",
        ensemble="pimd",
        temperature_kelvin=500.0,
        beads=BEADS,
        replicas=4,
        steps=240,
        thermalise_steps=60,
        dipole_stride=0,
        position_stride=80,
        centroid_stride=STRIDE,
    )
    molecule = load_molecule("ethanol")
    start_run(settings, molecule, directory, ("densnet", "md"))
    continue_run(settings, molecule, directory)
    return directory


@pytest.fixture
def make_config(run, tmp_path):
    def make(output="run", **settings):
        stage = {"epochs": 4, "learning_rate": 1e-3, "batch_size": 20, "warmup_steps": 5}
        return CentroidTrainingConfig(
            initial_model=Path("ethanol"),
            output=tmp_path / output,
            centroid=CentroidConfig(runs=(run,), validation_share=0.25, **(stage | settings)),
            ema_decay=0.9,
        )

    return make


def test_the_run_holds_means_over_the_beads(run):
    """Positions and forces of i-PI's centroids against the beads and the model's own forces."""
    segment = RunManifest.load(run).segments[-1]
    beads = [load_xyz(run / name, "positions").rows for name in segment.position_files]
    assert len(beads) == BEADS
    centroids = load_centroids([run])
    rows = beads[0].steps // STRIDE
    positions = np.stack([rows_of_bead.values for rows_of_bead in beads])
    mean = positions.mean(axis=0)
    np.testing.assert_allclose(centroids.positions[-1][rows], mean, atol=POSITION_ERROR)
    model = load_model("ethanol")
    forces = np.stack([model.evaluate(centroids.numbers, bead).forces for bead in positions])
    found = centroids.forces[-1][rows]
    np.testing.assert_allclose(found, forces.mean(axis=0), atol=FORCE_ERROR)
    assert np.abs(found - model.evaluate(centroids.numbers, mean).forces).max() > 1e-3


def test_the_mean_force_is_learned_and_everything_else_stays(make_config, shipped):
    model, basis = shipped
    training = CentroidRun(
        make_config(), model, basis, sha256=bundle_sha256(find_bundle("ethanol"))
    )
    trained, _ = model_from_dict(load_checkpoint(training.run()))
    errors = [row["forces_rmse_mev_angstrom"] for row in training.history]
    assert [row["epoch"] for row in training.history] == [0, 1, 2, 3, 4]
    # What is left is the fluctuation on one ring polymer: ratios of 0.81 to 0.86 were seen, and
    # nothing learned is 1.
    assert errors[-1] < 0.95 * errors[0], errors
    assert trained.config == replace(model.config, centroid_kelvin=500.0)
    changed = {
        name.partition(".")[0]
        for name, value in model.state_dict().items()
        if not torch.equal(value, trained.state_dict()[name])
    }
    assert changed == {"energy_functional"}


def test_a_continued_training_gives_the_same_weights(make_config, shipped):
    def stop_after_two(progress):
        if progress.epoch == 2:
            raise KeyboardInterrupt

    whole = load_checkpoint(CentroidRun(make_config("whole"), *shipped).run())["weights"]
    with pytest.raises(KeyboardInterrupt):
        CentroidRun(make_config("cut"), *shipped, report=stop_after_two).run()
    again = CentroidRun(make_config("cut"), *shipped)
    continued = load_checkpoint(again.run())["weights"]
    assert [row["epoch"] for row in again.history] == [0, 1, 2, 3, 4]
    assert all(torch.equal(value, continued[name]) for name, value in whole.items())


def test_other_models_than_the_one_of_the_beads_are_refused(make_config, shipped):
    other = bundle_sha256(find_bundle("ethanol-b3lyp"))
    with pytest.raises(InputError, match=r"is of model 'ethanol' .* is another one"):
        CentroidRun(make_config(), *shipped, sha256=other)
    with pytest.raises(InputError, match=r"Z = \[8\]; the initial model has only Z = \[1, 6, 16\]"):
        CentroidRun(make_config(), *rebuild_model("ethanethiol"))
    result = model_from_dict(load_checkpoint(CentroidRun(make_config(epochs=1), *shipped).run()))
    with pytest.raises(InputError, match="a potential of centroids itself"):
        CentroidRun(make_config("second"), *result)


def test_settings_that_cannot_work_say_why(make_config):
    with pytest.raises(InputError, match="name at least one run"):
        CentroidConfig(epochs=1, learning_rate=1e-3)
    with pytest.raises(InputError, match="between 0 and 1, got 1"):
        replace(make_config().centroid, validation_share=1.0)
    with pytest.raises(InputError, match="needs path integrals"):
        Settings("ethanol", centroid_stride=10)


def test_from_the_command_line_to_dynamics_of_quantum_nuclei(run, tmp_path, monkeypatch, capsys):
    """Training file, bundle, a run whose spectrum is one of quantum nuclei; beads are refused."""
    monkeypatch.chdir(tmp_path)
    Path("train.yaml").write_text(
        f"initial_model: ethanol\noutput: trained\n"
        f"centroid: {{runs: [{run}], epochs: 1, learning_rate: 1e-3}}\n"
    )
    assert main(["train", "train.yaml"]) == 0
    assert "forces on centroids" in capsys.readouterr().err
    history = json.loads(Path("trained/history.json").read_text())
    assert [row["stage"] for row in history] == ["centroid", "centroid"]
    assert Path("trained/learning_curve.png").stat().st_size > 10_000
    command = "export trained/model.ckpt --name warm --output warm"
    assert main([*command.split(), "--data", str(LABELS)]) == 0
    # What a centroid's dipole and density are is the initial model's affair.
    numbers = FrameFile.read(LABELS).numbers
    frame = FrameFile.read(LABELS).positions[:1]
    first, second = (load_model(name).evaluate(numbers, frame) for name in ("ethanol", "warm"))
    np.testing.assert_allclose(second.dipole, first.dipole, atol=1e-6)
    assert np.abs(second.forces - first.forces).max() > 1e-4
    capsys.readouterr()
    for words in (["evaluate", "warm", str(LABELS)], ["harmonic", "warm", "--dft"]):
        assert main(words) == 2
        assert "centroids of ring polymers at 500 K" in " ".join(capsys.readouterr().err.split())
    assert main(["md", "warm", "--ensemble", "trpmd", "--beads", "4", "--output", "no"]) == 2
    assert "its nuclei are quantum already" in " ".join(capsys.readouterr().err.split())
    assert main(["md", "warm", "--committee", "ethanol", "--output", "no"]) == 2
    assert "no committee" in capsys.readouterr().err
    assert not Path("no").exists()
    quick = "md warm --steps 40 --thermalise-steps 20 --replicas 2 --quiet --output nve"
    assert main(quick.split()) == 0
    assert RunManifest.load(Path("nve")).nuclei == "centroid"
    assert load_run(Path("nve"))[0].kind == "warm, nuclei in a potential of centroids"
