"""Which density functional vibrates as the molecules do: harmonic modes beside measured bands.

    python tests/benchmarks/functional_choice.py methanol ethanethiol thiophene \\
        --functionals b3lyp b3pw91 --output functionals

Relaxes each molecule and differentiates its forces with PySCF at the level of the shipped models,
once per functional, and sets the wavenumbers, times one factor per region for what anharmonicity
does, beside the measured fundamentals (or centres of bands, where no fundamentals are tabulated).
The molecule for which a functional is wanted should not be among those it is chosen on. The work
is kept in the folder: a run that is killed goes on.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import molecule as known_molecule
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from densnet.calculators.kohn_sham import KohnShamCalculator
from densnet.cli.harmonic import DFT_STEP_BOHR, analyse, masses_of, modes_of
from densnet.errors import DensnetError
from densnet.export.loading import load_model
from densnet.reference.level import Level
from densnet.spectra.bands import BandTable, load_bands
from densnet.spectra.harmonic import HarmonicModes
from densnet.spectra.mode_matching import compare_modes
from densnet.units import BOHR_ANGSTROM

Array = NDArray[np.float64]

GEOMETRIES = {"methanol": "CH3OH", "thiophene": "C4H4S"}
# Measured positions less certain than this choose nothing: Shimanouchi's grade E is 15 to 30 cm⁻¹.
LARGEST_UNCERTAINTY_CM1 = 16.0
# From, to (harmonic, cm⁻¹) and the wavenumber of the fundamental over the harmonic one, in ethanol:
# spectrum of `ethanol-b3lyp-centroids` at 300 K over the harmonic modes of `ethanol-b3lyp`. No
# factor for S–H, which ethanol has not, and none for torsions.
ANHARMONIC = ((400, 1200, 0.990), (1200, 1600, 0.983), (2750, 3300, 0.967), (3300, 4100, 0.9535))


@dataclass(frozen=True, eq=False)
class Minimum:
    """Modes of one molecule with one functional, and where it was."""

    atoms: Atoms
    modes: HarmonicModes


def main() -> None:
    """Compute, pair, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("molecules", nargs="+", help="names of shipped tables of measured bands")
    parser.add_argument("--functionals", nargs="+", default=["b3lyp", "b3pw91"])
    parser.add_argument("--basis", default="aug-cc-pvdz")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    args = parser.parse_args()
    report = {}
    tables = {name: load_bands(name) for name in args.molecules}
    for name in args.molecules:
        minima = {
            xc: minimum(name, Level(xc=xc, basis=args.basis), args.output / f"{name}-{xc}")
            for xc in args.functionals
        }
        report[name] = compare(tables[name], minima)
        print_table(name, report[name])
    overall = {
        xc: float(np.mean([report[name]["mean_absolute_error_cm1"][xc] for name in report]))
        for xc in args.functionals
    }
    print("mean over the molecules:", ", ".join(f"{xc} {x:.1f}" for xc, x in overall.items()))
    text = json.dumps({"molecules": report, "mean_absolute_error_cm1": overall}, indent=1)
    (args.output / "functionals.json").write_text(text + "\n")


def start(name: str) -> Atoms:
    """Geometry to relax from: ASE's, or the template of the shipped model of that name."""
    if name in GEOMETRIES:
        return known_molecule(GEOMETRIES[name])
    model = load_model(name)
    return Atoms(model.template_numbers, model.template_positions * BOHR_ANGSTROM)


def minimum(name: str, level: Level, folder: Path) -> Minimum:
    """Relax and differentiate, or read what the folder has."""
    atoms = start(name)
    atoms.calc = KohnShamCalculator(level)
    atoms, derivatives = analyse(atoms, folder.name, folder, DFT_STEP_BOHR, polarizability=False)
    return Minimum(atoms, modes_of(atoms, derivatives))


def measured(table: BandTable) -> list[tuple[float, str]]:
    """Tabulated fundamentals, or else the centres of bands."""
    rows = [
        (row.wavenumber_cm1, row.assignment)
        for row in table.rows
        if row.kind == "fundamental" and row.uncertainty_cm1 < LARGEST_UNCERTAINTY_CM1
    ]
    return rows or [(group.centre_cm1, group.name) for group in table.groups()]


def compare(table: BandTable, minima: dict[str, Minimum]) -> dict[str, Any]:
    """Pair modes among the functionals by their motion, with measured bands by their position.

    The pairing with the bands minimises the distance of the mean over the functionals, so that it
    favours none of them.
    """
    first = next(iter(minima.values()))
    harmonic = {}
    for xc, found in minima.items():
        pairs = compare_modes(
            found.modes,
            found.atoms.positions / BOHR_ANGSTROM,
            first.modes,
            first.atoms.positions / BOHR_ANGSTROM,
            masses_of(first.atoms),
        )
        harmonic[xc] = found.modes.wavenumber_cm1[pairs.order]
    factor = np.array([anharmonic(nu) for nu in first.modes.wavenumber_cm1])
    usable = np.flatnonzero(np.isfinite(factor))
    mean = factor[usable] * np.mean([nu[usable] for nu in harmonic.values()], axis=0)
    bands = measured(table)
    bands = [band for band in bands if np.isfinite(anharmonic(band[0]))]
    at = np.array([nu for nu, _ in bands])
    row, column = linear_sum_assignment(np.abs(at[:, None] - mean[None, :]))
    rows = []
    for i, j in zip(row, usable[column], strict=True):
        predicted = {xc: float(factor[j] * nu[j]) for xc, nu in harmonic.items()}
        rows.append({"measured_cm1": at[i], "assignment": bands[i][1], "predicted_cm1": predicted})
    errors = {xc: [r["predicted_cm1"][xc] - r["measured_cm1"] for r in rows] for xc in minima}
    return {
        "modes": rows,
        "mean_absolute_error_cm1": {xc: float(np.abs(e).mean()) for xc, e in errors.items()},
        "mean_error_cm1": {xc: float(np.mean(e)) for xc, e in errors.items()},
    }


def anharmonic(wavenumber_cm1: float) -> float:
    """Factor of the region, NaN outside of all."""
    for low, high, factor in ANHARMONIC:
        if low < wavenumber_cm1 < high:
            return factor
    return float("nan")


def print_table(name: str, report: dict[str, Any]) -> None:
    """Differences to the measured positions."""
    names = list(report["mean_absolute_error_cm1"])
    print(f"{name:34s} measured" + "".join(f"{xc:>9s}" for xc in names))
    for row in report["modes"]:
        differences = [row["predicted_cm1"][xc] - row["measured_cm1"] for xc in names]
        print(
            f"{row['assignment'][:34]:34s} {row['measured_cm1']:8.0f}"
            + "".join(f"{x:+9.0f}" for x in differences)
        )
    for key, title in (("mean_absolute_error_cm1", "mean |Δ|"), ("mean_error_cm1", "mean Δ")):
        print(f"{title:43s}" + "".join(f"{report[key][xc]:9.1f}" for xc in names))


if __name__ == "__main__":
    try:
        main()
    except DensnetError as error:
        sys.exit(f"functional_choice.py: {error}")
