"""Kills the driver again and again while i-PI runs; the trajectory must not notice.

    python tests/soak/killed_drivers.py --kills 200 --steps 20000 --transport unix

An undisturbed run comes first; then the same run, in which the driver is killed (SIGKILL) at random
moments and replaced. Every dipole of every step must be the same to the last bit, each step once.
The potential is that of tests/ipi_driver/elastic_ethanol.py unless --model names a bundle.
"""

import argparse
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from densnet.programs import installed_program  # noqa: E402
from densnet.simulate.bundle import load_molecule  # noqa: E402
from densnet.simulate.ensembles import ENSEMBLES  # noqa: E402
from densnet.simulate.ipi_input import BOX_ANGSTROM, StageInput, Transport  # noqa: E402
from densnet.simulate.structure_files import write_xyz  # noqa: E402
from tests.ipi_driver import elastic_ethanol  # noqa: E402

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return int(probe.getsockname()[1])


def driver_command(args: argparse.Namespace, transport: Transport) -> list[str]:
    where = (
        ["--tcp", f"localhost:{transport.port}"]
        if transport.port
        else ["--unix", transport.address]
    )
    program = (
        ["-m", "ipi_driver", args.model] if args.model else [elastic_ethanol.__file__, "elastic"]
    )
    return [sys.executable, *program, *where, "--log", "driver.log", "--wait", "30"]


def run(args: argparse.Namespace, directory: Path, kills: int) -> int:
    """Run once; return the number of drivers that were killed."""
    transport = (
        Transport("localhost", free_port())
        if args.transport == "tcp"
        else Transport(f"densnet-soak-{os.getpid()}-{kills}")
    )
    stage = StageInput(
        ensemble=ENSEMBLES["nve"],
        temperature_kelvin=300.0,
        timestep_fs=0.5,
        steps=args.steps,
        beads=1,
        seed=11,
        n_replicas=1,
        transport=transport,
        parameters="{ charge: 0 }",
        dipole_stride=1,
    )
    symbols, positions = elastic_ethanol.SYMBOLS, elastic_ethanol.POSITIONS
    if args.model:
        molecule = load_molecule(args.model)
        symbols, positions = list(molecule.symbols), molecule.positions
    write_xyz(directory / "init.xyz", symbols, positions, BOX_ANGSTROM)
    (directory / "input.xml").write_text(stage.xml())
    command = driver_command(args, transport)
    chance = random.Random(args.seed)
    killed = 0
    with open(directory / "i-pi.log", "wb") as log:
        server = subprocess.Popen(
            [installed_program("i-pi"), "input.xml"],
            cwd=directory,
            stdout=log,
            stderr=log,
            env=ENVIRONMENT,
        )
        driver = subprocess.Popen(command, cwd=directory, env=ENVIRONMENT)
        try:
            next_kill = time.monotonic() + 2.0
            while server.poll() is None:
                time.sleep(0.002)
                if "Exception in thread" in (directory / "i-pi.log").read_text()[-4000:]:
                    raise SystemExit(f"i-PI's polling thread died after {killed} kills")
                if driver.poll() is None and killed < kills and time.monotonic() > next_kill:
                    driver.send_signal(signal.SIGKILL)
                    driver.wait()
                    killed += 1
                    next_kill = time.monotonic() + args.interval * chance.uniform(0.5, 1.5)
                if driver.poll() is not None and server.poll() is None:
                    driver = subprocess.Popen(command, cwd=directory, env=ENVIRONMENT)
        finally:
            for process in (server, driver):
                if process.poll() is None:
                    process.terminate()
                    try:
                        process.wait(10.0)
                    except subprocess.TimeoutExpired:
                        process.kill()
    if server.returncode != 0:
        raise SystemExit(f"i-PI stopped with status {server.returncode} after {killed} kills")
    return killed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--transport", choices=("unix", "tcp"), default="unix")
    parser.add_argument("--interval", type=float, default=1.0, help="mean seconds between kills")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", help="a bundle in place of the elastic potential")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        quiet, disturbed = Path(scratch) / "quiet", Path(scratch) / "disturbed"
        for directory in (quiet, disturbed):
            directory.mkdir()
        start = time.monotonic()
        run(args, quiet, 0)
        undisturbed_s = time.monotonic() - start
        killed = run(args, disturbed, args.kills)
        expected = (quiet / "densnet.dipole_0").read_bytes()
        found = (disturbed / "densnet.dipole_0").read_bytes()
        steps = found.count(b"Step:")
        print(
            f"{args.transport}: {killed} drivers killed in {args.steps} steps "
            f"({undisturbed_s:.0f} s undisturbed, {time.monotonic() - start - undisturbed_s:.0f} s "
            f"disturbed); {steps} rows; trajectories "
            f"{'identical' if expected == found else 'DIFFERENT'}"
        )
        if expected != found or steps != args.steps + 1:
            raise SystemExit(1)
        if killed < args.kills:
            raise SystemExit(
                f"only {killed} of {args.kills} kills fitted into the run: more --steps"
            )


if __name__ == "__main__":
    main()
