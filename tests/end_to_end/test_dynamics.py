"""Dynamics through a real i-PI and the real driver, with a potential that is known exactly."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from densnet.errors import SimulationError
from densnet.programs import installed_program
from densnet.simulate.ensembles import ENSEMBLES
from densnet.simulate.follow import read_properties
from densnet.simulate.ipi_input import BOX_ANGSTROM, StageInput, Transport
from densnet.simulate.manifest import RunManifest
from densnet.simulate.plan import Molecule, Settings
from densnet.simulate.processes import quiet_environment
from densnet.simulate.run import Progress, continue_run, start_run
from densnet.simulate.structure_files import write_xyz
from densnet.spectra.ipi_xyz import load_xyz
from densnet.spectra.run_directory import load_run
from densnet.spectra.signals import load_rows, load_signals
from densnet.units import HARTREE_MEV
from ipi_driver.connection import SOCKETS_PREFIX
from tests.ipi_driver import elastic_ethanol
from tests.ipi_driver.elastic_ethanol import CHARGES, NUMBERS, POSITIONS, SYMBOLS

DRIVER = (sys.executable, elastic_ethanol.__file__)
MOLECULE = Molecule("elastic", "0" * 64, tuple(SYMBOLS), tuple(NUMBERS.tolist()), POSITIONS, 0)
# A velocity-Verlet step of 0.5 fs on C–H and O–H stretches conserves energy to a few tenths of a
# meV an atom; a wrong force sign, unit or order breaks this at once.
CONSERVED_MEV_ATOM = 1.0
# Checkpoints are exact, but i-PI's sums depend on how its arrays lie in memory: a last bit may
# differ after a restart, and the difference grows. A lost or repeated step would show as 1e-2.
SAME_TRAJECTORY = 1e-7
# Simpson's rule over 2 fs and velocity Verlet at 0.5 fs for the O–H stretch; velocities of other
# atoms, times or units would differ by more than their size.
VELOCITY_ERROR = 0.03


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the driver processes import the tests' potential."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


def read_dipoles(path: Path) -> dict[int, tuple[float, ...]]:
    """The last row of every step of an extras file."""
    rows: dict[int, tuple[float, ...]] = {}
    step = -1
    for line in path.read_text().splitlines():
        if line.lstrip().startswith("#"):
            step = int(line.split("Step:")[1])
        else:
            rows[step] = tuple(float(word) for word in line.split())
    return rows


def dipoles_of(manifest: RunManifest, directory: Path) -> list[dict[int, tuple[float, ...]]]:
    return [
        read_dipoles(directory / name)
        for segment in manifest.segments
        if segment.use_for_spectrum
        for name in segment.dipole_files
    ]


def assert_same_dipoles(
    found: list[dict[int, tuple[float, ...]]], expected: list[dict[int, tuple[float, ...]]]
) -> None:
    """The same steps, and at each the same dipole."""
    assert [list(rows) for rows in found] == [list(rows) for rows in expected]
    for first, second in zip(found, expected, strict=True):
        np.testing.assert_allclose(
            list(first.values()), list(second.values()), atol=SAME_TRAJECTORY
        )


def complete(settings: Settings, directory: Path) -> RunManifest:
    start_run(settings, MOLECULE, directory, ("densnet", "md"))
    return continue_run(settings, MOLECULE, directory, driver_program=DRIVER)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, Path, RunManifest]:
    """An undisturbed run of two replicas."""
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[2])
    directory = tmp_path_factory.mktemp("reference") / "run"
    settings = Settings(
        "elastic",
        steps=2200,
        replicas=2,
        thermalise_steps=0,
        dipole_stride=2,
        position_stride=100,
        velocity_stride=2,
    )
    return settings, directory, complete(settings, directory)


def test_a_run_loses_no_step_and_conserves_energy(
    reference: tuple[Settings, Path, RunManifest],
) -> None:
    settings, directory, manifest = reference
    assert manifest.finished
    assert RunManifest.load(directory) == manifest
    for rows in dipoles_of(manifest, directory):
        assert sorted(rows) == list(range(0, settings.steps + 1, settings.dipole_stride))
    for segment in manifest.segments:
        table = read_properties(directory / segment.properties_file)
        change = (table["conserved"] - table["conserved"][0]) * HARTREE_MEV / len(NUMBERS)
        assert np.abs(change).max() < CONSERVED_MEV_ATOM
        assert 50.0 < table["temperature"].mean() < 600.0


def test_replicas_are_different_trajectories(
    reference: tuple[Settings, Path, RunManifest],
) -> None:
    _, directory, manifest = reference
    first, second = dipoles_of(manifest, directory)
    assert not np.allclose(first[100], second[100], atol=1e-3)


def test_replicas_start_from_the_structures_they_are_given(tmp_path: Path) -> None:
    moved = POSITIONS.copy()
    moved[-1] *= 1.02
    settings = Settings(
        "elastic", steps=20, replicas=3, thermalise_steps=0, position_stride=1, n_starts=2
    )
    start_run(settings, MOLECULE, tmp_path / "run", ("densnet", "md"), [POSITIONS, moved])
    manifest = continue_run(settings, MOLECULE, tmp_path / "run", driver_program=DRIVER)
    paths = [tmp_path / "run" / s.position_files[0] for s in manifest.segments]
    first = [load_xyz(path, "positions").rows.values[0] for path in paths]
    for found, expected in zip(first, (POSITIONS, moved, POSITIONS), strict=True):
        # i-PI's angstrom differs in the sixth digit.
        np.testing.assert_allclose(found - found.mean(0), expected - expected.mean(0), atol=2e-5)


def assert_velocities_are_the_rates_of_dipoles(directory: Path) -> None:
    """Σ q v against differences of Σ q r, by Simpson's rule over two intervals."""
    for segment in load_run(directory):
        dipoles = load_signals([segment], "dipole")[0]
        velocities = load_signals([segment], "velocities")[0]
        assert velocities.timestep_au == dipoles.timestep_au
        rates = np.einsum("i,tix->tx", CHARGES, velocities.values)
        simpson = (rates[:-2] + 4.0 * rates[1:-1] + rates[2:]) / 6.0
        differences = (dipoles.values[2:] - dipoles.values[:-2]) / (2.0 * dipoles.timestep_au)
        error = np.sqrt(np.mean((simpson - differences) ** 2))
        assert error < VELOCITY_ERROR * np.sqrt(np.mean(differences**2))


def test_velocities_are_the_rates_of_the_dipoles(
    reference: tuple[Settings, Path, RunManifest],
) -> None:
    _, directory, manifest = reference
    assert [s.velocity_files for s in manifest.segments] == [
        ("01_nve/r00_densnet.vel_0.xyz",),
        ("01_nve/r01_densnet.vel_0.xyz",),
    ]
    assert_velocities_are_the_rates_of_dipoles(directory)


def test_path_integrals_write_the_velocities_of_their_centroids(tmp_path: Path) -> None:
    settings = Settings(
        "elastic",
        ensemble="trpmd",
        beads=4,
        steps=120,
        thermalise_steps=0,
        dipole_stride=2,
        velocity_stride=2,
    )
    manifest = complete(settings, tmp_path / "run")
    assert manifest.segments[0].velocity_files == ("01_trpmd/densnet.vel.xyz",)
    assert_velocities_are_the_rates_of_dipoles(tmp_path / "run")


def test_a_committee_moves_the_molecule_and_its_disagreement_is_written(tmp_path: Path) -> None:
    settings = Settings(
        "elastic",
        ensemble="trpmd",
        beads=4,
        steps=40,
        thermalise_steps=0,
        committee=("stiffer", "stiffest"),
    )
    directory = tmp_path / "run"
    complete(settings, directory)
    assert Settings.load(directory) == settings
    for bead in range(4):
        rows = read_dipoles(directory / "01_trpmd" / f"densnet.spread_{bead}")
        assert list(rows) == [0, 20, 40]
        # At rest the three springs agree; moving, the stiffer ones pull harder.
        assert 0.0 < rows[20][0] < 0.01


@pytest.mark.parametrize(("beads", "replicas"), [(1, 1), (1, 2), (4, 1)])
def test_polarizabilities_are_written_at_their_stride(
    tmp_path: Path, beads: int, replicas: int
) -> None:
    settings = Settings(
        "elastic",
        ensemble="nve" if beads == 1 else "trpmd",
        beads=beads,
        replicas=replicas,
        steps=60,
        thermalise_steps=20,
        position_stride=20,
        polarizability_stride=20,
    )
    complete(settings, tmp_path / "run")
    segments = load_run(tmp_path / "run")
    assert len(segments) == replicas
    for segment in segments:
        found, _ = load_rows(segment, "polarizability")
        assert found.steps.tolist() == [0, 20, 40, 60]
        expected = np.mean(
            [
                np.einsum("tix,tiy->txy", r, r)
                for path in segment.files["positions"]
                for r in [load_xyz(path, "positions").rows.values]
            ],
            axis=0,
        )
        # The xyz has six digits.
        np.testing.assert_allclose(found.values, expected, atol=1e-3)


def test_dipoles_are_those_of_the_positions(
    reference: tuple[Settings, Path, RunManifest],
) -> None:
    _, directory, manifest = reference
    segment = manifest.segments[0]
    lines = (directory / segment.position_files[0]).read_text().splitlines()
    frames = [lines[k : k + 11] for k in range(0, len(lines), 11)]
    dipoles = read_dipoles(directory / segment.dipole_files[0])
    for frame in frames:
        step = int(frame[1].split("Step:")[1].split()[0])
        angstrom = np.array([[float(x) for x in row.split()[1:]] for row in frame[2:]])
        dipole = elastic_ethanol.CHARGES @ angstrom / 0.529177210903
        # i-PI writes positions with six digits.
        np.testing.assert_allclose(dipoles[step], dipole, atol=2e-5)


def test_an_interrupted_and_resumed_run_equals_an_undisturbed_one(
    reference: tuple[Settings, Path, RunManifest], tmp_path: Path
) -> None:
    settings, directory, manifest = reference
    run = tmp_path / "run"

    def interrupt(progress: Progress) -> None:
        if progress.steps >= 300:
            raise KeyboardInterrupt

    start_run(settings, MOLECULE, run, ("densnet", "md"))
    with pytest.raises(KeyboardInterrupt):
        continue_run(settings, MOLECULE, run, driver_program=DRIVER, on_progress=interrupt)
    assert not RunManifest.load(run).finished
    resumed = continue_run(settings, MOLECULE, run, driver_program=DRIVER)
    assert resumed.finished
    assert_same_dipoles(dipoles_of(resumed, run), dipoles_of(manifest, directory))
    # What the spectrum is made of: one unbroken signal a segment, the same as without interruption.
    joined, whole = (load_signals(load_run(path), "dipole") for path in (run, directory))
    assert len(joined) == len(whole) == settings.replicas
    for first, second in zip(joined, whole, strict=True):
        np.testing.assert_allclose(first.values, second.values, atol=SAME_TRAJECTORY)


def test_killed_drivers_are_replaced_and_leave_no_trace(
    reference: tuple[Settings, Path, RunManifest], tmp_path: Path
) -> None:
    settings, directory, manifest = reference
    run = tmp_path / "run"
    killed: list[int] = []

    def kill_whoever_serves(progress: Progress) -> None:
        log = "".join(path.read_text() for path in run.glob("*/driver.log"))
        # Each driver says once that it serves: not the one that is still starting.
        if len(killed) < 4 and log.count("has been answered") > len(killed):
            for pid in pids_of(elastic_ethanol.__file__.encode(), run):
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

    start_run(settings, MOLECULE, run, ("densnet", "md"))
    disturbed = continue_run(
        settings, MOLECULE, run, driver_program=DRIVER, on_progress=kill_whoever_serves
    )
    assert killed
    assert_same_dipoles(dipoles_of(disturbed, run), dipoles_of(manifest, directory))


def test_a_killed_server_is_continued_from_its_checkpoint(
    reference: tuple[Settings, Path, RunManifest], tmp_path: Path
) -> None:
    settings, directory, manifest = reference
    run = tmp_path / "run"

    def kill_server(progress: Progress) -> None:
        if progress.steps >= 1000:
            for pid in pids_of(b"bin/i-pi", run):
                os.kill(pid, signal.SIGKILL)

    start_run(settings, MOLECULE, run, ("densnet", "md"))
    with pytest.raises(SimulationError, match="status -9"):
        continue_run(settings, MOLECULE, run, driver_program=DRIVER, on_progress=kill_server)
    continued = continue_run(settings, MOLECULE, run, driver_program=DRIVER)
    assert_same_dipoles(dipoles_of(continued, run), dipoles_of(manifest, directory))


def pids_of(program: bytes, run: Path) -> list[int]:
    """Processes of a program that run inside a run directory."""
    pids = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if (
                entry.name.isdigit()
                and run in Path(os.readlink(entry / "cwd")).parents
                and program in (entry / "cmdline").read_bytes()
            ):
                pids.append(int(entry.name))
    return pids


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("transport", ["tcp", "shm", "unbatched", "one message at a time"])
def test_other_transports_carry_the_same_beads(transport: str, tmp_path: Path) -> None:
    port = free_port() if transport == "tcp" else 0
    name = f"densnet-test-{os.getpid()}-{transport[:3]}"
    stage = StageInput(
        ensemble=ENSEMBLES["trpmd"],
        temperature_kelvin=300.0,
        timestep_fs=0.5,
        steps=20,
        beads=4,
        seed=7,
        n_replicas=1,
        transport=Transport("localhost" if port else name, port),
        parameters="{ charge: 0 }",
        dipole_stride=1,
    )
    write_xyz(tmp_path / "init.xyz", SYMBOLS, POSITIONS, BOX_ANGSTROM)
    xml = stage.xml()
    if transport == "shm":
        xml = xml.replace("mode='unix'", "mode='shm'")
    if transport == "unbatched":
        xml = xml.replace("<batch_size>4</batch_size>", "")
    if transport == "one message at a time":
        # As i-PI before 3.2: STATUS between POSDATA and GETFORCE.
        separate = "<consolidate_messages>False</consolidate_messages>"
        xml = xml.replace("<batch_size>4</batch_size>", separate)
    (tmp_path / "input.xml").write_text(xml)
    where = {
        "tcp": ["--tcp", f"localhost:{port}"],
        "shm": ["--shm", name],
        "unbatched": ["--unix", name, "--connections", "4"],
        "one message at a time": ["--unix", name],
    }[transport]
    with open(tmp_path / "log", "wb") as log:
        server = subprocess.Popen(
            [installed_program("i-pi"), "input.xml"],
            cwd=tmp_path,
            stdout=log,
            stderr=log,
            env=quiet_environment(),
        )
        driver = subprocess.run([*DRIVER, "elastic", *where], cwd=tmp_path, timeout=60, stderr=log)
        assert server.wait(20.0) == 0
    assert driver.returncode == 0
    rows = [read_dipoles(tmp_path / f"densnet.dipole_{bead}") for bead in range(4)]
    assert [len(r) for r in rows] == [21] * 4
    # All beads start together; the dipole of the template is known.
    np.testing.assert_allclose(rows[3][0], elastic_ethanol.CHARGES @ POSITIONS, atol=1e-12)
    final = np.array([r[20] for r in rows])
    assert np.ptp(final, axis=0).max() > 1e-3


def test_the_driver_ends_within_a_second_of_a_killed_server(tmp_path: Path) -> None:
    name = f"densnet-test-{os.getpid()}-killed"
    stage = StageInput(
        ensemble=ENSEMBLES["nve"],
        temperature_kelvin=300.0,
        timestep_fs=0.5,
        steps=10**7,
        beads=1,
        seed=7,
        n_replicas=1,
        transport=Transport(name),
        parameters="{ charge: 0 }",
    )
    write_xyz(tmp_path / "init.xyz", SYMBOLS, POSITIONS, BOX_ANGSTROM)
    (tmp_path / "input.xml").write_text(stage.xml())
    with open(tmp_path / "log", "wb") as log:
        server = subprocess.Popen(
            [installed_program("i-pi"), "input.xml"], cwd=tmp_path, stdout=log, stderr=log
        )
        driver = subprocess.Popen(
            [*DRIVER, "elastic", "--unix", name, "--log", "driver.log"], cwd=tmp_path
        )
        try:
            while "first frame" not in (
                (tmp_path / "driver.log").read_text() if (tmp_path / "driver.log").exists() else ""
            ):
                time.sleep(0.05)
                assert driver.poll() is None
        finally:
            server.kill()
            server.wait(10.0)
            killed = time.monotonic()
            status = driver.wait(10.0)
    assert status == 4
    assert time.monotonic() - killed < 1.0
    os.unlink(f"{SOCKETS_PREFIX}{name}")
