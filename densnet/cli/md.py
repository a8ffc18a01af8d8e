"""``densnet md``: molecular dynamics with i-PI, from one command, resumable."""

import argparse
import math
import shlex
import signal
import sys
from dataclasses import replace
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from densnet.cli.output import add_json_option, write_json
from densnet.errors import InputError
from densnet.export.contents import name_from_anywhere
from densnet.simulate import run as simulate
from densnet.simulate.bundle import load_molecule
from densnet.simulate.ensembles import ENSEMBLES, find_ensemble
from densnet.simulate.plan import Settings
from densnet.simulate.starts import read_starts
from densnet.simulate.summary import summarize_run

HELP = """Molecular dynamics: writes an i-PI input, starts i-PI and the driver, shows progress.

The run directory holds everything and can be run again by hand (run.sh in each stage). Ctrl-C
leaves a run that --resume continues.

examples:
  densnet md ethanol --ensemble nve --steps 20000 --replicas 8 --output run
  densnet md ethanol --ensemble nvt-svr --temperature 300 --steps 20000 --output svr
  densnet md ethanol --ensemble trpmd --beads 32 --steps 10000 --output trpmd
  densnet md ethanol --replicas 8 --start trans.xyz gauche.xyz --output conformers
  densnet md ethanol --velocity-stride 4 --output run && densnet spectrum run --ir --vdos
  densnet md ethanol --ensemble pimd --beads 20 --temperature 500 --replicas 24 --steps 4000 \\
      --dipole-stride 0 --centroid-stride 10 --output centroids
  densnet md --resume run

The last but one writes what `densnet train` makes a potential of centroids from (see its help): a
model whose classical dynamics, in any ensemble without beads, is that of quantum nuclei.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("model", nargs="?", help="name of a shipped model, or path of a bundle")
    parser.add_argument("--resume", type=Path, metavar="RUN", help="continue this run directory")
    parser.add_argument("--output", type=Path, help="run directory; default MODEL-ENSEMBLE")
    what = parser.add_argument_group("dynamics")
    what.add_argument("--ensemble", choices=sorted(ENSEMBLES), default="nve")
    what.add_argument("--steps", type=int, default=20_000, help="production steps of a replica")
    what.add_argument("--timestep-fs", type=float, help="default 0.5 (0.05 for pa-cmd)")
    what.add_argument("--temperature", type=float, default=300.0, help="kelvin; default 300")
    what.add_argument("--seed", type=int, default=1)
    what.add_argument(
        "--replicas", type=int, default=1, help="independent copies, evaluated together"
    )
    what.add_argument(
        "--start",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="structures (xyz, or what else ASE reads) that the replicas start from, in turn; "
        "default the model's minimum",
    )
    what.add_argument("--beads", type=int, help="path-integral beads; default by ensemble")
    what.add_argument(
        "--tau-fs", type=float, help="thermostat's time constant; default by ensemble"
    )
    what.add_argument(
        "--thermalise-steps", type=int, default=2_000, help="Langevin steps before production"
    )
    what.add_argument(
        "--committee",
        nargs="+",
        default=[],
        metavar="BUNDLE",
        help="more models of the molecule: the mean of all moves it, their disagreement is logged",
    )
    files = parser.add_argument_group("output")
    files.add_argument("--dipole-stride", type=int, default=4, help="steps between dipoles")
    files.add_argument(
        "--position-stride", type=int, default=0, help="steps between positions; 0: none"
    )
    files.add_argument(
        "--velocity-stride",
        type=int,
        default=0,
        help="steps between velocities, for `densnet spectrum --vdos`; 0: none",
    )
    files.add_argument(
        "--centroid-stride",
        type=int,
        default=0,
        help="steps between positions of and forces on the centroids of path integrals, which "
        "`densnet train` makes a potential of; 0: none",
    )
    files.add_argument(
        "--polarizability-stride",
        type=int,
        default=0,
        help="steps between polarizabilities, for `densnet spectrum --raman`, of a model that has "
        "them; 0: none",
    )
    machine = parser.add_argument_group("machine")
    machine.add_argument(
        "--processes", type=int, default=1, help="i-PI and driver pairs that share the replicas"
    )
    machine.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    machine.add_argument("--threads", type=int, default=1, help="threads of each model")
    machine.add_argument("--quiet", action="store_true", help="no progress bar")
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """Start or continue a run; return the exit status."""
    if args.resume is not None:
        refuse_settings(args)
        directory = args.resume
        settings = Settings.load(directory)
        molecule = load_molecule(settings.model, settings.committee)
    else:
        settings = settings_from(args)
        molecule = load_molecule(settings.model, settings.committee)
        starts = read_starts(args.start, molecule)
        settings = replace(settings, n_starts=len(starts))
        name = Path(settings.model).stem
        directory = args.output or Path(f"{name}-{settings.ensemble}")
        command = ("densnet", "md", *sys.argv[2:])
        simulate.start_run(settings, molecule, directory, command, starts)
    console = Console(stderr=True)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        with ProgressBar(console, quiet=args.quiet) as bar:
            manifest = simulate.continue_run(settings, molecule, directory, on_progress=bar.update)
    except KeyboardInterrupt:
        console.print(
            f"interrupted; continue with: densnet md --resume {shlex.quote(str(directory))}"
        )
        return 130
    summary = summarize_run(manifest, directory)
    console.print(summary.text())
    write_json(args.json, {"run": str(directory), **summary.as_dict()})
    print(directory)
    return 0


def refuse_settings(args: argparse.Namespace) -> None:
    """Refuse whatever a run that goes on has settings of its own for."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    defaults = vars(parser.parse_args([]))
    given = [
        "MODEL" if name == "model" else "--" + name.replace("_", "-")
        for name, value in vars(args).items()
        if name not in ("resume", "quiet", "json") and value != defaults[name]
    ]
    if given:
        raise InputError(
            f"--resume goes on with the settings of the run; leave out {', '.join(given)}, or "
            "start another run"
        )


def settings_from(args: argparse.Namespace) -> Settings:
    """The settings of the command line, defaults of the ensemble filled in."""
    if args.model is None:
        raise InputError("which model? give its name (ethanol) or the path of a bundle")
    ensemble = find_ensemble(args.ensemble)
    if args.tau_fs is not None and ensemble.thermostat is None:
        raise InputError(f"--tau-fs: {args.ensemble} has no thermostat; leave it out")
    model, *committee = map(name_from_anywhere, (args.model, *args.committee))
    return Settings(
        model=model,
        committee=tuple(committee),
        ensemble=args.ensemble,
        steps=args.steps,
        temperature_kelvin=args.temperature,
        timestep_fs=ensemble.timestep_fs if args.timestep_fs is None else args.timestep_fs,
        seed=args.seed,
        replicas=args.replicas,
        beads=ensemble.beads if args.beads is None else args.beads,
        thermalise_steps=args.thermalise_steps,
        dipole_stride=args.dipole_stride,
        position_stride=args.position_stride,
        velocity_stride=args.velocity_stride,
        centroid_stride=args.centroid_stride,
        polarizability_stride=args.polarizability_stride,
        tau_fs=args.tau_fs,
        processes=args.processes,
        dtype=args.dtype,
        threads=args.threads,
    )


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Stop once; a second Ctrl-C must not disturb the orderly end of i-PI."""
    for again in (signal.SIGINT, signal.SIGTERM):
        signal.signal(again, signal.SIG_IGN)
    raise KeyboardInterrupt


class ProgressBar:
    """Shows steps, rate, time left, temperature and drift of a run."""

    def __init__(self, console: Console, *, quiet: bool) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[state]}"),
            console=console,
            disable=quiet,
            speed_estimate_period=30.0,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> "ProgressBar":
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def update(self, progress: simulate.Progress) -> None:
        """Show a new state."""
        state = ""
        if not math.isnan(progress.temperature_kelvin):
            state = (
                f"{progress.temperature_kelvin:.0f} K, conserved "
                f"±{progress.conserved_change_mev:.3f} meV/atom"
            )
        if self._task is None:
            self._task = self._progress.add_task(
                progress.stage,
                total=progress.total_steps,
                completed=progress.steps,
                rate="",
                state=state,
            )
        speed = self._progress.tasks[0].speed
        self._progress.update(
            self._task,
            description=progress.stage,
            completed=progress.steps,
            rate=f"{speed:.0f} steps/s" if speed else "",
            state=state,
        )
