"""How the cost of the fused forms grows with the length of an oligothiophene.

M c, and M c with the gradients of cᵀM c, for overlap and Coulomb metric: processor time of one call
on one thread, medians of turns of all lengths::

    python tests/benchmarks/oligomer_growth.py --rings 12 24 48
"""

import argparse
from collections.abc import Callable
from functools import partial

import numpy as np

from densnet.cli.bench_kernel import BASES, load_basis
from densnet.cli.bench_molecules import oligothiophene
from densnet.cli.bench_timing import interleaved
from densnet.integrals import apply_metric, kernel_info, quadratic_form_with_gradients

METRICS = ("overlap", "coulomb")


def functions_of(basis_name: str, rings: list[int]) -> dict[str, Callable[[], object]]:
    """Return what is timed, by metric, whether with gradients, and number of rings."""
    functions: dict[str, Callable[[], object]] = {}
    for n_rings in rings:
        chain = oligothiophene(n_rings)
        basis = load_basis(basis_name, chain)
        c = np.random.default_rng(1).normal(size=basis.n_functions(chain.numbers))
        for metric in METRICS:
            for gradients in (False, True):
                form = quadratic_form_with_gradients if gradients else apply_metric
                functions[f"{metric} {gradients} {n_rings}"] = partial(
                    form, metric, basis, chain.numbers, chain.positions, c
                )
    return functions


def main() -> None:
    """Print a table for every basis."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bases", nargs="+", default=list(BASES))
    parser.add_argument("--rings", nargs="+", type=int, default=[6, 12, 24, 48, 96])
    parser.add_argument("--seconds", type=float, default=20.0)
    args = parser.parse_args()
    print(f"kernel: {kernel_info().instruction_set}; ms of processor time")
    for basis in args.bases:
        timings = interleaved(functions_of(basis, args.rings), args.seconds)
        print(f"{basis}, rings: {args.rings}")
        for metric in METRICS:
            for gradients in (False, True):
                row = [timings[f"{metric} {gradients} {n}"].cpu_ms for n in args.rings]
                times = "  ".join(f"{time:7.2f}" for time in row)
                factors = "  ".join(f"{b / a:.2f}" for a, b in zip(row, row[1:], strict=False))
                name = f"{metric}{' with gradients' if gradients else ''}"
                print(f"  {name:24} {times}   from one to the next × {factors}")


if __name__ == "__main__":
    main()
