import json
from pathlib import Path

import numpy as np
import pytest

from densnet.cli.main import main
from densnet.data.rewrite import replace_columns
from densnet.data.store import FrameFile
from densnet.data.writer import FrameWriter
from densnet.units import BOHR_ANGSTROM

WATER_ANGSTROM = np.array([[0.0, 0.0, 0.0], [0.76, 0.59, 0.05], [-0.78, 0.57, 0.0]])


@pytest.fixture
def folder(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Return a folder with four frames of water, and a fifth as an npz file to import."""
    with FrameWriter(tmp_path / "frames.h5", [8, 1, 1], {"charge": 0}) as writer:
        for i in range(4):
            noise = rng.normal(scale=0.03, size=(3, 3))
            writer.append(
                {
                    "frame": i,
                    "positions": WATER_ANGSTROM / BOHR_ANGSTROM + noise,
                    "tag": "train",
                    "temperature": 300.0,
                    "trajectory": 0,
                }
            )
    return tmp_path


def write_config(folder: Path, **changes: object) -> Path:
    config: dict[str, object] = {
        "frames": "frames.h5",
        "output": "labels.h5",
        "level": {"basis": "def2-svp", "auxiliary_basis": "weigend", "grid_level": 1},
        "fit": {"basis": "densnet-dz-367"},
    }
    path = folder / "label.yaml"
    path.write_text(json.dumps(config | changes))
    return path


def test_labels_responses_fits_imports_and_the_compact_copy(folder: Path, capsys) -> None:
    config = write_config(folder, output="first.h5")
    assert main(["label", str(config)]) == 0
    first = FrameFile.read(folder / "first.h5")
    np.savez(
        folder / "other.npz",
        Z=first.numbers,
        R=first.positions[:1] + 0.1,
        E=first.energy[:1],
        F=first.forces[:1],
        mu=first.dipole[:1],
        C=first["orbitals"][:1],
    )
    config = write_config(folder, response={}, imports=[{"file": "other.npz", "tag": "test"}])
    small, report = folder / "small.h5", folder / "report.json"
    code = main(["label", str(config), "--compact", str(small), "--json", str(report)])
    assert code == 0
    numbers = json.loads(report.read_text())["report"]
    assert (numbers["n_frames"], numbers["n_imported"]) == (5, 1)
    assert (numbers["n_responses"], numbers["n_fitted"], numbers["n_failed"]) == (5, 5, 0)
    frames = FrameFile.read(
        folder / "labels.h5",
        require=("energy", "forces", "coefficients", "polarizability", "coefficient_response"),
    )
    assert sorted(frames.tag.tolist()) == ["test", *["train"] * 4]
    compact = FrameFile.read(
        small,
        require=("energy", "forces", "coefficients", "polarizability", "coefficient_response"),
    )
    np.testing.assert_array_equal(
        compact["coefficient_response"],
        frames["coefficient_response"][np.argsort(frames["frame"])].astype(np.float32),
    )
    assert compact["frame"].tolist() == sorted(frames["frame"].tolist())
    kept = np.isfinite(compact["orbitals"]).all(axis=(1, 2))
    assert np.array_equal(kept, compact.tag == "test")
    shown = capsys.readouterr().out
    assert "labels.h5: 5 frames" in shown
    assert "hartree/bohr" in shown


def test_an_unknown_density_basis_is_found_before_anything_is_labelled(folder, capsys) -> None:
    config = write_config(folder, fit={"basis": "nonsense"})
    assert main(["label", str(config)]) == 2
    assert "no density basis 'nonsense'" in capsys.readouterr().err
    assert not (folder / "labels.h5").exists()


def test_a_charge_that_differs_from_the_sampling_is_refused(folder, capsys) -> None:
    assert main(["label", str(write_config(folder, charge=2))]) == 2
    assert "was sampled with charge 0, the configuration says 2" in capsys.readouterr().err


def test_frames_that_do_not_exist_are_refused(folder, capsys) -> None:
    assert main(["label", str(write_config(folder, frames="absent.h5"))]) == 2
    assert "absent.h5: no such file of frames" in capsys.readouterr().err


def test_a_silly_number_of_workers_is_refused(folder, capsys) -> None:
    assert main(["label", str(write_config(folder)), "--workers", "0"]) == 2
    assert "--workers must be at least 1" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["labels.h5", "frames.h5"])
def test_a_compact_copy_never_replaces_what_it_is_made_from(folder, capsys, name) -> None:
    arguments = ["label", str(write_config(folder)), "--compact", str(folder / name)]
    assert main(arguments) == 2
    assert "give the copy another name" in capsys.readouterr().err


def test_labels_of_other_frames_are_not_taken_for_those_of_these(folder, capsys) -> None:
    config = str(write_config(folder))
    assert main(["label", config]) == 0
    frames = FrameFile.read(folder / "frames.h5")
    replace_columns(
        folder / "frames.h5", frames["frame"], {"positions": frames.positions + 1e-5}, {}
    )
    assert main(["label", config]) == 2
    assert "holds frame 0 with other positions" in capsys.readouterr().err


def test_frames_without_labels_are_no_output(folder, capsys) -> None:
    assert main(["label", str(write_config(folder, output="frames.h5"))]) == 2
    assert "both frames and output" in capsys.readouterr().err


def test_a_frame_that_cannot_be_labelled_stops_no_other(folder, capsys) -> None:
    frames = FrameFile.read(folder / "frames.h5")
    positions = frames.positions.copy()
    positions[2, 1] = positions[2, 0] + 0.1
    replace_columns(folder / "frames.h5", frames["frame"], {"positions": positions}, {})
    assert main(["label", str(write_config(folder))]) == 1
    assert len(FrameFile.read(folder / "labels.h5")) == 3
    (reason,) = FrameFile.failures(folder / "labels.h5").values()
    assert "atoms 0 and 1 are 0.173 bohr" in reason
