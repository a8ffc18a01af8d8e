"""i-PI's own time a step: our inputs against i-PI's defaults, with forces that cost little.

    python tests/benchmarks/ipi_overhead.py --steps 1000 --repeats 3

Paired and interleaved: every repeat runs all variants after one another; medians are printed. The
simulation, its outputs and the driver are the same; the forces are those of the elastic molecule of
tests/ipi_driver, all beads at once: some 0.2 ms of every step.

- ours: the input of `densnet md` (batch_size, safe_stride, flush, no threads, 17 digits);
- defaults: i-PI's default for each of them;
- defaults, batched: the same with batch_size.
"""

import argparse
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from densnet.cli.output import add_json_option, write_json
from tests.benchmarks.ipi_runs import (
    address_of,
    find_molecule,
    one_by_one,
    our_driver,
    our_input,
    time_run,
    with_defaults,
)

MODEL = "elastic-together"


def step_ms(variant: str, beads: int, steps: int) -> float:
    """Milliseconds a step."""
    address = address_of(variant, beads)
    xml = our_input(beads, steps, address)
    if variant.startswith("defaults"):
        xml = with_defaults(xml)
    if variant == "defaults":
        xml = one_by_one(xml)
    return time_run(xml, find_molecule(MODEL), our_driver(MODEL, address), address)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=1000, help="a multiple of 100")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--beads", type=int, nargs="+", default=[1, 32])
    add_json_option(parser)
    args = parser.parse_args()
    times: dict[tuple[int, str], list[float]] = {}
    for _ in range(args.repeats):
        for beads in args.beads:
            for variant in variants(beads):
                milliseconds = step_ms(variant, beads, args.steps)
                times.setdefault((beads, variant), []).append(milliseconds)
    report = {}
    for beads in args.beads:
        medians = {v: statistics.median(times[beads, v]) for v in variants(beads)}
        line = ", ".join(f"{variant} {value:.2f} ms" for variant, value in medians.items())
        ratio = medians["ours"] / medians["defaults"]
        print(f"{beads} beads: {line}; ours / defaults = {ratio:.2f}")
        report[f"{beads} beads"] = {**medians, "ours / defaults": ratio}
    write_json(args.json, report)


def variants(beads: int) -> list[str]:
    """Batches are for several beads."""
    return ["ours", "defaults"] + (["defaults, batched"] if beads > 1 else [])


if __name__ == "__main__":
    main()
