import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from densnet.data.store import FrameFile
from densnet.data.writer import FrameWriter
from densnet.reference.labelling import mpi_ranks
from densnet.reference.level import Level
from densnet.reference.scf import Calculator
from densnet.structure import Structure
from tests.tolerances import LABEL_DIPOLE, LABEL_ENERGY, LABEL_FORCES

LEVEL = {"xc": "pbe", "basis": "sto-3g", "auxiliary_basis": "weigend", "grid_level": 1}
N_FRAMES = 12


@pytest.fixture
def run_folder(tmp_path: Path, water: Structure, rng: np.random.Generator) -> Path:
    """Return a folder with frames of water and a configuration."""
    with FrameWriter(tmp_path / "frames.h5", water.numbers, {"charge": 0}) as writer:
        for i in range(N_FRAMES):
            writer.append(
                {
                    "frame": i,
                    "positions": water.positions + rng.normal(scale=0.05, size=(3, 3)),
                    "tag": "test" if i % 4 == 0 else "train",
                    "temperature": 300.0,
                    "trajectory": i // 4,
                }
            )
    write_config(tmp_path, LEVEL)
    return tmp_path


def write_config(folder: Path, level: dict[str, object], **more: object) -> None:
    config = {"frames": "frames.h5", "output": "labels.h5", "level": level, **more}
    (folder / "label.yaml").write_text(json.dumps(config))


def start(folder: Path, *options: str, launcher: tuple[str, ...] = ()) -> subprocess.Popen:
    command = [*launcher, sys.executable, "-m", "densnet", "label", "label.yaml", *options]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def check_labels(folder: Path) -> None:
    frames = FrameFile.read(
        folder / "labels.h5", require=("energy", "forces", "dipole", "orbitals", "gap")
    )
    assert sorted(frames["frame"].tolist()) == list(range(N_FRAMES))
    sampled = FrameFile.read(folder / "frames.h5")
    assert np.array_equal(frames.positions, sampled.positions[frames["frame"]])
    assert np.array_equal(frames.tag, sampled.tag[frames["frame"]])
    label = Calculator(Level(**LEVEL)).label(Structure(frames.numbers, frames.positions[7]))
    assert frames.energy[7] == pytest.approx(label.energy, abs=LABEL_ENERGY)
    assert np.abs(frames.forces[7] - label.forces).max() < LABEL_FORCES
    assert np.abs(frames.dipole[7] - label.dipole).max() < LABEL_DIPOLE


def test_a_run_that_is_killed_goes_on_without_a_lost_or_doubled_frame(run_folder: Path) -> None:
    process = start(run_folder, "--workers", "2")
    journal = run_folder / "labels.h5.journal"
    deadline = time.monotonic() + 60.0
    while not journal.exists() or journal.stat().st_size < 4000:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    with FrameWriter(run_folder / "labels.h5", [8, 1, 1], {}) as writer:
        survived = set(writer.frames)
    assert 0 < len(survived) < N_FRAMES
    finished = FrameFile.read(run_folder / "labels.h5")["cpu_seconds"].tolist()
    code, _, err = finish(start(run_folder, "--workers", "2", "--json", "report.json"))
    assert code == 0, err
    check_labels(run_folder)
    # Labels from before the kill are the same ones, not computed again.
    again = FrameFile.read(run_folder / "labels.h5")["cpu_seconds"].tolist()
    assert again[: len(finished)] == finished
    report = json.loads((run_folder / "report.json").read_text())
    assert report["report"]["n_frames"] == N_FRAMES
    # Another level must not be mixed with these labels.
    write_config(run_folder, {**LEVEL, "xc": "b3lyp"})
    code, _, err = finish(start(run_folder))
    assert code == 2
    assert "was made with level" in err
    assert "give another output file" in err


def test_ctrl_c_keeps_what_is_finished_and_leaves_no_process(run_folder: Path) -> None:
    write_config(run_folder, {**LEVEL, "basis": "def2-svp", "grid_level": 5})
    process = start(run_folder, "--workers", "1")
    deadline = time.monotonic() + 120.0
    journal = run_folder / "labels.h5.journal"
    while not journal.exists() or journal.stat().st_size == 0:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    workers = worker_processes(process.pid)
    os.killpg(process.pid, signal.SIGINT)
    code, _, err = finish(process)
    assert code == 130
    assert "Traceback" not in err
    assert workers
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)
    assert 1 <= len(FrameFile.read(run_folder / "labels.h5")) < N_FRAMES


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_to_the_parent_alone_ends_its_workers(
    run_folder: Path, number: signal.Signals
) -> None:
    # Frames that take minutes: no worker ends because it has nothing to do.
    write_config(run_folder, {**LEVEL, "basis": "aug-cc-pvqz", "grid_level": 9})
    process = start(run_folder, "--workers", "1")
    workers = workers_once_started(process)
    time.sleep(2.0)
    os.kill(process.pid, number)
    code, _, err = finish(process)
    assert code == (-number if number == signal.SIGKILL else 128 + number)
    assert "Traceback" not in err
    deadline = time.monotonic() + 60.0
    while any(Path(f"/proc/{worker}").exists() for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def workers_once_started(process: subprocess.Popen) -> list[int]:
    deadline = time.monotonic() + 60.0
    while not (workers := worker_processes(process.pid)):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
    return workers


def worker_processes(parent: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            # pid (name) state parent ...; the name may hold spaces, but no closing bracket here.
            status = (entry / "stat").read_text().rpartition(")")[2].split()
            command = (entry / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile
        if int(status[1]) == parent and b"spawn_main" in command:
            found.append(int(entry.name))
    return found


def test_a_killed_worker_is_reported_and_the_run_can_go_on(run_folder: Path) -> None:
    process = start(run_folder, "--workers", "1")
    workers = workers_once_started(process)
    os.kill(workers[0], signal.SIGKILL)
    code, _, err = finish(process)
    assert code == 2
    assert "worker process died" in err
    code, _, err = finish(start(run_folder))
    assert code == 0, err
    check_labels(run_folder)


def test_mpi_ranks_give_the_same_labels(run_folder: Path) -> None:
    mpiexec = Path(sys.executable).with_name("mpiexec")
    code, out, err = finish(start(run_folder, launcher=(str(mpiexec), "-n", "2")))
    assert code == 0, err
    assert out.count("labels.h5: 12 frames") == 1
    check_labels(run_folder)


def test_a_failing_scf_is_recorded_reported_and_retried_on_demand(run_folder: Path) -> None:
    write_config(run_folder, {**LEVEL, "max_cycles": 2})
    code, out, err = finish(start(run_folder))
    assert code == 1, err
    failures = FrameFile.failures(run_folder / "labels.h5")
    assert sorted(failures) == list(range(N_FRAMES))
    assert all("fresh guess, damping 0.4" in reason for reason in failures.values())
    assert "frame 0 failed: the SCF failed" in out
    write_config(run_folder, LEVEL)
    code, out, err = finish(start(run_folder, "--retry-failed"))
    assert code == 0, err
    assert FrameFile.failures(run_folder / "labels.h5") == {}
    check_labels(run_folder)


def test_a_configuration_error_names_file_line_and_key(run_folder: Path) -> None:
    write_config(run_folder, {"functional": "pbe"})
    code, _, err = finish(start(run_folder))
    assert code == 2
    assert "label.yaml:1" in err
    assert "functional" in err


def test_a_process_outside_of_mpi_has_one_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PMI_SIZE", raising=False)
    monkeypatch.delenv("OMPI_COMM_WORLD_SIZE", raising=False)
    monkeypatch.delenv("PMIX_SIZE", raising=False)
    assert mpi_ranks() == 1
    monkeypatch.setenv("PMI_SIZE", "3")
    assert mpi_ranks() == 3
