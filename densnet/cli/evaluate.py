"""``densnet evaluate``: a bundle against labelled frames it has never seen."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from densnet.cli.output import add_json_option, write_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from densnet.data.store import Frames
    from densnet.evaluation.density_error import DensityErrorSummary
    from densnet.evaluation.frame_errors import FrameErrors, Predictions
    from densnet.evaluation.polarizability_error import PolarizabilityErrors
    from densnet.export.runtime import Model

    Row = tuple[FrameErrors, DensityErrorSummary | None, PolarizabilityErrors | None]

HELP = """\
Compare a model with labelled frames: energy, forces, dipole, the polarizability where the model
offers it and the file holds it, and the density itself, on a DFT grid against the density of the
stored orbitals, beside the fitting floor of the basis and the superposed free atoms. Prints a table
by temperature; --output adds parity pictures.

examples:
  densnet evaluate ethanol ethanol.h5
  densnet evaluate runs/ethanol/bundle ethanol.h5 --density-frames 150 --output report --json e.json

The density is compared on the grid for frames that have orbitals (densnet label keeps them; compact
files hold those of the test frames); for frames without, the other errors are still reported.
"""


# Frames of each temperature whose density is drawn.
PARITY_FRAMES = 10
# Of PySCF's grids.
GRID_LEVELS = range(10)
# What of a level decides energies by more than a model's error.
LEVEL_KEYS = ("xc", "basis")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the verb."""
    parser.add_argument("model", help="name of a shipped model, or a bundle (folder or zip)")
    parser.add_argument("data", type=Path, help="HDF5 file of labelled frames")
    parser.add_argument("--tag", default="test", help="frames to use (default: test)")
    parser.add_argument(
        "--density-frames",
        type=int,
        default=20,
        metavar="N",
        help="frames of each temperature for the density on a grid, about a second each (default "
        "20, 0: none)",
    )
    parser.add_argument("--grid-level", type=int, default=3, help="PySCF's grid (default 3)")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="write parity pictures here")
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """Evaluate, print, draw."""
    from dataclasses import asdict

    from rich.console import Console

    from densnet.cli.progress import frame_progress
    from densnet.data.store import FrameFile
    from densnet.errors import InputError
    from densnet.evaluation.frame_errors import by_temperature, compute_property_errors, predict
    from densnet.evaluation.polarizability_error import compute_polarizability_errors
    from densnet.export.loading import load_model

    if args.density_frames < 0:
        raise InputError(f"--density-frames must not be negative, got {args.density_frames}")
    if args.grid_level not in GRID_LEVELS:
        raise InputError(f"--grid-level must be 0 to 9, as in PySCF; got {args.grid_level}")
    model = load_model(args.model, dtype=args.dtype)
    model.check_electronic()
    frames = FrameFile.read(
        args.data, require=("energy", "forces", "dipole"), select={"tag": args.tag}
    )
    with frame_progress("evaluating") as bar:
        task = bar.add_task("", total=len(frames), note="")
        predictions = predict(
            model, frames, on_progress=lambda done, _: bar.update(task, completed=done)
        )
    console = Console()
    for remark in differences(model, frames):
        console.print(remark, markup=False, highlight=False)
    on_grid = has_orbitals(frames) & (args.density_frames > 0)
    rows: dict[str, Row] = {}
    for label, mask in by_temperature(frames):
        labels, chosen = frames.subset(mask), predictions.subset(mask)
        density = None
        known = on_grid[mask]
        if known.any():
            density = density_summary(
                model, labels.subset(known), chosen.subset(known), label, args
            )
        polarizability = compute_polarizability_errors(labels, chosen)
        rows[label] = (compute_property_errors(labels, chosen), density, polarizability)
    console.print(error_table(f"{model.name} on {len(frames)} frames ({args.tag})", rows))
    if args.density_frames > 0 and not on_grid.all():
        console.print(
            f"{args.data} holds orbitals of {on_grid.sum()} of these {len(frames)} frames; the "
            "density of the others cannot be compared on a grid: densnet label keeps them"
        )
    if args.output is not None:
        picture = draw_parity(model, frames, predictions, on_grid, args.output)
        console.print(f"parity pictures: {picture}")
    write_json(
        args.json,
        {
            "model": model.name,
            "bundle_sha256": model.sha256,
            "data": args.data.name,
            "tag": args.tag,
            "dtype": args.dtype,
            "errors": {
                label: {
                    "properties": asdict(errors),
                    "density_percent": None if density is None else asdict(density),
                    "polarizability": None if alpha is None else asdict(alpha),
                }
                for label, (errors, density, alpha) in rows.items()
            },
        },
    )
    return 0


def differences(model: "Model", frames: "Frames") -> "Iterator[str]":
    """Say what the frames have in common with the model's training set only in part."""
    from ase.formula import Formula
    from ase.symbols import Symbols

    def formula(numbers: "NDArray[np.int64]") -> str:
        return str(Formula(str(Symbols(numbers))).convert("hill"))

    found, trained = formula(frames.numbers), formula(model.template_numbers)
    if found != trained:
        yield f"caution: {frames.path.name} holds {found}, {model.name} was trained on {trained}"
    levels = [frames.attributes.get("level"), model.manifest.get("level")]
    known = [level for level in levels if isinstance(level, dict)]
    if len(known) == 2:
        there, ours = ("/".join(str(level.get(key)) for key in LEVEL_KEYS) for level in known)
        if there.lower() != ours.lower():
            yield (
                f"caution: the labels are of {there}, {model.name} learned {ours}: what the levels "
                "differ by counts as its error"
            )


def has_orbitals(frames: "Frames") -> "NDArray[np.bool_]":
    """Which frames have the orbitals that a density is compared with on a grid."""
    import numpy as np

    from densnet.data.schema import COLUMNS

    if "orbitals" not in frames.columns:
        return np.zeros(len(frames), dtype=bool)
    return ~COLUMNS["orbitals"].absent(frames.columns["orbitals"])


def density_summary(
    model: "Model",
    frames: "Frames",
    predictions: "Predictions",
    label: str,
    args: argparse.Namespace,
) -> "DensityErrorSummary":
    """L1 errors on a grid for frames spread evenly over the set."""
    from densnet.cli.progress import frame_progress
    from densnet.evaluation.density_error import (
        compute_frame_errors,
        spread_over,
        summarize_errors,
    )

    index = spread_over(len(frames), args.density_frames)
    with frame_progress(f"density at {label}") as bar:
        task = bar.add_task("", total=len(index), note="")
        errors = compute_frame_errors(
            model.basis,
            frames.subset(index),
            predictions.coefficients[index],
            grid_level=args.grid_level,
            on_progress=lambda done, _: bar.update(task, completed=done),
        )
    return summarize_errors(errors, args.grid_level)


def error_table(title: str, rows: "dict[str, Row]") -> object:
    """Arrange the errors as a rich table, one column a temperature."""
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    table.add_column("error")
    for label in rows:
        table.add_column(label, justify="right")

    def line(name: str, values: list[str]) -> None:
        table.add_row(name, *values)

    errors = [e for e, _, _ in rows.values()]
    line("frames", [f"{e.n_frames}" for e in errors])
    line("energy MAE, meV", [f"{e.energy_mae_mev:.2f}" for e in errors])
    line("  (predicting the mean, SD)", [f"{e.energy_spread_mev:.0f}" for e in errors])
    line("forces MAE, meV/Å", [f"{e.forces_mae_mev_angstrom:.2f}" for e in errors])
    line("forces RMSE, meV/Å", [f"{e.forces_rmse_mev_angstrom:.2f}" for e in errors])
    line("dipole vector MAE, mD", [f"{e.dipole_vector_mae_millidebye:.2f}" for e in errors])
    line("dipole component MAE, mD", [f"{e.dipole_mae_millidebye:.2f}" for e in errors])
    alphas = [a for _, _, a in rows.values()]
    if any(a is not None for a in alphas):

        def of_alpha(name: str, text: "Callable[[PolarizabilityErrors], str]") -> None:
            line(name, ["–" if a is None else text(a) for a in alphas])

        of_alpha("polarizability MAE, bohr³", lambda a: f"{a.mae_bohr3:.3f}")
        of_alpha("  % of the isotropic mean", lambda a: f"{a.mae_percent:.2f}")
        of_alpha("  isotropic MAE, bohr³", lambda a: f"{a.isotropic_mae_bohr3:.3f}")
        of_alpha("  (predicting its mean, SD)", lambda a: f"{a.isotropic_spread_bohr3:.2f}")
        of_alpha("  frames with a label", lambda a: f"{a.n_frames}")
    densities = [d for _, d, _ in rows.values()]
    if any(d is not None for d in densities):

        def of_density(name: str, text: "Callable[[DensityErrorSummary], str]") -> None:
            line(name, ["–" if d is None else text(d) for d in densities])

        of_density(
            "density L1, % of electrons",
            lambda d: f"{d.predicted:.3f} ± {d.predicted_standard_error:.3f}",
        )
        of_density("  worst frame", lambda d: f"{d.predicted_maximum:.3f}")
        of_density("  % of valence electrons", lambda d: f"{d.predicted_valence:.3f}")
        of_density("  fitting floor of the basis", lambda d: f"{d.floor:.3f}")
        of_density("  superposed atoms", lambda d: f"{d.baseline:.2f}")
        of_density("  frames on the grid", lambda d: f"{d.n_frames}")
    return table


def draw_parity(
    model: "Model",
    frames: "Frames",
    predictions: "Predictions",
    on_grid: "NDArray[np.bool_]",
    folder: Path,
) -> Path:
    """Draw energy, forces, dipole and, where it is known, density, one colour a temperature."""
    import numpy as np

    from densnet.evaluation.density_error import spread_over
    from densnet.evaluation.density_parity import sample_difference_density
    from densnet.evaluation.frame_errors import by_temperature
    from densnet.plots import ParityPanel, parity
    from densnet.units import AU_DEBYE, HARTREE_BOHR_MEV_ANGSTROM, HARTREE_MEV

    masks = list(by_temperature(frames))
    origin = frames.energy.mean()
    force_unit = HARTREE_BOHR_MEV_ANGSTROM / 1e3
    energy_unit = HARTREE_MEV / 1e3

    def panel(
        title: str, unit: str, reference: "NDArray[np.float64]", found: "NDArray[np.float64]"
    ) -> ParityPanel:
        sets = {label: (reference[mask], found[mask]) for label, mask in masks}
        return ParityPanel(title, unit, sets, error_unit="m" + unit, error_factor=1e3)

    density_panels = []
    sampled = {}
    for label, mask in masks:
        known = np.flatnonzero(mask & on_grid)
        if len(known):
            index = known[spread_over(len(known), PARITY_FRAMES)]
            sampled[label] = sample_difference_density(
                model.basis, frames.subset(index), predictions.coefficients[index]
            )
    if sampled:
        density_panels = [
            ParityPanel(
                "Density minus free atoms",
                "e/bohr³",
                sampled,
                error_unit="10⁻³ e/bohr³",
                error_factor=1e3,
            )
        ]
    return parity(
        [
            panel(
                "Energy",
                "eV",
                (frames.energy - origin) * energy_unit,
                (predictions.energy - origin) * energy_unit,
            ),
            panel("Forces", "eV/Å", frames.forces * force_unit, predictions.forces * force_unit),
            panel("Dipole", "D", frames.dipole * AU_DEBYE, predictions.dipole * AU_DEBYE),
            *density_panels,
        ],
        folder / "parity.png",
    )
