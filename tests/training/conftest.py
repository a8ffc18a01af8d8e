"""A small training set: frames of the shipped ethanol labels."""

import json
from pathlib import Path

import numpy as np
import pytest
from ase.build import molecule

from densnet.cli.main import main
from densnet.data.store import FrameFile
from densnet.data.writer import FrameWriter
from densnet.models import DensityMapConfig, EnergyFunctionalConfig, ResponseMapConfig
from densnet.training.config import (
    ResponseConfig,
    ResponseTrainingConfig,
    StageConfig,
    TrainingConfig,
)
from densnet.units import BOHR_ANGSTROM

LABELS = Path(__file__).parents[2] / "examples" / "01_ethanol" / "ethanol.h5"
COLUMNS = ("positions", "energy", "forces", "dipole", "coefficients", "temperature", "trajectory")


@pytest.fixture(scope="session")
def labels(tmp_path_factory):
    """Twelve training and four validation frames, in a file of their own."""
    path = tmp_path_factory.mktemp("labels") / "ethanol.h5"
    everything = FrameFile.read(LABELS)
    attributes = {
        name: everything.attributes[name] for name in ("level", "basis_name", "basis_sha256")
    }
    with FrameWriter(path, everything.numbers, attributes) as writer:
        identity = 0
        for tag, count in (("train", 12), ("validation", 4)):
            frames = FrameFile.read(LABELS, select={"tag": tag})
            for k in range(count):
                values = {name: frames[name][k] for name in COLUMNS}
                writer.append({"frame": identity, "tag": tag, **values})
                identity += 1
    return path


@pytest.fixture(scope="session")
def water_labels(tmp_path_factory, labels):
    """Eight training and four validation frames of water at the level of `labels`, made here."""
    folder = tmp_path_factory.mktemp("water")
    rng = np.random.default_rng(2)
    water = molecule("H2O")
    with FrameWriter(folder / "frames.h5", water.numbers, {"charge": 0}) as writer:
        for i in range(12):
            displacement = rng.normal(scale=0.08, size=(3, 3))
            writer.append(
                {
                    "frame": i,
                    "positions": water.positions / BOHR_ANGSTROM + displacement,
                    "tag": "train" if i < 8 else "validation",
                    "temperature": 300.0,
                    "trajectory": i,
                }
            )
    level = FrameFile.read(labels).attributes["level"]
    config = {"frames": "frames.h5", "output": "water.h5", "level": level}
    config["fit"] = {"basis": "densnet-dz-367"}
    (folder / "label.yaml").write_text(json.dumps(config))
    assert main(["label", str(folder / "label.yaml")]) == 0
    return folder / "water.h5"


@pytest.fixture
def make_config(labels, tmp_path):
    """Return a function that makes a configuration of a tiny network; keywords replace fields."""

    def make(name="run", **changes):
        values = {
            "data": (labels,),
            "output": tmp_path / name,
            "basis": "densnet-dz-367",
            "density": StageConfig(epochs=3, learning_rate=3e-3, batch_size=4, warmup_steps=2),
            "energy": StageConfig(epochs=2, learning_rate=3e-3, batch_size=4, warmup_steps=2),
            "joint": StageConfig(epochs=2, learning_rate=1e-3, batch_size=4, warmup_steps=2),
            "n_radial": 6,
            "n_contracted": 6,
            "density_map": DensityMapConfig(n_channels=4),
            "energy_functional": EnergyFunctionalConfig(n_channels=4, n_layers=1),
            "ema_decay": 0.9,
            "validate_every": 1,
        }
        return TrainingConfig(**{**values, **changes})

    return make


RESPONSES = LABELS.with_name("ethanol_response.h5")
RESPONSE_COLUMNS = ("positions", "polarizability", "coefficient_response")


@pytest.fixture(scope="session")
def response_labels(tmp_path_factory):
    """Eight training and four validation frames with their response to a field."""
    path = tmp_path_factory.mktemp("labels") / "response.h5"
    everything = FrameFile.read(RESPONSES)
    attributes = {
        name: everything.attributes[name] for name in ("level", "basis_name", "basis_sha256")
    }
    with FrameWriter(path, everything.numbers, attributes) as writer:
        for tag, count in (("train", 8), ("validation", 4)):
            frames = FrameFile.read(RESPONSES, select={"tag": tag})
            for k in range(count):
                values = {name: frames[name][k] for name in RESPONSE_COLUMNS}
                identity = int(frames["frame"][k])
                bath = {"temperature": 300.0, "trajectory": 0}
                writer.append({"frame": identity, "tag": tag, **bath, **values})
    return path


@pytest.fixture
def make_response_config(response_labels, tmp_path):
    """Return a function that makes a configuration of a tiny response map."""

    def make(name="response", initial_model="model.ckpt", **changes):
        stage = {
            "epochs": 4,
            "learning_rate": 1e-2,
            "batch_size": 4,
            "warmup_steps": 2,
            "data": (response_labels,),
            "network": ResponseMapConfig(n_channels=4, n_transfer=4),
        }
        return ResponseTrainingConfig(
            initial_model=tmp_path / initial_model,
            output=tmp_path / name,
            response=ResponseConfig(**{**stage, **changes}),
            ema_decay=0.9,
            validate_every=1,
        )

    return make
