"""One call of a model: the compiled engine beside TorchScript (MACE, NequIP), turn by turn.

Every call returns energy, forces, virial, dipole, density coefficients and charges; MACE's and
NequIP's energy and forces only. One thread. Three tables: a batch of 1 and of 32 displaced
equilibrium geometries; alkane chains up to 98 atoms, where only the time means anything; and the
engine's stages for one structure, with the floating-point operations that each executes.

MACE comes as the TorchScript that tests/benchmarks/make_mace.py writes from the structures that
--write-structures writes, NequIP as make_nequip.py compiles it ahead of time for these structures
and this machine.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from densnet.cli.bench_molecules import alkane
from densnet.cli.bench_timing import Timing, interleaved
from densnet.errors import InputError
from densnet.export.engine import Engine, StageCost, compiled_engine
from densnet.export.loading import load_model
from densnet.export.runtime import EvaluationPath, Model, Precision
from densnet.units import BOHR_ANGSTROM

SUMMARY = "a model call: engine against TorchScript, sizes, stages of the engine"
BATCHES = (1, 32)
DISPLACEMENT_BOHR = 0.1
CARBONS = (3, 8, 16, 32)
COST_CALLS = 50


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--model", default="ethanol", help="bundle (default: %(default)s)")
    parser.add_argument(
        "--dtypes", nargs="+", choices=("float32", "float64"), default=["float32", "float64"]
    )
    parser.add_argument(
        "--carbons", nargs="*", type=int, default=list(CARBONS), metavar="N", help="alkane chains"
    )
    parser.add_argument("--mace", metavar="PREFIX", help="prefix that make_mace.py was given")
    parser.add_argument("--nequip", metavar="PREFIX", help="prefix that make_nequip.py was given")
    parser.add_argument(
        "--write-structures",
        type=Path,
        metavar="FILE",
        help="write the structures, nothing else",
    )
    parser.add_argument(
        "--seconds", type=float, default=6.0, help="time for one row (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Print the tables and return their numbers."""
    console = Console(soft_wrap=True)
    if args.write_structures is not None:
        model = load_model(args.model, path="torchscript")
        angstrom = structures(model) * BOHR_ANGSTROM
        np.savez(args.write_structures, numbers=model.template_numbers, positions=angstrom)
        return {}
    module, reason = compiled_engine()
    if module is None:
        raise InputError(f"there is no engine to compare: {reason}")
    console.print(f"engine: {module.instruction_set()}; torch {torch.__version__}, one thread")
    models = {
        f"{path} {dtype}": load(args.model, dtype, path)
        for dtype in args.dtypes
        for path in ("engine", "torchscript")
    }
    peers = competitors(args.mace, args.nequip)
    batches = compare_batches(models, peers, args.seconds)
    console.print(time_table("one call", batches))
    chains = compare_chains(models, args.carbons, args.seconds)
    if chains:
        console.print(time_table("alkanes", chains))
    costs = {}
    for dtype in args.dtypes:
        costs[dtype] = stage_costs(models[f"engine {dtype}"])
        console.print(cost_table(dtype, costs[dtype]))
    return {
        "instruction_set": module.instruction_set(),
        "batches": batches,
        "alkanes": chains,
        "stages": costs,
    }


def load(name: str, dtype: Precision, path: EvaluationPath) -> Model:
    """Return a model on one path, one thread."""
    return load_model(name, dtype=dtype, threads=1, path=path)


def structures(model: Model) -> NDArray[np.float64]:
    """Return displaced equilibrium geometries, (32, n_atoms, 3), bohr."""
    rng = np.random.default_rng(0)
    shape = (max(BATCHES), *model.template_positions.shape)
    return model.template_positions + rng.normal(scale=DISPLACEMENT_BOHR, size=shape)


def competitors(mace: str | None, nequip: str | None) -> dict[str, dict[int, Callable[[], object]]]:
    """Return a call of other codes for every size of a batch.

    Raises
    ------
    InputError
        If a file is missing.
    """
    found: dict[str, dict[int, Callable[[], object]]] = {}
    for code, prefix, ends in (
        ("mace", mace, (".pt", "-inputs.pt")),
        ("nequip", nequip, (*(f"-{n}.pt2" for n in BATCHES), "-inputs.pt")),
    ):
        for end in ends:
            if prefix is not None and not Path(prefix + end).is_file():
                raise InputError(
                    f"--{code}: there is no {prefix}{end}; tests/benchmarks/make_{code}.py makes it"
                )
    if mace is not None:
        scripted = torch.jit.load(f"{mace}.pt")
        inputs = torch.load(f"{mace}-inputs.pt", weights_only=True)
        found["MACE-small float32"] = {
            n: lambda n=n: scripted(inputs[n], compute_force=True)  # type: ignore[misc]
            for n in BATCHES
        }
    if nequip is not None:
        taken = torch.load(f"{nequip}-inputs.pt", weights_only=True)
        packages = {n: torch._inductor.aoti_load_package(f"{nequip}-{n}.pt2") for n in BATCHES}
        found["NequIP float32"] = {
            n: lambda n=n: packages[n](*taken[n])  # type: ignore[misc]
            for n in BATCHES
        }
    return found


def compare_batches(
    models: dict[str, Model], peers: dict[str, dict[int, Callable[[], object]]], seconds: float
) -> dict[str, dict[str, Timing]]:
    """Time batches of the model's own molecule."""
    timings = {}
    first = next(iter(models.values()))
    numbers, positions = first.template_numbers, structures(first)
    for n in BATCHES:
        calls: dict[str, Callable[[], object]] = {
            name: lambda model=model, n=n: model.evaluate(numbers, positions[:n])  # type: ignore[misc]
            for name, model in models.items()
        }
        calls |= {name: batches[n] for name, batches in peers.items()}
        timings[f"batch {n}"] = interleaved(calls, seconds)
    return timings


def compare_chains(
    models: dict[str, Model], carbons: list[int], seconds: float
) -> dict[str, dict[str, Timing]]:
    """Time alkanes, C_n H_2n+2, of growing length, if the model knows their elements."""
    first = next(iter(models.values()))
    if not {1, 6} <= set(first.manifest["elements"]):
        return {}
    timings = {}
    for n in carbons:
        chain = alkane(n)
        calls: dict[str, Callable[[], object]] = {
            name: lambda model=model, chain=chain: model.evaluate(chain.numbers, chain.positions)  # type: ignore[misc]
            for name, model in models.items()
        }
        timings[f"{len(chain.numbers)} atoms"] = interleaved(calls, seconds)
    return timings


def stage_costs(model: Model) -> list[StageCost]:
    """Return the median of what each stage of the engine takes, for one structure."""
    engine = model.engine
    assert isinstance(engine, Engine)
    species = np.array([model.manifest["elements"].index(z) for z in model.template_numbers])
    positions = structures(model)[:1]
    runs = [engine.costs(species, positions) for _ in range(COST_CALLS)]
    return [
        StageCost(
            stages[0].name, float(np.median([s.seconds for s in stages])), stages[0].operations
        )
        for stages in zip(*runs, strict=True)
    ]


def time_table(title: str, rows: dict[str, dict[str, Timing]]) -> Table:
    """Return processor times of a call, and how many times that of the first column they are.

    On one thread of an idle machine that is elapsed time; on a busy one it is what can be compared.
    """
    heading = f"{title}, processor time in ms (multiple)"
    table = Table(title=heading, title_justify="left", box=None)
    table.add_column("")
    for name in next(iter(rows.values())):
        table.add_column(name, justify="right")
    for label, timings in rows.items():
        first = next(iter(timings.values())).cpu_ms
        cells = [f"{t.cpu_ms:.3g} ({t.cpu_ms / first:.3g})" for t in timings.values()]
        table.add_row(label, *cells)
    return table


def cost_table(dtype: str, stages: list[StageCost]) -> Table:
    """Return time, operations and rate of every stage."""
    table = Table(title=f"stages, batch 1, {dtype}", title_justify="left", box=None)
    table.add_column("")
    for heading in ("µs", "MFLOP", "GFLOP/s"):
        table.add_column(heading, justify="right")
    total = StageCost("together", sum(s.seconds for s in stages), sum(s.operations for s in stages))
    for stage in [*stages, total]:
        table.add_row(
            stage.name,
            f"{1e6 * stage.seconds:.1f}",
            f"{1e-6 * stage.operations:.2f}",
            f"{1e-9 * stage.operations / max(stage.seconds, 1e-12):.0f}",
        )
    return table
