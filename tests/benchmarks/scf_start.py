"""What a predicted density is worth to an SCF: cycles saved, and the energy of one Fock build.

    python tests/benchmarks/scf_start.py ethanol examples/01_ethanol/ethanol.h5 --frames 20

Every test frame is solved by plain PySCF at the level of its label: from PySCF's default guess,
from the orbitals of the Fock matrix of the predicted density, and likewise of the density that the
label was fitted by, the best a model of this basis could predict. Cycles are counted to the
thresholds of the labels, and on the way there to PySCF's own.
The energies of the single Fock build are held to the label: Harris–Foulkes, and the Kohn–Sham
energy of the orbitals that come out of it.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from densnet.cli.progress import frame_progress
from densnet.data.store import FrameFile
from densnet.errors import ConvergenceError
from densnet.export.loading import load_model
from densnet.reference.density_start import start_from_density
from densnet.reference.level import Level
from densnet.reference.method import build_method, build_molecule
from densnet.structure import Structure
from densnet.units import HARTREE_MEV

# PySCF's defaults: change of the energy, hartree, and norm of the orbital gradient.
PYSCF_ENERGY = 1e-9
PYSCF_GRADIENT = PYSCF_ENERGY**0.5
THRESHOLDS = {"": "of the labels", "_pyscf": "of PySCF"}


def main() -> None:
    """Run over some test frames and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="name of a shipped model, or a bundle")
    parser.add_argument("data", type=Path, help="HDF5 file of labelled frames")
    parser.add_argument("--frames", type=int, default=20, help="of 300 K (default 20)")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    args = parser.parse_args()
    model = load_model(args.model)
    level = Level(**model.manifest["level"])
    frames = FrameFile.read(args.data, require=("energy", "coefficients"), select={"tag": "test"})
    chosen = np.flatnonzero(np.asarray(frames["temperature"]) == 300.0)[: args.frames]
    rows = []
    with frame_progress("frames") as bar:
        task = bar.add_task("", total=len(chosen), note="")
        for i in chosen:
            structure = Structure(frames.numbers, frames.positions[i])
            predicted = model.evaluate(structure.numbers, structure.positions)
            fitted, energy = frames.coefficients[i], float(frames.energy[i])
            rows.append(compare(structure, level, model, predicted, fitted, energy))
            bar.advance(task)
    report = {name: [row[name] for row in rows] for name in rows[0]}
    table = Table(title=f"{model.name}: {len(rows)} frames at 300 K, {level.xc}/{level.basis}")
    table.add_column("")
    table.add_column("median", justify="right")
    table.add_column("largest", justify="right")
    for name, values in report.items():
        size = np.abs(values)
        table.add_row(name.replace("_", " "), f"{np.median(size):.3g}", f"{size.max():.3g}")
    Console().print(table)
    saved = {}
    for suffix, thresholds in THRESHOLDS.items():
        of = {s: np.sum(report[f"cycles_{s}{suffix}"]) for s in ("predicted", "default")}
        saved[f"cycles_saved{suffix}"] = 1.0 - of["predicted"] / of["default"]
        percent = 100.0 * saved[f"cycles_saved{suffix}"]
        Console().print(f"cycles saved, thresholds {thresholds}: {percent:.0f} %")
    if args.json is not None:
        args.json.write_text(json.dumps({**saved, **report}, indent=1) + "\n")


def compare(structure, level, model, predicted, fitted, energy) -> dict[str, float]:
    """One frame: the three SCFs and the energies of the first Fock matrix, meV."""
    start = start_from_density(structure, level, model.basis, predicted.coefficients[0])
    method = start.method
    # Before the SCF: the energy functional of the orbitals of that one diagonalisation.
    first = method.energy_tot(dm=start.density_matrix)
    best = start_from_density(structure, level, model.basis, fitted)
    mol = build_molecule(structure, level)
    plain = build_method(mol, level, type(method._numint)())
    return {
        **cycles(plain, "default"),
        **cycles(method, "predicted", start.density_matrix),
        **cycles(best.method, "fitted", best.density_matrix),
        "error_of_harris_energy_mev": (start.harris_energy - energy) * HARTREE_MEV,
        "error_of_first_orbitals_mev": (first - energy) * HARTREE_MEV,
        "error_of_model_energy_mev": (float(predicted.energy[0]) - energy) * HARTREE_MEV,
        "difference_of_converged_mev": (method.e_tot - plain.e_tot) * HARTREE_MEV,
    }


def cycles(
    method: Any, start: str, density_matrix: NDArray[np.float64] | None = None
) -> dict[str, int]:
    """Solve to the thresholds of the labels; cycles until these and PySCF's own were met."""
    within_pyscf: list[bool] = []

    def note(cycle: dict[str, Any]) -> None:
        change = abs(cycle["e_tot"] - cycle["last_hf_e"])
        within_pyscf.append(change < PYSCF_ENERGY and cycle["norm_gorb"] < PYSCF_GRADIENT)

    method.callback = note
    method.kernel(dm0=density_matrix)
    if not method.converged:
        raise ConvergenceError(f"not converged in {method.cycles} cycles from {start}")
    return {
        f"cycles_{start}": int(method.cycles),
        f"cycles_{start}_pyscf": within_pyscf.index(True) + 1,
    }


if __name__ == "__main__":
    main()
