"""i-PI's own time a step: our inputs against i-PI's defaults, with forces that cost little.

    python tests/benchmarks/ipi_overhead.py --steps 1000 --repeats 3

Paired and interleaved: every repeat runs all variants after one another; medians are printed, of
the elapsed time and of the processor time of i-PI and the driver together. The simulation, its
outputs and the driver are the same; the forces are those of the elastic molecule of
tests/ipi_driver, all beads at once: some 0.2 ms of every step.

- ours: the input of `densnet md` (batch_size, safe_stride, flush, no threads, 17 digits);
- defaults: i-PI's default for each of them;
- defaults, batched: the same with batch_size.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from densnet.cli.output import add_json_option, write_json
from tests.benchmarks.ipi_runs import (
    StepTime,
    address_of,
    find_molecule,
    median_times,
    one_by_one,
    our_driver,
    our_input,
    time_run,
    with_defaults,
)

MODEL = "elastic-together"


def time_step(variant: str, beads: int, steps: int) -> StepTime:
    """Run one variant."""
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
    times: dict[tuple[int, str], list[StepTime]] = {}
    for _ in range(args.repeats):
        for beads in args.beads:
            for variant in variants(beads):
                taken = time_step(variant, beads, args.steps)
                times.setdefault((beads, variant), []).append(taken)
    report: dict[str, object] = {}
    for beads in args.beads:
        medians = {v: median_times(times[beads, v]) for v in variants(beads)}
        for kind, values in (
            ("elapsed", {v: t.wall_ms for v, t in medians.items()}),
            ("processor", {v: t.cpu_ms for v, t in medians.items()}),
        ):
            line = ", ".join(f"{variant} {value:.2f}" for variant, value in values.items())
            ratio = values["ours"] / values["defaults"]
            print(f"{beads} beads, ms of {kind} time: {line}; ours / defaults = {ratio:.2f}")
            report[f"{beads} beads, {kind}"] = {**values, "ours / defaults": ratio}
    write_json(args.json, report)


def variants(beads: int) -> list[str]:
    """Batches are for several beads."""
    return ["ours", "defaults"] + (["defaults, batched"] if beads > 1 else [])


if __name__ == "__main__":
    main()
