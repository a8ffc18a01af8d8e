"""``densnet harmonic``: normal modes, infrared and Raman, DFT's beside the model's."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from densnet.cli.output import add_json_option, write_json
from densnet.units import BOHR_ANGSTROM

if TYPE_CHECKING:
    import numpy as np
    from ase import Atoms
    from numpy.typing import NDArray
    from rich.table import Table

    from densnet.calculators.derivatives import Derivatives
    from densnet.calculators.kohn_sham import KohnShamCalculator
    from densnet.export.runtime import Model
    from densnet.spectra.bands import BandTable
    from densnet.spectra.harmonic import HarmonicModes
    from densnet.spectra.mode_matching import ModeComparison

HELP = """\
Relax a molecule with a model, differentiate its forces and dipoles (and the polarizability of a
model that offers it, unless --no-raman), and report the harmonic frequencies, infrared intensities
and Raman activities. --dft does the same with PySCF at the level of the model's labels (functional,
basis, grid), from the model's minimum on, and pairs the modes: what the model adds to the error of
its reference.

examples:
  densnet harmonic ethanol
  densnet harmonic ethanol gauche.xyz --dft --bands ethanol --output gauche
  densnet harmonic ethanol --dft --no-raman
  densnet harmonic runs/thiol/bundle --json modes.json

The reference costs 6 N single points and some more for its minimum (three minutes for ethanol on
one core, five with polarizabilities); --output keeps them, so that a run that is killed goes on
where it was, and a model that was trained further is set beside the same reference at once.
"""

LINE_WIDTH_CM1 = 10.0
# Modes nearer than this mix freely: it is what a model's frequencies may be off.
DEGENERATE_CM1 = 5.0
# Steps of the central differences, bohr: the model is smooth and in double precision; a DFT grid
# has noise that a longer step outweighs.
MODEL_STEP_BOHR = 0.005
DFT_STEP_BOHR = 0.02


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the verb."""
    parser.add_argument("model", help="name of a shipped model, or a bundle (folder or zip)")
    parser.add_argument(
        "geometry",
        nargs="?",
        type=Path,
        help="starting structure, any format ASE reads, angstrom (default: the model's template)",
    )
    parser.add_argument("--dft", action="store_true", help="PySCF at the model's level beside it")
    parser.add_argument(
        "--no-raman",
        action="store_true",
        help="no polarizabilities, neither of the model nor of --dft, where they cost most",
    )
    parser.add_argument(
        "--bands", metavar="NAME|CSV", help="measured band positions below the picture"
    )
    parser.add_argument(
        "--resolution",
        type=float,
        default=LINE_WIDTH_CM1,
        metavar="CM-1",
        help=f"width of the lines drawn (default {LINE_WIDTH_CM1:g})",
    )
    parser.add_argument("--output", type=Path, metavar="DIR", help="write tables and picture here")
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """Compute, print, write."""
    from ase import Atoms
    from rich.console import Console

    from densnet.calculators.ase import DensNetCalculator
    from densnet.cli.geometry import geometry_of
    from densnet.errors import InputError
    from densnet.export.loading import load_model
    from densnet.spectra.bands import load_bands
    from densnet.spectra.mode_matching import compare_modes

    if args.resolution <= 0.0:
        raise InputError(f"--resolution must be positive, got {args.resolution:g}")
    table_of_bands = load_bands(args.bands) if args.bands else None
    model = load_model(args.model, dtype="float64")
    if args.dft:
        model.check_electronic()
    numbers, positions = geometry_of(model, args.geometry)
    atoms = Atoms(numbers, positions * BOHR_ANGSTROM)
    atoms.calc = DensNetCalculator(model)
    polarizability = model.offers_polarizability and not args.no_raman
    atoms, found = analyse(atoms, "model", None, MODEL_STEP_BOHR, polarizability=polarizability)
    modes = modes_of(atoms, found)
    report: dict[str, Any] = {
        "model": model.name,
        "bundle_sha256": model.sha256,
        "numbers": atoms.numbers,
        "predicted": describe(atoms, found, modes),
    }
    console = Console()
    reference_modes = None
    if args.dft:
        start = atoms.copy()
        start.calc = reference_calculator(model)
        folder = None if args.output is None else args.output / "reference"
        start, reference = analyse(
            start, "reference", folder, DFT_STEP_BOHR, polarizability=polarizability
        )
        reference_modes = modes_of(start, reference)
        comparison = compare_modes(
            modes, found.positions, reference_modes, reference.positions, masses_of(atoms)
        )
        console.print(comparison_table(model.name, modes, reference_modes, comparison))
        report["level"] = model.manifest["level"]
        report["reference"] = describe(start, reference, reference_modes)
        report["errors"] = errors = summary(comparison, modes, reference_modes)
        console.print(
            f"mean |Δν| {errors['mean_absolute_wavenumber_error_cm1']:.2f} cm⁻¹, largest "
            f"{errors['largest_wavenumber_error_cm1']:.2f}; Σ|ΔI|/ΣI "
            f"{100.0 * errors['relative_intensity_error']:.2f} % "
            f"({100.0 * errors['relative_band_intensity_error']:.2f} % with modes closer than "
            f"{DEGENERATE_CM1:g} cm⁻¹ as one band)"
        )
        if "relative_activity_error" in errors:
            console.print(f"Raman: Σ|ΔR|/ΣR {100.0 * errors['relative_activity_error']:.2f} %")
    else:
        console.print(mode_table(model.name, modes))
    if model.centroid_kelvin is not None:
        console.print(
            f"{model.name} is a potential of the centroids of ring polymers at "
            f"{model.centroid_kelvin:g} K: its wavenumbers hold what anharmonicity does to quantum "
            "nuclei, and lie near those of the fundamentals"
        )
    if args.output is not None:
        picture = draw(
            args.output, model.name, modes, reference_modes, table_of_bands, args.resolution
        )
        write_json(args.output / "harmonic.json", report)
        console.print(f"picture: {picture}")
    write_json(args.json, report)
    return 0


def analyse(
    atoms: "Atoms", title: str, folder: Path | None, step: float, *, polarizability: bool
) -> "tuple[Atoms, Derivatives]":
    """Relax and differentiate, with a progress bar; the folder keeps what was done."""
    import ase.io

    from densnet.calculators.derivatives import differentiate, relax
    from densnet.cli.progress import frame_progress

    minimum = None if folder is None else folder / "minimum.xyz"
    start = atoms.copy() if minimum is None else kept_minimum(minimum, atoms)
    start.calc = atoms.calc
    with frame_progress(title) as bar:
        task = bar.add_task("", total=None, note="minimum")
        relaxed = relax(
            start, on_step=lambda force: bar.update(task, note=f"minimum, force {force:.1e}")
        )
        if minimum is not None:
            minimum.parent.mkdir(parents=True, exist_ok=True)
            ase.io.write(minimum, relaxed, format="xyz", fmt="%20.12f")
        derivatives = differentiate(
            relaxed,
            step=step,
            polarizability=polarizability,
            checkpoint=None if folder is None else folder / "displacements.txt",
            on_progress=lambda done, total: bar.update(
                task, completed=done, total=total, note="derivatives"
            ),
        )
    return relaxed, derivatives


def kept_minimum(path: Path, atoms: "Atoms") -> "Atoms":
    """Return what an earlier run relaxed, or a copy of the atoms where there was none."""
    from densnet.errors import InputError
    from densnet.spectra.mode_matching import SAME_MINIMUM_BOHR, superposition
    from densnet.structure import read_geometries

    start = atoms.copy()
    if not path.is_file():
        return start
    numbers, found = read_geometries(path)[-1]
    same = numbers.tolist() == atoms.numbers.tolist()
    if same:
        ours = atoms.get_positions() / BOHR_ANGSTROM
        same = superposition(ours, found, masses_of(atoms))[1] <= SAME_MINIMUM_BOHR
    if not same:
        raise InputError(
            f"{path} is of another molecule or conformer, its mirror image or another order of "
            f"atoms; delete {path.parent} or name another --output"
        )
    start.set_positions(found * BOHR_ANGSTROM)
    return start


def reference_calculator(model: "Model") -> "KohnShamCalculator":
    """PySCF at the level of the labels that the model was trained on."""
    from densnet.calculators.kohn_sham import KohnShamCalculator
    from densnet.errors import InputError
    from densnet.reference.level import Level

    try:
        level = Level(**model.manifest["level"])
    except (KeyError, TypeError) as error:
        raise InputError(
            f"the bundle {model.name} does not say at which level it was labelled: {error}"
        ) from error
    return KohnShamCalculator(level, charge=int(model.manifest.get("charge", 0)))


def modes_of(atoms: "Atoms", derivatives: "Derivatives") -> "HarmonicModes":
    """Normal modes with intensities."""
    from densnet.spectra.harmonic import harmonic_modes

    hessian = 0.5 * (derivatives.hessian + derivatives.hessian.T)
    return harmonic_modes(
        hessian,
        masses_of(atoms),
        derivatives.positions,
        derivatives.polar_tensors,
        derivatives.polarizability_tensors,
    )


def masses_of(atoms: "Atoms") -> "NDArray[np.float64]":
    """Standard masses in electron masses."""
    from densnet.spectra.masses import standard_masses

    return standard_masses(atoms.get_chemical_symbols())


def summary(
    comparison: "ModeComparison", modes: "HarmonicModes", reference: "HarmonicModes"
) -> dict[str, float]:
    """The numbers by which the model is judged."""
    import numpy as np

    from densnet.spectra.mode_matching import relative_error

    error = np.abs(comparison.wavenumber_error_cm1)
    nu = reference.wavenumber_cm1
    intensity = comparison.intensity_error_km_mol
    assert intensity is not None
    assert reference.intensity_km_mol is not None
    raman = {}
    activity, expected = modes.activity_angstrom4_amu, reference.activity_angstrom4_amu
    if activity is not None and expected is not None:
        difference = activity[comparison.order] - expected
        raman["relative_activity_error"] = relative_error(difference, expected, nu)
    return raman | {
        "mean_absolute_wavenumber_error_cm1": float(error.mean()),
        "largest_wavenumber_error_cm1": float(error.max()),
        "relative_intensity_error": relative_error(intensity, reference.intensity_km_mol, nu),
        "relative_band_intensity_error": relative_error(
            intensity, reference.intensity_km_mol, nu, DEGENERATE_CM1
        ),
        "relative_total_intensity_error": float(intensity.sum() / reference.intensity_km_mol.sum()),
        "smallest_overlap": float(comparison.overlap.min()),
    }


def describe(atoms: "Atoms", derivatives: "Derivatives", modes: "HarmonicModes") -> dict[str, Any]:
    """What the report keeps of one calculation."""
    return {
        "energy_hartree": derivatives.energy,
        "positions_bohr": derivatives.positions,
        "dipole_e_bohr": atoms.get_dipole_moment() / BOHR_ANGSTROM,
        "wavenumber_cm1": modes.wavenumber_cm1,
        "intensity_km_mol": modes.intensity_km_mol,
        "activity_angstrom4_amu": modes.activity_angstrom4_amu,
    }


def mode_table(title: str, modes: "HarmonicModes") -> "Table":
    """Frequencies and intensities of the model alone."""
    from rich.table import Table

    assert modes.intensity_km_mol is not None
    table = Table(title=f"harmonic modes of {title}")
    columns = ["mode", "ν / cm⁻¹", "I / km mol⁻¹"]
    activity = modes.activity_angstrom4_amu
    if activity is not None:
        columns.append("R / Å⁴ amu⁻¹")
    for column in columns:
        table.add_column(column, justify="right")
    for i, (nu, intensity) in enumerate(
        zip(modes.wavenumber_cm1, modes.intensity_km_mol, strict=True), start=1
    ):
        raman = [] if activity is None else [f"{activity[i - 1]:.1f}"]
        table.add_row(str(i), f"{nu:.1f}", f"{intensity:.1f}", *raman)
    return table


def comparison_table(
    title: str, modes: "HarmonicModes", reference: "HarmonicModes", comparison: "ModeComparison"
) -> "Table":
    """Model and reference, mode by mode."""
    from rich.table import Table

    assert modes.intensity_km_mol is not None
    assert reference.intensity_km_mol is not None
    table = Table(title=f"harmonic modes of {title} beside its reference")
    columns = ["mode", "ν DFT / cm⁻¹", "ν model", "Δν", "I DFT / km mol⁻¹", "I model", "overlap"]
    activity, expected = modes.activity_angstrom4_amu, reference.activity_angstrom4_amu
    if activity is not None and expected is not None:
        columns += ["R DFT / Å⁴ amu⁻¹", "R model"]
    for column in columns:
        table.add_column(column, justify="right")
    for i, j in enumerate(comparison.order):
        raman = []
        if activity is not None and expected is not None:
            raman = [f"{expected[i]:.1f}", f"{activity[j]:.1f}"]
        table.add_row(
            str(i + 1),
            f"{reference.wavenumber_cm1[i]:.1f}",
            f"{modes.wavenumber_cm1[j]:.1f}",
            f"{comparison.wavenumber_error_cm1[i]:+.1f}",
            f"{reference.intensity_km_mol[i]:.1f}",
            f"{modes.intensity_km_mol[j]:.1f}",
            f"{comparison.overlap[i]:.3f}",
            *raman,
        )
    return table


def draw(
    folder: Path,
    title: str,
    modes: "HarmonicModes",
    reference: "HarmonicModes | None",
    bands: "BandTable | None",
    width_cm1: float,
) -> Path:
    """Line spectra of both, the reference's downwards, the measured bands below."""
    from densnet.cli.spectrum_pictures import Y_LABELS, measurement_to_draw
    from densnet.plots import Line, plot_spectrum
    from densnet.spectra.harmonic import harmonic_spectrum
    from densnet.spectra.output import save_csv

    folder.mkdir(parents=True, exist_ok=True)
    found = [("model", modes)] + ([] if reference is None else [("DFT", reference)])
    lines = []
    for label, of in found:
        spectrum = harmonic_spectrum(of, width_cm1)
        save_csv(spectrum, folder / f"harmonic-{label.lower()}.csv")
        nu, intensity = spectrum.wavenumber_cm1, spectrum.intensity
        lines.append(Line(f"{label}, harmonic", nu, intensity, mirrored=of is reference))
    return plot_spectrum(
        lines,
        folder / "harmonic.png",
        y_label=Y_LABELS["ir"],
        range_cm1=(100.0, 4000.0),
        measurement=measurement_to_draw(bands, None),
        title=title,
        note=f"lines of {width_cm1:g} cm⁻¹; no factor on the wavenumbers",
    )
