"""Step rates of i-PI with our driver, with i-PI's own, and with i-PI's driver of MACE-small.

    python tests/benchmarks/driver_rate.py ethanol --steps 200 --repeats 3
    python-with-mace tests/benchmarks/make_mace.py ethanol.npz mace-small
    python tests/benchmarks/driver_rate.py ethanol --mace-python python-with-mace \\
        --mace-model mace-small.model

Paired and interleaved: every repeat runs all variants after one another, so that a busy machine
disturbs them alike; medians are printed, of the elapsed time and of the processor time of i-PI and
the driver together. All use our input (safe_stride, flush, no threads):

- ours: densnet-driver, all beads in one message, one thread;
- ours, N threads (--threads N): the same with the structures of a batch shared among N threads;
- stock: i-pi-py_driver -m custom with the same bundle, one bead at a time, as it does by default;
- stock, batched: the same with batch_size;
- mace: i-pi-py_driver -m mace with MACE-small in single precision, all beads in one message. The
  Python must have mace-torch and ipi; ethanol.npz: densnet bench model --write-structures.
  MACE has no dipole: its runs write none.

Before that, the model alone, in turns: 32 structures in one call and in 32 calls, by the compiled
engine, where there is one, and by TorchScript.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))


import numpy as np

import ipi_driver.pes
from densnet.cli.bench_model import structures
from densnet.cli.bench_timing import interleaved
from densnet.cli.output import add_json_option, write_json
from densnet.export.loading import load_model
from densnet.export.runtime import Model
from densnet.programs import installed_program
from tests.benchmarks.ipi_runs import (
    StepTime,
    absolute,
    address_of,
    find_molecule,
    median_times,
    one_by_one,
    our_driver,
    our_input,
    time_run,
    without_dipoles,
)

BATCH = 32
SECONDS = 6.0


def time_batches(name: str) -> dict[str, float]:
    """Milliseconds of 32 structures in one call and in 32, by the engine and by TorchScript."""
    calls: dict[str, Callable[[], object]] = {}
    for path in ("auto", "torchscript"):
        model = load_model(name, path=path)
        numbers, batch = model.template_numbers, structures(model)[:BATCH]

        def together(m: Model = model, r: np.ndarray = batch, z: np.ndarray = numbers) -> None:
            m.evaluate(z, r)

        def singly(m: Model = model, r: np.ndarray = batch, z: np.ndarray = numbers) -> None:
            for structure in r:
                m.evaluate(z, structure)

        calls |= {f"{model.path}, one call": together, f"{model.path}, {BATCH} calls": singly}
    # Processor time: what other programs do matters little.
    times = {name: timing.cpu_ms for name, timing in interleaved(calls, SECONDS).items()}
    for way, milliseconds in times.items():
        print(f"{BATCH} structures, {way}: {milliseconds:.1f} ms of processor time", flush=True)
    return times


def time_step(variant: str, beads: int, args: argparse.Namespace) -> StepTime:
    """Run one variant."""
    address = address_of(variant, beads)
    xml = our_input(beads, args.steps, address)
    stock = ["-u", "-a", address]
    if variant.startswith("ours"):
        driver = our_driver(args.model, address)
        if variant != "ours":
            driver += ["--threads", str(args.threads)]
    elif variant == "mace":
        program = [args.mace_python, Path(args.mace_python).with_name("i-pi-py_driver")]
        options = f"template.xyz,{absolute(args.mace_model)},cpu"
        xml = without_dipoles(xml)
        driver = [*map(str, program), *stock, "-m", "mace", "-o", options]
    else:
        program = [sys.executable, installed_program("i-pi-py_driver")]
        options = ["-P", ipi_driver.pes.__file__, "-o", absolute(args.model)]
        driver = [*program, *stock, "-m", "custom", *options]
    if variant == "stock":
        xml = one_by_one(xml)
    return time_run(xml, find_molecule(args.model), driver, address)


def variants(beads: int, args: argparse.Namespace) -> list[str]:
    """Batches and threads are for several beads, MACE for those who have it."""
    ours = ["ours", f"ours, {args.threads} threads"] if beads > 1 and args.threads > 1 else ["ours"]
    batched = ["stock, batched"] if beads > 1 else []
    return [*ours, "stock", *batched, *(["mace"] if args.mace_python else [])]


def compare(beads: int, kind: str, medians: dict[str, float]) -> dict[str, float]:
    """Print the medians of all variants and the ratios of ours to the others."""
    ratios = {
        f"{ours} / {other}": medians[ours] / medians[other]
        for ours in medians
        if ours.startswith("ours")
        for other in medians
        if not other.startswith("ours")
    }
    line = ", ".join(f"{variant} {value:.2f}" for variant, value in medians.items())
    said = ", ".join(f"{name} = {ratio:.2f}" for name, ratio in ratios.items())
    print(f"{beads} beads, ms of {kind} time a step: {line}; {said}")
    return {**medians, **ratios}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--steps", type=int, default=200, help="a multiple of 100")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--beads", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--threads", type=int, default=1, help="also with so many threads")
    parser.add_argument("--mace-python", metavar="PYTHON", help="one that has mace-torch and ipi")
    parser.add_argument("--mace-model", metavar="FILE", help="written by make_mace.py")
    add_json_option(parser)
    args = parser.parse_args()
    report: dict[str, object] = {"32 structures": time_batches(args.model)}
    times: dict[tuple[int, str], list[StepTime]] = {}
    for _ in range(args.repeats):
        for beads in args.beads:
            for variant in variants(beads, args):
                taken = time_step(variant, beads, args)
                times.setdefault((beads, variant), []).append(taken)
                print(
                    f"  {beads} beads, {variant}: {taken.wall_ms:.2f} ms a step, "
                    f"{taken.cpu_ms:.2f} ms of processor time",
                    flush=True,
                )
    for beads in args.beads:
        medians = {v: median_times(times[beads, v]) for v in variants(beads, args)}
        report[f"{beads} beads"] = {
            "wall_ms": compare(beads, "elapsed", {v: t.wall_ms for v, t in medians.items()}),
            "cpu_ms": compare(beads, "processor", {v: t.cpu_ms for v, t in medians.items()}),
        }
    write_json(args.json, report)


if __name__ == "__main__":
    main()
