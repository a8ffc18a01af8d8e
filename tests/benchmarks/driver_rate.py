"""Step rates of i-PI with our driver and with i-PI's own, serving the same bundle.

    python tests/benchmarks/driver_rate.py ethanol --steps 200 --repeats 3

Paired and interleaved: every repeat runs all variants after one another, so that a busy machine
disturbs them alike; medians are printed. One bead and 32 beads:

- ours: densnet-driver, our inputs (batch_size, safe_stride, flush, no threads);
- stock: i-pi-py_driver -m custom with the same bundle, one bead at a time, our inputs;
- defaults: densnet-driver, but the input as i-PI's defaults leave it.

The model `elastic` is the analytic potential of tests/ipi_driver: what is left is i-PI's own time.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

import ipi_driver.pes  # noqa: E402
from densnet.simulate.bundle import load_molecule  # noqa: E402
from densnet.simulate.ensembles import ENSEMBLES  # noqa: E402
from densnet.simulate.ipi_input import BOX_ANGSTROM, StageInput, Transport  # noqa: E402
from densnet.simulate.plan import Molecule  # noqa: E402
from densnet.simulate.processes import find_program, quiet_environment  # noqa: E402
from densnet.simulate.structure_files import write_xyz  # noqa: E402
from tests.ipi_driver import elastic_ethanol, elastic_pes  # noqa: E402

TIMING = re.compile(r"Average timings at MD step\s+(\d+)\. t/step: (\S+)")
VARIANTS = ("ours", "stock", "defaults")


def with_defaults(xml: str) -> str:
    """The same simulation without our settings."""
    xml = re.sub(r" (safe_stride|threading|floatformat)='[^']*'", "", xml)
    xml = re.sub(r" flush='\d+'", "", xml)
    return re.sub(r"\s*<(latency|timeout|batch_size)>[^<]*</\1>", "", xml)


def find_molecule(model: str) -> Molecule:
    """The molecule of a bundle, or the elastic one."""
    if model != "elastic":
        return load_molecule(model)
    numbers = tuple(elastic_ethanol.NUMBERS.tolist())
    symbols, positions = tuple(elastic_ethanol.SYMBOLS), elastic_ethanol.POSITIONS
    return Molecule("elastic", "0" * 64, symbols, numbers, positions, 0)


def run(variant: str, beads: int, args: argparse.Namespace) -> float:
    """Milliseconds a step, start-up left out."""
    molecule = find_molecule(args.model)
    name = f"densnet-bench-{os.getpid()}-{variant}-{beads}"
    stage = StageInput(
        ensemble=ENSEMBLES["nve" if beads == 1 else "trpmd"],
        temperature_kelvin=300.0,
        timestep_fs=0.5,
        steps=args.steps + 1,
        beads=beads,
        seed=1,
        n_replicas=1,
        transport=Transport(name),
        parameters="{ charge: 0 }",
        dipole_stride=4,
    )
    xml = stage.xml()
    if variant == "defaults":
        xml = with_defaults(xml)
    if variant == "stock":
        xml = re.sub(r"\s*<batch_size>\d+</batch_size>", "", xml)
    model = str(Path(args.model).resolve()) if Path(args.model).exists() else args.model
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        write_xyz(directory / "init.xyz", molecule.symbols, molecule.positions, BOX_ANGSTROM)
        (directory / "input.xml").write_text(xml)
        program = [elastic_ethanol.__file__] if model == "elastic" else ["-m", "ipi_driver"]
        driver = [sys.executable, *program, model, "--unix", name, "--log", "log"]
        if variant == "stock":
            pes = elastic_pes.__file__ if model == "elastic" else ipi_driver.pes.__file__
            driver = [find_program("i-pi-py_driver"), "-u", "-a", name, "-m", "custom"]
            driver += ["-P", pes, "-o", model]
        server = subprocess.Popen(
            [find_program("i-pi"), "input.xml"],
            cwd=directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**quiet_environment(), "PYTHONPATH": str(ROOT)},
        )
        while not Path(f"/tmp/ipi_{name}").exists():
            time.sleep(0.05)
        client = subprocess.Popen(
            driver,
            cwd=directory,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**quiet_environment(), "PYTHONPATH": str(ROOT)},
        )
        output, _ = server.communicate(timeout=600)
        # The stock driver spins for ever when the server closes without EXIT.
        try:
            client.wait(5.0)
        except subprocess.TimeoutExpired:
            client.kill()
    # The first line is of step 0, with the model's first calls.
    times = [float(seconds) for step, seconds in TIMING.findall(output) if int(step) > 0]
    return 1e3 * statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--steps", type=int, default=200, help="a multiple of 100")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--beads", type=int, nargs="+", default=[1, 32])
    args = parser.parse_args()
    results: dict[tuple[int, str], list[float]] = {}
    for _ in range(args.repeats):
        for beads in args.beads:
            for variant in VARIANTS:
                results.setdefault((beads, variant), []).append(run(variant, beads, args))
    print(f"{'beads':>5s} " + " ".join(f"{v:>12s}" for v in VARIANTS) + "  (ms a step, median)")
    for beads in args.beads:
        medians = [statistics.median(results[beads, variant]) for variant in VARIANTS]
        ratios = ", ".join(
            f"{variant}/ours {value / medians[0]:.2f}"
            for variant, value in zip(VARIANTS[1:], medians[1:], strict=True)
        )
        print(f"{beads:5d} " + " ".join(f"{m:12.2f}" for m in medians) + f"  {ratios}")


if __name__ == "__main__":
    main()
