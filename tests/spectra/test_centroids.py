"""Run directories with centroids: what is read of them, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from densnet.errors import DataError, InputError
from densnet.spectra.centroids import load_centroids

FRAME = "2\n# CELL(abcABC): 94.5 94.5 94.5 90 90 90  Step: {step}  Bead: 0 {name}{{atomic_unit}}\n"
NAMES = {"pos": "x_centroid", "force": "f_centroid"}


def write_run(
    directory: Path,
    *,
    kelvin: float = 500.0,
    sha256: str = "a" * 64,
    finished: bool = True,
    cut: bool = False,
) -> Path:
    """Two replicas of a hydrogen molecule; values tell step, atom, component and quantity."""
    directory.mkdir()
    segments = []
    for replica in range(2):
        files = [f"r{replica:02d}_densnet.centroid_{name}.xyz" for name in NAMES]
        for file, (name, quantity) in zip(files, NAMES.items(), strict=True):
            text = ""
            for step in (0, 10, 20):
                text += FRAME.format(step=step, name=quantity)
                for atom in range(2):
                    value = 1000 * replica + step + 0.1 * atom + (0.5 if name == "force" else 0.0)
                    text += f"H {value} {value + 0.01} {value + 0.02}\n"
            if cut and name == "force":
                text = text[:-30]
            (directory / file).write_text(text)
        segments.append({"centroid_files": files})
    manifest = {
        "format": "densnet-run",
        "version": 1,
        "model": {"name": "dihydrogen", "sha256": sha256, "charge": 0},
        "numbers": [1, 1],
        "temperature_kelvin": kelvin,
        "finished": finished,
        "segments": [{"name": "thermalise"}, *segments],
    }
    (directory / "run.json").write_text(json.dumps(manifest))
    return directory


def test_positions_and_forces_of_every_replica(tmp_path: Path) -> None:
    found = load_centroids([write_run(tmp_path / "first"), write_run(tmp_path / "second")])
    assert (found.model, found.temperature_kelvin) == ("dihydrogen", 500.0)
    assert found.numbers.tolist() == [1, 1]
    assert len(found.positions) == len(found.forces) == 4
    np.testing.assert_allclose(found.positions[1][2, 1], [1020.1, 1020.11, 1020.12])
    for positions, forces in zip(found.positions, found.forces, strict=True):
        assert positions.shape == (3, 2, 3)
        np.testing.assert_allclose(forces - positions, 0.5)


def test_a_frame_cut_by_a_kill_is_left_out_of_both(tmp_path: Path) -> None:
    found = load_centroids([write_run(tmp_path / "run", cut=True)])
    for positions, forces in zip(found.positions, found.forces, strict=True):
        assert len(positions) == 2
        np.testing.assert_allclose(forces - positions, 0.5)


def test_what_is_no_potential_of_mean_force_is_refused(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    with pytest.raises(InputError, match=r"at 300 K, the first run of 'dihydrogen' at 500 K"):
        load_centroids([run, write_run(tmp_path / "cold", kelvin=300.0)])
    with pytest.raises(InputError, match="one model at one temperature"):
        load_centroids([run, write_run(tmp_path / "other", sha256="b" * 64)])
    with pytest.raises(InputError, match=r"continue: densnet md --resume .*unfinished"):
        load_centroids([write_run(tmp_path / "unfinished", finished=False)])
    classical = json.loads((run / "run.json").read_text())
    for segment in classical["segments"]:
        segment.pop("centroid_files", None)
    (run / "run.json").write_text(json.dumps(classical))
    with pytest.raises(InputError, match="--centroid-stride"):
        load_centroids([run])
    with pytest.raises(DataError, match=r"no run\.json"):
        load_centroids([tmp_path])
