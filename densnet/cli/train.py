"""``densnet train``: from labelled frames to a trained model."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from densnet.cli.output import add_json_option, write_json

if TYPE_CHECKING:
    from rich.console import Console

    from densnet.data.store import Frames
    from densnet.training.centroid_run import CentroidRun
    from densnet.training.progress import Progress
    from densnet.training.response_run import ResponseRun
    from densnet.training.run import TrainingRun

    AnyRun = TrainingRun | ResponseRun | CentroidRun

HELP = """\
Train both networks in three stages: the density map on fitted densities, the energy functional over
the frozen density, then both together. Prints what the data hold before it starts; writes
checkpoint.pt, history.json and learning_curve.png into the output folder while it runs, and
model.ckpt at the end. A killed training goes on, from its last checkpoint and to the same result,
when the same command is started again. A folder in which a training is alive refuses a second one.

With `initial_model` (a model.ckpt, a bundle, or the name of a shipped model) the training goes on
from its networks: all of them, or those named in `initial_networks`. Weights keep the units they
were learned in (whitening, reference energies); elements and the shells of the density basis must
be the same, and so must sizes of the networks that the file gives. Stages of no epochs are left
out, so that e.g. only the joint one runs, on more frames. For frames
of another level of theory `initial_energies: data` shifts the zero of energy to theirs, and the
density basis may have the free atoms of that level.

A section `response` adds a fourth stage: a response map, for polarizabilities, on top of the frozen
networks. A file with `initial_model`, `output` and `response` alone trains only that, from scratch,
on top of a model.ckpt or a bundle.

A file with `initial_model`, `output` and `centroid` trains the functional of that model to be the
potential of the centroids of its ring polymers (Te PIGS): the mean force that path integrals at an
elevated temperature (`densnet md --ensemble pimd --temperature 500 --centroid-stride 10`) had on
them. Classical dynamics in that potential has quantum nuclei, at the price of classical ones.

examples:
  densnet train train.yaml
  densnet train response.yaml
  densnet train centroid.yaml
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

    from densnet.errors import InputError
    from densnet.training.run_lock import locked_folder

    if args.threads < 1:
        raise InputError(f"--threads must be at least 1, got {args.threads}")
    if args.device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: torch sees no GPU here; use --device cpu")
    torch.set_num_threads(args.threads)
    console = Console(stderr=True)
    training = make_training(args.config, args.device)
    if not training.group.is_first:
        training.run()
        return 0
    with locked_folder(training.config.output):
        print_data(console, training)
        path = train_with_progress(training, console)
    console.print(f"trained model: {path}\nnext: densnet export {path} --help")
    write_json(args.json, {"model": path, "history": training.history})
    return 0


def train_with_progress(training: "AnyRun", console: "Console") -> Path:
    """Train, and follow it on the console; return where the model is."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as ProgressBar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[errors]}"),
    )
    with ProgressBar(*columns, console=console, speed_estimate_period=600.0) as bar:
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
        return training.run()


def make_training(path: Path, device: str) -> "AnyRun":
    """Read a training file and its data: of all networks, or of the response map alone."""
    from densnet.cli.networks import bundle_sha256, load_networks
    from densnet.configuration import load_yaml
    from densnet.training.centroid_run import CentroidRun
    from densnet.training.config import (
        CentroidTrainingConfig,
        ResponseTrainingConfig,
        TrainingConfig,
    )
    from densnet.training.initial import InitialModel
    from densnet.training.response_run import ResponseRun
    from densnet.training.run import TrainingRun

    if has_section_alone(path, "centroid"):
        centroid = load_yaml(path, CentroidTrainingConfig)
        place = shipped_or_beside(path, centroid.initial_model)
        model, basis = load_networks(place)
        return CentroidRun(centroid, model, basis, sha256=bundle_sha256(place), device=device)
    if has_section_alone(path, "response"):
        alone = load_yaml(path, ResponseTrainingConfig)
        model, basis = load_networks(shipped_or_beside(path, alone.initial_model))
        return ResponseRun(alone, model, basis, device=device)
    config = load_yaml(path, TrainingConfig)
    initial = None
    if config.initial_model is not None:
        place = shipped_or_beside(path, config.initial_model)
        initial = InitialModel(str(config.initial_model), *load_networks(place))
    return TrainingRun(config, initial, device=device)


def has_section_alone(path: Path, section: str) -> bool:
    """Whether a training file has a section of that name and none of the stages of a training."""
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        # The strict reader says what is wrong, and in which line.
        return False
    stages = {"density", "energy", "joint"}
    return isinstance(content, dict) and section in content and not stages & set(content)


def shipped_or_beside(training_file: Path, model: Path) -> Path:
    """Return the shipped bundle that a bare name means; a file or folder beside comes first."""
    from densnet.export.contents import find_bundle, shipped_bundles

    bare = model.parent == training_file.parent and model.name in shipped_bundles()
    return find_bundle(model.name) if bare and not model.exists() else model


def print_data(console: object, training: "AnyRun") -> None:
    """Print counts, units, minima and maxima of every quantity before the first epoch."""
    from rich.table import Table

    table = Table(title="data", title_justify="left")
    for name in ("file", "frames", "quantity", "unit", "minimum", "maximum"):
        table.add_column(name)
    for use, frames, columns in training.data_sets:
        for row in data_rows(use, frames, columns):
            table.add_row(*row)
    console.print(table)  # type: ignore[attr-defined]


def data_rows(use: str, frames: "Frames", columns: tuple[str, ...]) -> list[tuple[str, ...]]:
    """One row a quantity: where, how many, what, unit, minimum, maximum."""
    from densnet.data.schema import COLUMNS

    rows: list[tuple[str, ...]] = []
    for name in ("positions", *columns):
        values = frames[name]
        rows.append(
            (
                f"{frames.path.name} ({use})",
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
    from densnet.training.centroid_frames import CentroidErrors
    from densnet.training.response_frames import ResponseErrors

    errors = progress.errors
    assert errors is not None
    if isinstance(errors, CentroidErrors):
        return f"forces on centroids, RMSE {errors.forces_rmse_mev_angstrom:.1f} meV/Å"
    if isinstance(errors, ResponseErrors):
        return (
            f"response {errors.response_coulomb:.4f}"
            f"  α {errors.polarizability_mae_bohr3:.3f} bohr³"
            f" ({errors.polarizability_mae_percent:.2f} %)"
        )
    words = f"density {errors.coulomb:.5f}  dipole {errors.dipole_mae_millidebye:.2f} mD"
    if progress.stage != "density":
        words += (
            f"  energy {errors.energy_mae_mev:.2f} meV"
            f"  forces {errors.forces_mae_mev_angstrom:.2f} meV/Å"
        )
    return words


def draw_history(training: "AnyRun") -> None:
    """Write history.json and the learning curves, replacing the ones before."""
    from densnet.plots import Curve, CurvePanel, learning_curve

    history = training.history
    write_json(training.config.output / "history.json", history)
    epochs: list[float] = []
    starts: dict[str, float] = {}
    offset, last = 0, 0
    for row in history:
        if row["stage"] not in starts:
            offset = last
            starts[row["stage"]] = float(offset)
        last = offset + row["epoch"]
        epochs.append(float(last))

    def panel(title: str, unit: str, key: str) -> CurvePanel:
        rows = [(x, r[key]) for x, r in zip(epochs, history, strict=True) if key in r]
        curve = Curve("validation", [x for x, _ in rows], [value for _, value in rows])
        return CurvePanel(title, unit, [curve])

    panels = []
    if set(starts) - {"response", "centroid"}:
        panels += [
            panel("Density error", "√(ΔcᵀMΔc)", "coulomb"),
            panel("Dipole MAE", "mD", "dipole_mae_millidebye"),
        ]
    if set(starts) & {"energy", "joint"}:
        panels += [
            panel("Energy MAE", "meV", "energy_mae_mev"),
            panel("Forces MAE", "meV/Å", "forces_mae_mev_angstrom"),
        ]
    if "response" in starts:
        panels += [
            panel("Response error", "√(ΔcᵀMΔc)", "response_coulomb"),
            panel("Polarizability MAE", "bohr³", "polarizability_mae_bohr3"),
        ]
    if "centroid" in starts:
        panels.append(panel("Forces on centroids, RMSE", "meV/Å", "forces_rmse_mev_angstrom"))
    learning_curve(
        panels, training.config.output / "learning_curve.png", x_label="epoch", stages=starts
    )
