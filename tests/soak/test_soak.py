"""The long trials, shortened: the same programs with small numbers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def run(program: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(HERE / program), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("transport", [[], ["--tcp"]])
def test_thousands_of_frames_leave_no_trace(transport: list[str]) -> None:
    assert "descriptors by 0" in run("million_frames.py", "--frames", "3000", *transport)


def test_hundreds_of_random_streams_are_survived() -> None:
    assert "200 streams" in run("fuzzed_streams.py", "--streams", "200")


def test_drivers_killed_under_tcp_leave_the_trajectory_alone() -> None:
    output = run(
        *("killed_drivers.py", "--kills", "3", "--steps", "2500", "--transport", "tcp"),
        *("--interval", "0.5"),
    )
    assert "3 drivers killed" in output
    assert "identical" in output


def test_ring_polymers_have_the_kinetic_energy_of_quantum_mechanics() -> None:
    arguments = ("--ensemble", "trpmd-gle", "--picoseconds", "0.2")
    assert "harmonic estimate" in run("quantum_kinetic_energy.py", *arguments)


def test_the_energy_that_verlet_conserves_does_not_drift(tmp_path: Path) -> None:
    options = ("--replicas", "1", "--picoseconds", "0.5", "--thermalise-picoseconds", "0.2")
    numbers = tmp_path / "shadow.json"
    run("shadow_energy.py", "ethanol", *options, "--json", str(numbers))
    found = json.loads(numbers.read_text())
    # Some hundred times, when forces are the gradient of the energy; less if the start is cold.
    assert 20.0 * found["shadow"]["fluctuation"] < found["energy"]["fluctuation"]
