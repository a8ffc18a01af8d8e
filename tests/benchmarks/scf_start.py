"""What a predicted density is worth to an SCF: cycles saved, and the energy of one Fock build.

    python tests/benchmarks/scf_start.py ethanol examples/01_ethanol/ethanol.h5 --frames 20

Every test frame is solved by plain PySCF at the level of its label, with the same thresholds:
from PySCF's default guess, from the orbitals of the Fock matrix of the predicted density, and
likewise of the density that the label was fitted by, the best a model of this basis could predict.
The energies of the single Fock build are held to the label: Harris–Foulkes, and the Kohn–Sham
energy of the orbitals that come out of it.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from densnet.cli.progress import frame_progress
from densnet.data.store import FrameFile
from densnet.export.runtime import load_model
from densnet.reference.density_start import start_from_density
from densnet.reference.level import Level
from densnet.reference.method import build_method, build_molecule
from densnet.structure import Structure
from densnet.units import HARTREE_MEV


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
    saved = 1.0 - np.sum(report["cycles_predicted"]) / np.sum(report["cycles_default"])
    Console().print(f"cycles saved: {100.0 * saved:.0f} %")
    if args.json is not None:
        args.json.write_text(json.dumps({"cycles_saved": saved, **report}, indent=1) + "\n")


def compare(structure, level, model, predicted, fitted, energy) -> dict[str, float]:
    """One frame: the three SCFs and the energies of the first Fock matrix, meV."""
    start = start_from_density(structure, level, model.basis, predicted.coefficients[0])
    method = start.method
    # Before the SCF: the energy functional of the orbitals of that one diagonalisation.
    first = method.energy_tot(dm=start.density_matrix)
    method.kernel(dm0=start.density_matrix)
    best = start_from_density(structure, level, model.basis, fitted)
    best.method.kernel(dm0=best.density_matrix)
    mol = build_molecule(structure, level)
    plain = build_method(mol, level, type(method._numint)())
    plain.kernel()
    return {
        "cycles_default": int(plain.cycles),
        "cycles_predicted": int(method.cycles),
        "cycles_fitted": int(best.method.cycles),
        "error_of_harris_energy_mev": (start.harris_energy - energy) * HARTREE_MEV,
        "error_of_first_orbitals_mev": (first - energy) * HARTREE_MEV,
        "error_of_model_energy_mev": (float(predicted.energy[0]) - energy) * HARTREE_MEV,
        "difference_of_converged_mev": (method.e_tot - plain.e_tot) * HARTREE_MEV,
    }


if __name__ == "__main__":
    main()
