"""Short i-PI runs for the benchmarks of this folder: one molecule, NVE or TRPMD, timed by i-PI."""

import contextlib
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from densnet.programs import installed_program  # noqa: E402
from densnet.simulate.bundle import load_molecule  # noqa: E402
from densnet.simulate.ensembles import ENSEMBLES  # noqa: E402
from densnet.simulate.ipi_input import BOX_ANGSTROM, StageInput, Transport  # noqa: E402
from densnet.simulate.plan import Molecule  # noqa: E402
from densnet.simulate.processes import quiet_environment  # noqa: E402
from densnet.simulate.structure_files import write_xyz  # noqa: E402
from densnet.units import BOHR_ANGSTROM  # noqa: E402
from ipi_driver.connection import SOCKETS_PREFIX  # noqa: E402
from tests.ipi_driver import elastic_ethanol  # noqa: E402

TIMING = re.compile(r"Average timings at MD step\s+(\d+)\. t/step: (\S+)")
LONGEST_RUN_S = 1200.0


def address_of(variant: str, beads: int) -> str:
    """Name of a socket that no other run has."""
    return f"densnet-bench-{os.getpid()}-{variant.replace(' ', '-')}-{beads}"


def our_input(beads: int, steps: int, address: str) -> str:
    """What `densnet md` writes: NVE for one bead, TRPMD for more; dipoles every 4 steps."""
    return StageInput(
        ensemble=ENSEMBLES["nve" if beads == 1 else "trpmd"],
        temperature_kelvin=300.0,
        timestep_fs=0.5,
        steps=steps + 1,
        beads=beads,
        seed=1,
        n_replicas=1,
        transport=Transport(address),
        parameters="{ charge: 0 }",
        dipole_stride=4,
    ).xml()


def one_by_one(xml: str) -> str:
    """The same, each bead in a message of its own."""
    return re.sub(r"\s*<batch_size>\d+</batch_size>", "", xml)


def without_dipoles(xml: str) -> str:
    """The same for a potential that has none."""
    return re.sub(r"\s*<trajectory filename='dipole'.*</trajectory>", "", xml)


def with_defaults(xml: str) -> str:
    """The same simulation and outputs, every other setting as i-PI has it by default."""
    xml = re.sub(r" (safe_stride|threading|floatformat)='[^']*'", "", xml)
    xml = re.sub(r" flush='\d+'", "", xml)
    return re.sub(r"\s*<(latency|timeout)>[^<]*</\1>", "", xml)


def find_molecule(model: str) -> Molecule:
    """The molecule of a bundle, or the elastic one of tests/ipi_driver."""
    if not model.startswith("elastic"):
        return load_molecule(model)
    numbers = tuple(elastic_ethanol.NUMBERS.tolist())
    symbols, positions = tuple(elastic_ethanol.SYMBOLS), elastic_ethanol.POSITIONS
    return Molecule("elastic", "0" * 64, symbols, numbers, positions, 0)


def our_driver(model: str, address: str) -> list[str]:
    """The command of densnet-driver."""
    program = [elastic_ethanol.__file__] if model.startswith("elastic") else ["-m", "ipi_driver"]
    return [sys.executable, *program, absolute(model), "--unix", address, "--log", "log"]


def absolute(name: str) -> str:
    """Runs have a directory of their own: paths must not depend on it."""
    return str(Path(name).resolve()) if Path(name).exists() else name


@dataclass(frozen=True)
class StepTime:
    """Time of a step, medians over stretches of 100 steps, the start left out.

    Parameters
    ----------
    wall_ms : float
        By i-PI's own clock.
    cpu_ms : float
        Processor time of i-PI and its driver together. They work in turns, so on an idle machine
        this is the elapsed time without i-PI's naps; what other programs do matters little.
    """

    wall_ms: float
    cpu_ms: float


def median_times(times: Sequence[StepTime]) -> StepTime:
    """Of several runs."""
    return StepTime(
        statistics.median(t.wall_ms for t in times), statistics.median(t.cpu_ms for t in times)
    )


def processor_seconds(pid: int) -> float:
    """User and system time of a process so far, all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def time_run(xml: str, molecule: Molecule, driver: Sequence[str], address: str) -> StepTime:
    """Run i-PI with a driver in a scratch directory, which holds init.xyz and template.xyz.

    Parameters
    ----------
    xml : str
        i-PI's input, at medium verbosity.
    molecule : Molecule
    driver : sequence of str
        Command of the driver, started when i-PI listens.
    address : str
        Of the unix socket.
    """
    environment = {
        **quiet_environment(),
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        # MACE's models are pickles.
        "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1",
    }
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        write_xyz(directory / "init.xyz", molecule.symbols, molecule.positions, BOX_ANGSTROM)
        rows = zip(molecule.symbols, (molecule.positions * BOHR_ANGSTROM).tolist(), strict=True)
        lines = [f"{symbol} {x:.8f} {y:.8f} {z:.8f}" for symbol, (x, y, z) in rows]
        text = "\n".join([str(len(lines)), "", *lines])
        (directory / "template.xyz").write_text(text + "\n")
        (directory / "input.xml").write_text(xml)
        server = subprocess.Popen(
            [installed_program("i-pi"), "input.xml"],
            cwd=directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        watch = threading.Timer(LONGEST_RUN_S, server.kill)
        watch.start()
        while not Path(f"{SOCKETS_PREFIX}{address}").exists() and server.poll() is None:
            time.sleep(0.05)
        with open(directory / "driver.out", "w") as output:
            client = subprocess.Popen(
                driver, cwd=directory, stdout=output, stderr=output, env=environment
            )
        try:
            stretches = list(timings(server, client))
            # The stock driver spins for ever when the server closes without EXIT.
            with contextlib.suppress(subprocess.TimeoutExpired):
                client.wait(5.0)
        finally:
            watch.cancel()
            for process in (server, client):
                process.kill()
                process.wait()
        if not stretches:
            raise SystemExit(
                f"{' '.join(driver)}: i-PI made no step; the driver said:\n"
                + (directory / "driver.out").read_text()[-2000:]
            )
    return median_times(stretches)


def timings(server: subprocess.Popen[str], client: subprocess.Popen[bytes]) -> Iterator[StepTime]:
    """Follow i-PI to its end: one for each line on timings but the first, which has the start."""
    assert server.stdout is not None
    last_step, last_cpu = -1, 0.0
    for line in server.stdout:
        found = TIMING.search(line)
        if found is None:
            continue
        step = int(found[1])
        try:
            cpu = processor_seconds(server.pid) + processor_seconds(client.pid)
        except (FileNotFoundError, ProcessLookupError, IndexError):
            continue
        if last_step >= 0:
            yield StepTime(1e3 * float(found[2]), 1e3 * (cpu - last_cpu) / (step - last_step))
        last_step, last_cpu = step, cpu
