"""Frames for other codes carry the right units, and results are collected as they are."""

import json
from pathlib import Path

import ase.io
import numpy as np
import pytest

from densnet.data.store import FrameFile
from densnet.errors import InputError, SimulationError
from tests.benchmarks.learning_curve import collect, run
from tests.benchmarks.peers.codes import DenSNet, Mace, Task, errors_by_temperature
from tests.benchmarks.peers.frames import nested, write_frames

LABELS = Path(__file__).parents[2] / "examples" / "01_ethanol" / "ethanol.h5"
# CODATA 2018.
EV, ANGSTROM = 27.211386245988, 0.529177210903


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    folder = tmp_path_factory.mktemp("frames")
    write_frames(LABELS, [4, 6], 3, folder)
    return folder


def test_every_training_set_holds_the_smaller_ones():
    sets = nested(1000, [50, 100, 950], seed=1)
    assert [len(sets[n]) for n in (50, 100, 950)] == [50, 100, 950]
    assert set(sets[50]) < set(sets[100]) < set(sets[950])
    assert set(nested(1000, [50], seed=2)[50]) != set(sets[50])
    with pytest.raises(InputError, match="there are 1000 frames, 1001 were asked for"):
        nested(1000, [50, 1001], seed=1)


def test_other_codes_get_the_frames_that_we_train_on_in_ase_units(frames):
    ours = FrameFile.read(frames / "frames-6.h5", select={"tag": "train"})
    theirs = ase.io.read(frames / "train-6.xyz", index=":")
    smaller = ase.io.read(frames / "train-4.xyz", index=":")
    assert len(theirs) == len(ours) == 6
    energies = {atoms.info["REF_energy"] for atoms in theirs}
    assert {atoms.info["REF_energy"] for atoms in smaller} < energies
    for k, atoms in enumerate(theirs):
        # Extended XYZ keeps eight decimals of an array.
        np.testing.assert_allclose(atoms.positions, ours.positions[k] * ANGSTROM, atol=2e-8)
        expected = ours.forces[k] * EV / ANGSTROM
        np.testing.assert_allclose(atoms.arrays["REF_forces"], expected, atol=2e-8)
        assert atoms.info["REF_energy"] == pytest.approx(ours.energy[k] * EV, rel=1e-9)
        np.testing.assert_allclose(atoms.info["REF_dipole"], ours.dipole[k] * ANGSTROM, rtol=1e-9)
    validation = ase.io.read(frames / "validation.xyz", index=":")
    assert len(FrameFile.read(frames / "frames-4.h5", select={"tag": "validation"})) == 50
    assert len(validation) == 50
    assert not energies & {atoms.info["REF_energy"] for atoms in validation}


def test_errors_of_known_predictions(frames):
    task = Task(frames, LABELS, n_train=4, epochs=1, validate_every=1, seed=3)
    labelled = ase.io.read(frames / "test.xyz", index=":")
    hot = np.array([atoms.info["temperature"] == 500.0 for atoms in labelled])
    energies = np.array([atoms.info["REF_energy"] for atoms in labelled]) + np.where(hot, -0.2, 0.1)
    forces = np.array([atoms.arrays["REF_forces"] for atoms in labelled])
    found = errors_by_temperature(task, energies, forces + 0.003)
    assert found["300 K"]["energy_mev"] == pytest.approx(100.0)
    assert found["500 K"]["energy_mev"] == pytest.approx(200.0)
    assert found["500 K"]["forces_mev_angstrom"] == pytest.approx(3.0)
    assert found["300 K"]["dipole_millidebye"] is None
    with pytest.raises(SimulationError, match="299 predictions for 300 test frames"):
        errors_by_temperature(task, energies[1:], forces[1:])


def test_stages_keep_their_proportions_and_the_last_epoch_is_validated(frames, tmp_path):
    task = Task(frames, LABELS, n_train=4, epochs=50, validate_every=5, seed=3)
    DenSNet().training(task, tmp_path)
    text = (tmp_path / "train.yaml").read_text()
    assert "epochs: 150" in text
    assert "epochs: 10" in text
    assert "epochs: 100" in text
    assert DenSNet().whole_epochs(52.7, 5) == 50
    # MACE validates after its epochs 0, 5, 10 …
    assert Mace(Path("nowhere")).whole_epochs(52.7, 5) == 51
    with pytest.raises(InputError, match="no such command"):
        Mace(Path("nowhere")).training(task, tmp_path)


def test_a_failed_command_shows_the_end_of_its_log(tmp_path):
    assert run(["true"], tmp_path / "log") < 1.0
    with pytest.raises(SimulationError, match=r"ended with 3; the end of .*log:\nout of luck"):
        run(["sh", "-c", "echo out of luck; exit 3"], tmp_path / "log")


def test_results_become_one_table_and_one_picture(tmp_path):
    for code, density in (("ours", 0.3), ("theirs", None)):
        for n in (50, 100):
            errors = {"density_percent": density, "dipole_millidebye": density}
            errors |= {"energy_mev": 100.0 / n, "forces_mev_angstrom": 500.0 / n}
            row = {"code": code, "n_train": n, "epochs": 7, "training_seconds": 60.0}
            folder = tmp_path / code / str(n)
            folder.mkdir(parents=True)
            (folder / "result.json").write_text(json.dumps({**row, "errors": {"300 K": errors}}))
    collect(tmp_path, {"seed": 1})
    lines = (tmp_path / "learning_curve.csv").read_text().splitlines()
    assert lines[1] == "ours,50,300 K,7,60,0.3,0.3,2,10"
    assert lines[4] == "theirs,100,300 K,7,60,,,1,5"
    report = json.loads((tmp_path / "learning_curve.json").read_text())
    assert report["settings"] == {"seed": 1}
    assert (tmp_path / "learning_curve.png").stat().st_size > 10_000
