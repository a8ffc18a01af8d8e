"""Does the model conserve energy? Drift over long NVE runs, and its fluctuation against the step.

    python tests/soak/nve_conservation.py ethanol --picoseconds 20 --replicas 3

Through i-PI and the driver, as every run. Part one: replicas of `--picoseconds` at `--timestep-fs`
from thermalised starts; no step may be lost, and the drift is stated with its error. Part two: the
same start at 0.5 and 0.25 fs; the fluctuation of velocity Verlet must fall by four if forces are
the gradient of the energy.
"""

import argparse
import tempfile
from dataclasses import asdict
from pathlib import Path

from densnet.cli.output import add_json_option, write_json
from densnet.export.contents import name_from_anywhere
from densnet.simulate.bundle import load_molecule
from densnet.simulate.follow import read_properties
from densnet.simulate.ipi_input import PROPERTY_STRIDE
from densnet.simulate.plan import Molecule, Settings
from densnet.simulate.run import continue_run, start_run
from densnet.simulate.summary import RunSummary, summarize_run

MAX_DRIFT_MEV_ATOM_NS = 1.0
# Four, within the scatter of a few hundred rows and what float32 forces leave.
RATIO_RANGE = (3.0, 5.0)


def simulate(settings: Settings, molecule: Molecule, directory: Path) -> RunSummary:
    """Run, and make sure that every row is there."""
    start_run(settings, molecule, directory, ("nve_conservation",))
    manifest = continue_run(settings, molecule, directory)
    for segment in manifest.segments:
        steps = read_properties(directory / segment.properties_file)["step"]
        if len(steps) != segment.steps // PROPERTY_STRIDE + 1:
            raise SystemExit(f"{segment.name}: {len(steps)} rows of {segment.steps} steps")
    return summarize_run(manifest, directory)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--picoseconds", type=float, default=20.0)
    parser.add_argument("--replicas", type=int, default=3)
    parser.add_argument("--timestep-fs", type=float, default=0.5, help="of the long runs")
    parser.add_argument("--halving-picoseconds", type=float, default=1.0)
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    add_json_option(parser)
    args = parser.parse_args()
    molecule = load_molecule(args.model)
    model = name_from_anywhere(args.model)
    with tempfile.TemporaryDirectory() as scratch:
        long_run = simulate(
            Settings(
                model,
                steps=round(args.picoseconds * 1000 / args.timestep_fs),
                timestep_fs=args.timestep_fs,
                replicas=args.replicas,
                processes=min(args.replicas, 2),
                dipole_stride=0,
                dtype=args.dtype,
            ),
            molecule,
            Path(scratch) / "long",
        )
        # From the minimum with velocities of 600 K: about 300 K after equipartition, the same
        # start for both steps.
        halving = {}
        for timestep_fs in (0.5, 0.25):
            settings = Settings(
                model,
                steps=round(args.halving_picoseconds * 1000 / timestep_fs),
                timestep_fs=timestep_fs,
                temperature_kelvin=600.0,
                thermalise_steps=0,
                dipole_stride=0,
                dtype=args.dtype,
            )
            summary = simulate(settings, molecule, Path(scratch) / f"step-{timestep_fs:g}")
            halving[timestep_fs] = summary.segments[0].fluctuation_mev_atom
    for segment in long_run.segments:
        print(
            f"{segment.name}: {segment.picoseconds:.1f} ps, {segment.temperature_kelvin:.0f} K, "
            f"drift {segment.drift_mev_atom_ns:+.3f} ± {segment.drift_error_mev_atom_ns:.3f} "
            f"meV/atom/ns, fluctuation {segment.fluctuation_mev_atom:.4f} meV/atom"
        )
    print(long_run.text())
    ratio = halving[0.5] / halving[0.25]
    print(
        f"fluctuation {halving[0.5]:.5f} meV/atom at 0.5 fs, {halving[0.25]:.5f} at 0.25 fs: "
        f"ratio {ratio:.2f}"
    )
    means = long_run.means()
    write_json(args.json, {**asdict(long_run), **means, "fluctuation_ratio": ratio})
    significant = abs(means["drift_mev_atom_ns"]) - 2.0 * means["drift_error_mev_atom_ns"]
    if significant > MAX_DRIFT_MEV_ATOM_NS or not RATIO_RANGE[0] < ratio < RATIO_RANGE[1]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
