import json
from pathlib import Path

import numpy as np
import pytest

from densnet.cli.main import main
from densnet.configuration import load_yaml
from densnet.data.store import FrameFile
from densnet.errors import InputError
from densnet.reference.run_sample import SampleConfig, load_structure
from densnet.units import BOHR_ANGSTROM

WATER = """3
water, angstrom
O  0.000  0.000 0.0
H  0.760  0.590 0.0
H -0.760  0.590 0.0
"""


def write_config(folder: Path, **changes: object) -> Path:
    (folder / "water.xyz").write_text(WATER)
    config: dict[str, object] = {
        "geometry": "water.xyz",
        "output": "frames.h5",
        "dynamics": {"equilibration_ps": 0.01, "spacing_fs": 2.0, "frames_per_trajectory": 3},
        "groups": [
            {"tag": "train", "temperature_kelvin": 300.0, "n_frames": 5, "seed": 1},
            {"tag": "test", "temperature_kelvin": 500.0, "n_frames": 4, "seed": 2},
        ],
    }
    path = folder / "sample.yaml"
    path.write_text(json.dumps(config | changes))
    return path


def test_the_verb_writes_frames_with_tags_temperatures_and_trajectories(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    assert main(["sample", str(config), "--json", str(tmp_path / "report.json")]) == 0
    frames = FrameFile.read(tmp_path / "frames.h5")
    order = np.argsort(frames["frame"])
    assert frames["frame"][order].tolist() == list(range(9))
    assert frames.tag[order].tolist() == ["train"] * 5 + ["test"] * 4
    assert frames.temperature[order].tolist() == [300.0] * 5 + [500.0] * 4
    train = set(frames["trajectory"][frames.tag == "train"].tolist())
    test = set(frames["trajectory"][frames.tag == "test"].tolist())
    assert (len(train), len(test), len(train & test)) == (2, 2, 0)
    report = json.loads((tmp_path / "report.json").read_text())
    assert [entry["n_frames"] for entry in report["frames"]] == [4, 5]
    first = (tmp_path / "frames.h5").read_bytes()
    assert main(["sample", str(config)]) == 0
    assert (tmp_path / "frames.h5").read_bytes() == first


def test_angstrom_of_the_file_become_bohr(tmp_path: Path) -> None:
    structure = load_structure(load_yaml(write_config(tmp_path), SampleConfig))
    assert structure.positions[1, 0] == pytest.approx(0.76 / BOHR_ANGSTROM)


def test_an_unreadable_geometry_is_refused(tmp_path: Path) -> None:
    config = load_yaml(write_config(tmp_path, geometry="absent.xyz"), SampleConfig)
    with pytest.raises(InputError, match=r"cannot read the geometry .*absent\.xyz"):
        load_structure(config)


def test_groups_that_share_a_seed_are_refused(tmp_path: Path, capsys) -> None:
    group = {"tag": "train", "temperature_kelvin": 300.0, "n_frames": 5, "seed": 1}
    config = write_config(tmp_path, groups=[group, {**group, "tag": "test"}])
    assert main(["sample", str(config)]) == 2
    assert "every group needs its own seed" in capsys.readouterr().err
