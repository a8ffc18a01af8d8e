"""``densnet train``: from labelled frames to a trained model."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from densnet.cli.output import add_json_option, write_json

if TYPE_CHECKING:
    from densnet.data.store import Frames
    from densnet.training.run import Progress, TrainingRun

HELP = """\
Train both networks in three stages: the density map on fitted densities, the energy functional over
the frozen density, then both together. Prints what the data hold before it starts; writes
checkpoint.pt, history.json and learning_curve.png into the output folder while it runs, and
model.ckpt at the end. A killed training goes on, from its last checkpoint and to the same result,
when the same command is started again.

examples:
  densnet train train.yaml
  densnet train train.yaml --device cuda
  torchrun --nproc-per-node 2 -m densnet train train.yaml
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the verb."""
    parser.add_argument("config", type=Path, help="YAML file: data, basis, sizes, stages")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (default 1)")
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """Train, with a progress bar that shows errors in physical units."""
    import torch
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as ProgressBar

    from densnet.configuration import load_yaml
    from densnet.errors import InputError
    from densnet.training import TrainingConfig, TrainingRun

    if args.threads < 1:
        raise InputError(f"--threads must be at least 1, got {args.threads}")
    if args.device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: torch sees no GPU here; use --device cpu")
    torch.set_num_threads(args.threads)
    config = load_yaml(args.config, TrainingConfig)
    console = Console(stderr=True)
    training = TrainingRun(config, device=args.device)
    if training.group.is_first:
        print_data(console, training)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[errors]}"),
    )
    silent = not training.group.is_first
    with ProgressBar(*columns, console=console, speed_estimate_period=600.0, disable=silent) as bar:
        tasks: dict[str, object] = {}

        def report(progress: "Progress") -> None:
            if progress.stage not in tasks:
                tasks[progress.stage] = bar.add_task(
                    progress.stage, total=progress.n_epochs, errors=""
                )
            task = tasks[progress.stage]
            bar.update(task, completed=progress.epoch)  # type: ignore[arg-type]
            if progress.errors is not None:
                bar.update(task, errors=describe(progress))  # type: ignore[arg-type]
                draw_history(training)

        training.report = report
        path = training.run()
    if training.group.is_first:
        console.print(f"trained model: {path}\nnext: densnet export {path} --help")
        write_json(args.json, {"model": path, "history": training.history})
    return 0


def print_data(console: object, training: "TrainingRun") -> None:
    """Print counts, units, minima and maxima of every quantity before the first epoch."""
    from rich.table import Table

    table = Table(title="data", title_justify="left")
    for name in ("file", "frames", "quantity", "unit", "minimum", "maximum"):
        table.add_column(name)
    for what, sets in (("train", training.train_sets), ("validation", training.validation_sets)):
        for frames in sets:
            for row in data_rows(what, frames):
                table.add_row(*row)
    console.print(table)  # type: ignore[attr-defined]


def data_rows(what: str, frames: "Frames") -> list[tuple[str, ...]]:
    """One row a quantity: where, how many, what, unit, minimum, maximum."""
    from densnet.data.schema import COLUMNS
    from densnet.training.run import REQUIRED_COLUMNS

    rows: list[tuple[str, ...]] = []
    for name in ("positions", *REQUIRED_COLUMNS):
        values = frames[name]
        rows.append(
            (
                f"{frames.path.name} ({what})",
                str(len(frames)),
                name,
                COLUMNS[name].unit,
                f"{values.min():.6g}",
                f"{values.max():.6g}",
            )
        )
    return rows


def describe(progress: "Progress") -> str:
    """Validation errors in a few words."""
    errors = progress.errors
    assert errors is not None
    words = f"density {errors.coulomb:.4f}  dipole {errors.dipole_mae_millidebye:.1f} mD"
    if progress.stage != "density":
        words += (
            f"  energy {errors.energy_mae_mev:.1f} meV"
            f"  forces {errors.forces_mae_mev_angstrom:.1f} meV/Å"
        )
    return words


def draw_history(training: "TrainingRun") -> None:
    """Write history.json and the learning curves, replacing the ones before."""
    from densnet.plots import Curve, CurvePanel, learning_curve

    history = training.history
    write_json(training.config.output / "history.json", history)
    epochs, starts, offset, last = [], {}, 0, 0
    for row in history:
        if row["stage"] not in starts:
            offset = last
            starts[row["stage"]] = float(offset)
        last = offset + row["epoch"]
        epochs.append(float(last))

    def panel(title: str, unit: str, key: str) -> CurvePanel:
        return CurvePanel(title, unit, [Curve("validation", epochs, [r[key] for r in history])])

    panels = [
        panel("Density error", "√(ΔcᵀMΔc)", "coulomb"),
        panel("Dipole MAE", "mD", "dipole_mae_millidebye"),
    ]
    if len(starts) > 1:
        panels += [
            panel("Energy MAE", "meV", "energy_mae_mev"),
            panel("Forces MAE", "meV/Å", "forces_mae_mev_angstrom"),
        ]
    learning_curve(
        panels, training.config.output / "learning_curve.png", x_label="epoch", stages=starts
    )
