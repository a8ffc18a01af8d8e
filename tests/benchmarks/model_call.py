"""One model call of ethanol, timed beside MACE-small in the same process, interleaved.

DenSNet returns energy, forces, density coefficients, dipole and charges; MACE energy and forces.
Both through TorchScript, float32, one thread. Prints medians and ratios::

    python tests/benchmarks/model_call.py --write-structures ethanol.npz
    python-with-mace tests/benchmarks/make_mace.py ethanol.npz mace-small
    python tests/benchmarks/model_call.py --mace mace-small --json times.json
"""

import argparse
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from densnet.cli.output import write_json
from densnet.export.runtime import Model, load_model
from densnet.units import BOHR_ANGSTROM

BATCHES = (1, 32)
DISPLACEMENT_BOHR = 0.1


def structures(model: Model) -> np.ndarray:
    """Return (32, n_atoms, 3) bohr: displaced equilibrium geometries."""
    rng = np.random.default_rng(0)
    shape = (max(BATCHES), *model.template_positions.shape)
    return model.template_positions + rng.normal(scale=DISPLACEMENT_BOHR, size=shape)


def interleaved_medians(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median of every call in milliseconds, the calls taking turns."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        for _ in range(5):
            call()
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(1e3 * (time.perf_counter() - start))
    return {name: float(np.median(values)) for name, values in times.items()}


def main() -> None:
    """Time and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="ethanol")
    parser.add_argument("--mace", metavar="PREFIX", help="prefix that make_mace.py was given")
    parser.add_argument("--write-structures", type=Path, metavar="FILE")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    model = load_model(args.model, dtype="float32", threads=1)
    positions = structures(model)
    numbers = model.template_numbers
    if args.write_structures is not None:
        angstrom = positions * BOHR_ANGSTROM
        np.savez(args.write_structures, numbers=numbers, positions=angstrom)
        return
    mace = batches = None
    if args.mace is not None:
        mace = torch.jit.load(f"{args.mace}.pt")
        batches = torch.load(f"{args.mace}-inputs.pt", weights_only=True)
    report = {}
    for n in BATCHES:
        calls: dict[str, Callable[[], object]] = {
            "densnet": lambda n=n: model.evaluate(numbers, positions[:n])
        }
        if mace is not None and batches is not None:
            calls["mace-small"] = lambda n=n: mace(batches[n], compute_force=True)
        medians = interleaved_medians(calls, args.rounds if n == 1 else max(10, args.rounds // 4))
        report[f"batch {n}"] = medians
        line = ", ".join(f"{name} {value:.2f} ms" for name, value in medians.items())
        if "mace-small" in medians:
            line += f"; densnet / mace-small = {medians['densnet'] / medians['mace-small']:.2f}"
        print(f"batch {n}: {line}")
    write_json(args.json, report)


if __name__ == "__main__":
    main()
