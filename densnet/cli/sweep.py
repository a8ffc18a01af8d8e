"""``densnet sweep``: thermostats, time constants, temperatures and seeds, compared."""

import argparse
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from densnet.cli.output import add_json_option, write_json
from densnet.errors import InputError

if TYPE_CHECKING:
    from densnet.plots.spectrum import Line
    from densnet.simulate.sweep import Point, SweepSettings
    from densnet.simulate.thermostat_report import ThermostatReport

HELP = """Runs thermostats x time constants x temperatures x seeds, several i-PI processes side by
side with one model, and compares them: temperature, distribution of the kinetic energy,
autocorrelation time of the energy, infrared spectrum. Stop it with Ctrl-C; the same command
continues it.

examples:
  densnet sweep ethanol --thermostat svr,langevin,gle --temperature 300,500 --output sweep
  densnet sweep ethanol --thermostat svr --tau-fs 100,1000 --seeds 1,2,3 --steps 40000
  densnet sweep sweep.yaml --output sweep
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("model", help="name or path of a bundle, or a YAML file of settings")
    parser.add_argument("--thermostat", metavar="A,B", help="svr,langevin,gle,ffl,none")
    parser.add_argument("--tau-fs", metavar="A,B", help="time constants; default each one's own")
    parser.add_argument("--temperature", metavar="A,B", help="kelvin; default 300")
    parser.add_argument("--seeds", metavar="A,B", help="default 1")
    parser.add_argument("--steps", type=int, help="of each run; default 20000")
    parser.add_argument("--timestep-fs", type=float, help="default 0.5")
    parser.add_argument("--thermalise-steps", type=int, help="before each run; default 2000")
    parser.add_argument("--side-by-side", type=int, help="i-PI processes at a time; default 4")
    parser.add_argument("--output", type=Path, default=Path("sweep"), help="default sweep/")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """Run or continue the sweep, then compare."""
    from rich.console import Console
    from rich.progress import Progress

    from densnet.simulate.bundle import load_molecule
    from densnet.simulate.sweep import SweepProgress, run_sweep
    from densnet.simulate.thermostat_report import report_run

    sweep = sweep_settings(args)
    molecule = load_molecule(sweep.model)
    console = Console(stderr=True)
    with Progress(console=console, disable=args.quiet) as bar:
        task = bar.add_task("sweep", total=None)

        def show(progress: SweepProgress) -> None:
            bar.update(
                task,
                total=progress.total_steps,
                completed=progress.steps,
                description=f"{progress.finished_runs}/{progress.total_runs} runs",
            )

        try:
            points = run_sweep(sweep, molecule, args.output, on_progress=show)
        except KeyboardInterrupt:
            console.print("interrupted; the same command continues the sweep")
            return 130
    reports = [report_run(args.output / point.name) for point in points]
    print(f"{'run':32s} {'T (K)':>16s} {'p(kinetic)':>10s} {'tau_E (ps)':>10s} {'drift':>18s}")
    for report in reports:
        print(
            f"{report.name:32s} {report.temperature_kelvin:8.1f} ± "
            f"{report.temperature_error_kelvin:5.1f} {report.kinetic_p_value:10.3f} "
            f"{report.energy_time_ps:10.3f} {report.drift_mev_atom_ns:+9.3f} ± "
            f"{report.drift_error_mev_atom_ns:6.3f}"
        )
    print("drift of the conserved quantity in meV/atom/ns; errors are standard errors")
    picture = draw(points, reports, args.output)
    print(picture)
    write_json(args.json, {"runs": [asdict(report) for report in reports], "picture": str(picture)})
    return 0


def sweep_settings(args: argparse.Namespace) -> "SweepSettings":
    """Settings of the YAML file, if one is given, overridden by the command line."""
    from densnet.configuration import load_yaml
    from densnet.export.contents import name_from_anywhere
    from densnet.simulate.sweep import SweepSettings

    if args.model.endswith((".yaml", ".yml")):
        sweep = load_yaml(Path(args.model), SweepSettings)
    else:
        sweep = SweepSettings(model=args.model)
    sweep = replace(sweep, model=name_from_anywhere(sweep.model))
    given = {
        "thermostats": _split(args.thermostat),
        "taus_fs": _numbers(args.tau_fs, "--tau-fs"),
        "temperatures_kelvin": _numbers(args.temperature, "--temperature"),
        "seeds": tuple(int(seed) for seed in _numbers(args.seeds, "--seeds") or ()) or None,
        "steps": args.steps,
        "timestep_fs": args.timestep_fs,
        "thermalise_steps": args.thermalise_steps,
        "side_by_side": args.side_by_side,
    }
    return replace(sweep, **{key: value for key, value in given.items() if value is not None})


def _split(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(word.strip() for word in text.split(",") if word.strip())


def _numbers(text: str | None, option: str) -> tuple[float, ...] | None:
    words = _split(text)
    if words is None:
        return None
    try:
        return tuple(float(word) for word in words)
    except ValueError as error:
        raise InputError(f"{option} {text}: expected numbers with commas between") from error


def draw(points: "list[Point]", reports: "list[ThermostatReport]", directory: Path) -> Path:
    """The picture of a sweep."""
    from densnet.plots.sweep import SweepBar, plot_sweep

    bars = [
        SweepBar(
            report.name,
            point.thermostat,
            report.temperature_kelvin - report.target_kelvin,
            report.temperature_error_kelvin,
            report.energy_time_ps,
        )
        for point, report in zip(points, reports, strict=True)
    ]
    return plot_sweep(bars, spectra_of(points, directory), directory / "sweep.png")


def spectra_of(points: "list[Point]", directory: Path) -> "list[Line]":
    """One infrared spectrum a thermostat and time constant, at the lowest temperature."""
    from densnet.plots.spectrum import Line
    from densnet.spectra.correlation import Resolution
    from densnet.spectra.infrared import infrared
    from densnet.spectra.run_directory import load_run
    from densnet.spectra.signals import load_signals

    lowest = min(point.settings.temperature_kelvin for point in points)
    groups: dict[str, list[Point]] = {}
    for point in points:
        if point.settings.temperature_kelvin == lowest:
            label = (
                point.thermostat
                if point.tau_fs is None
                else f"{point.thermostat} {point.tau_fs:g} fs"
            )
            groups.setdefault(label, []).append(point)
    lines = []
    for label, members in groups.items():
        segments = [s for point in members for s in load_run(directory / point.name)]
        try:
            spectrum = infrared(load_signals(segments, "dipole"), Resolution(20.0))
        except InputError:
            # Runs too short for a spectrum are compared by their temperatures alone.
            continue
        inside = (spectrum.wavenumber_cm1 > 300.0) & (spectrum.wavenumber_cm1 < 4000.0)
        error = None if spectrum.error is None else spectrum.error[inside]
        lines.append(
            Line(label, spectrum.wavenumber_cm1[inside], spectrum.intensity[inside], error)
        )
    return lines
