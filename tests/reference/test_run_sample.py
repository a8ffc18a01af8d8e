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


def write_bead(folder: Path, bead: int, symbols: str = "OHH") -> None:
    """A trajectory of three frames as i-PI writes it; frame k of bead b is shifted by b + k."""
    lines = []
    for step in range(3):
        lines += ["3", f"# Step: {step} Bead: {bead} positions{{angstrom}} cell{{angstrom}}"]
        for symbol, position in zip(symbols, np.eye(3) * (1 + bead + step), strict=True):
            lines.append(f"{symbol} " + " ".join(map(str, position + 7.0)))
    (folder / f"r00.pos_{bead}.xyz").write_text("\n".join(lines) + "\n")


DRAWN = {"tag": "train", "temperature_kelvin": 300.0, "n_frames": 5, "seed": 1}


def test_a_group_is_drawn_from_the_beads_of_a_run(tmp_path: Path) -> None:
    for bead in range(2):
        write_bead(tmp_path, bead)
    group = {**DRAWN, "trajectories": "r0*.pos_?.xyz"}
    assert main(["sample", str(write_config(tmp_path, groups=[group]))]) == 0
    frames = FrameFile.read(tmp_path / "frames.h5")
    assert frames["source"].tolist() == [b"i-PI trajectories"] * 5
    assert set(frames["trajectory"].tolist()) == {0, 1}
    possible = [np.eye(3) * (1 + k) / BOHR_ANGSTROM for k in (0, 1, 2, 1, 2, 3)]
    sizes = []
    for positions in frames.positions:
        assert positions.mean(axis=0) == pytest.approx(np.zeros(3), abs=1e-12)
        shape = positions - positions.min(axis=0)
        sizes.append(round(float(np.ptp(positions[:, 0]) * BOHR_ANGSTROM)))
        assert any(np.allclose(shape, other) for other in possible)
    # Six frames, of which two pairs have the same size; five different ones of the six were drawn.
    assert sorted(sizes) in ([1, 2, 2, 3, 3], [1, 2, 2, 3, 4], [1, 2, 3, 3, 4], [2, 2, 3, 3, 4])


def test_spread_moves_the_beads_away_from_their_centroid(tmp_path: Path) -> None:
    for bead in range(2):
        write_bead(tmp_path, bead)
    group = {**DRAWN, "n_frames": 6, "trajectories": "r0*.pos_?.xyz", "spread": 3.0}
    assert main(["sample", str(write_config(tmp_path, groups=[group]))]) == 0
    frames = FrameFile.read(tmp_path / "frames.h5")
    sizes = np.ptp(frames.positions[:, :, 0], axis=1) * BOHR_ANGSTROM
    # Bead b of step k had the size 1 + b + k, its centroid 1.5 + k.
    assert sorted(sizes) == pytest.approx([0.0, 1.0, 2.0, 3.0, 4.0, 5.0], abs=1e-9)


@pytest.mark.parametrize(
    ("symbols", "changes", "message"),
    [
        ("HOH", {}, "has atoms H O H, the geometry has O H H"),
        ("OHH", {"n_frames": 7}, "2 files hold 6 frames, n_frames is 7"),
        ("OHH", {"trajectories": "absent_*.xyz"}, "no such file"),
        (
            "OHH",
            {"trajectories": "r00.pos_1.xyz", "spread": 2.0, "n_frames": 1},
            "has no other beads",
        ),
        ("OHH", {"spread": 0.0}, "spread must be positive"),
        ("OHH", {"beads": 8}, "leave them out beside trajectories"),
        ("OHH", {"trajectories": None, "beads": 0}, "beads must be positive"),
        ("OHH", {"trajectories": None, "spread": 1.3}, "goes with beads or with trajectories"),
    ],
)
def test_trajectories_that_cannot_be_drawn_from_are_refused(
    tmp_path: Path, capsys, symbols: str, changes: dict[str, object], message: str
) -> None:
    for bead in range(2):
        write_bead(tmp_path, bead, symbols)
    group = {**DRAWN, "trajectories": "r0*.pos_?.xyz", **changes}
    assert main(["sample", str(write_config(tmp_path, groups=[group]))]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_groups_that_share_a_seed_are_refused(tmp_path: Path, capsys) -> None:
    group = {"tag": "train", "temperature_kelvin": 300.0, "n_frames": 5, "seed": 1}
    config = write_config(tmp_path, groups=[group, {**group, "tag": "test"}])
    assert main(["sample", str(config)]) == 2
    assert "every group needs its own seed" in capsys.readouterr().err


def test_frames_of_other_dynamics_are_not_taken_for_these(tmp_path: Path, capsys) -> None:
    small = [{"tag": "train", "temperature_kelvin": 300.0, "n_frames": 1, "seed": 1}]
    config = write_config(tmp_path, groups=small)
    assert main(["sample", str(config)]) == 0
    (tmp_path / "water.xyz").write_text(WATER.replace("0.760", "0.770"))
    assert main(["sample", str(config)]) == 2
    assert "geometry_sha256" in capsys.readouterr().err
    longer = {"equilibration_ps": 0.02, "spacing_fs": 2.0, "frames_per_trajectory": 3}
    assert main(["sample", str(write_config(tmp_path, groups=small, dynamics=longer))]) == 2
    assert "give another output file" in capsys.readouterr().err


def test_a_step_that_bonds_to_hydrogen_do_not_survive_is_refused(tmp_path: Path, capsys) -> None:
    config = write_config(tmp_path, dynamics={"timestep_fs": 10.0})
    assert main(["sample", str(config)]) == 2
    assert "at most 2 fs" in capsys.readouterr().err


def test_a_geometry_in_bohr_is_noticed(tmp_path: Path, capsys) -> None:
    config = write_config(tmp_path)
    (tmp_path / "water.xyz").write_text(WATER.replace("0.760", "1.436").replace("0.590", "1.115"))
    assert main(["sample", str(config)]) == 2
    assert "are these in bohr?" in capsys.readouterr().err
