"""A model outside its data: a full torsion and a stretched bond, beside its own reference.

    python tests/benchmarks/scans.py ethanol --torsion 0 1 2 8 --bond 2 8 --output scans

Both start at the model's minimum and are rigid: one coordinate moves, all others stay. Energy and
dipole of the model and of PySCF at the model's level, as picture and JSON; 40 single points.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator

from densnet.calculators.ase import DensNetCalculator
from densnet.calculators.derivatives import relax
from densnet.calculators.kohn_sham import KohnShamCalculator
from densnet.cli.progress import frame_progress
from densnet.export.loading import load_model
from densnet.plots.style import BLUE, TWO_COLUMNS, VERMILION, house_style, new_figure, save_figure
from densnet.reference.level import Level
from densnet.units import AU_DEBYE, BOHR_ANGSTROM

ANGLES = np.arange(-180.0, 181.0, 15.0)
LENGTHS = np.arange(0.80, 1.501, 0.05)


def main() -> None:
    """Scan, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="name of a shipped model, or a bundle")
    parser.add_argument("--torsion", type=int, nargs=4, required=True, metavar="ATOM")
    parser.add_argument("--bond", type=int, nargs=2, required=True, metavar="ATOM")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    args = parser.parse_args()
    model = load_model(args.model, dtype="float64")
    start = Atoms(model.template_numbers, model.template_positions * BOHR_ANGSTROM)
    start.calc = DensNetCalculator(model)
    minimum = relax(start)
    scans = {
        "torsion / degrees": (ANGLES, [turned(minimum, args.torsion, a) for a in ANGLES]),
        "bond / Å": (LENGTHS, [stretched(minimum, args.bond, x) for x in LENGTHS]),
    }
    reference = KohnShamCalculator(
        Level(**model.manifest["level"]), charge=int(model.manifest["charge"])
    )
    found: dict[str, dict[str, list[float]]] = {}
    with frame_progress("single points") as bar:
        task = bar.add_task("", total=len(ANGLES) + len(LENGTHS), note="")
        for name, (coordinate, frames) in scans.items():
            rows = []
            for frame in frames:
                rows.append([*evaluate(frame, minimum.calc), *evaluate(frame, reference)])
                bar.advance(task)
            table = np.array(rows)
            found[name] = {
                "coordinate": coordinate.tolist(),
                "model_energy_mev": (1e3 * (table[:, 0] - table[:, 0].min())).tolist(),
                "dft_energy_mev": (1e3 * (table[:, 4] - table[:, 4].min())).tolist(),
                "energy_error_mev": (1e3 * (table[:, 0] - table[:, 4])).tolist(),
                "model_dipole_debye": np.linalg.norm(table[:, 1:4], axis=1).tolist(),
                "dft_dipole_debye": np.linalg.norm(table[:, 5:8], axis=1).tolist(),
                "dipole_error_debye": np.linalg.norm(
                    table[:, 1:4] - table[:, 5:8], axis=1
                ).tolist(),
            }
    args.output.mkdir(parents=True, exist_ok=True)
    (args.output / "scans.json").write_text(json.dumps(found, indent=1) + "\n")
    print(draw(found, model.name, args.output / "scans.png"))
    for name, scan in found.items():
        print(
            f"{name}: largest energy error {np.abs(scan['energy_error_mev']).max():.1f} meV, "
            f"dipole {1e3 * np.max(scan['dipole_error_debye']):.0f} mD"
        )


def turned(minimum: Atoms, torsion: list[int], angle: float) -> Atoms:
    """The minimum with one dihedral changed; only its last atom moves."""
    frame = minimum.copy()
    frame.set_dihedral(*torsion, angle, indices=[torsion[3]])
    return frame


def stretched(minimum: Atoms, bond: list[int], length: float) -> Atoms:
    """The minimum with one bond changed; only its second atom moves."""
    frame = minimum.copy()
    frame.set_distance(*bond, length, fix=0)
    return frame


def evaluate(frame: Atoms, calculator: Calculator) -> list[float]:
    """Energy (eV) and dipole (D)."""
    calculator.calculate(frame)
    dipole = calculator.results["dipole"] / BOHR_ANGSTROM * AU_DEBYE
    return [calculator.results["energy"], *dipole]


def draw(found: dict[str, dict[str, list[float]]], title: str, path: Path) -> Path:
    """Energies above, dipoles below; lines of the model over points of DFT."""
    with house_style():
        figure = new_figure(TWO_COLUMNS, 4.4)
        axes = figure.subplots(2, len(found), sharex="col")
        for column, (name, scan) in enumerate(found.items()):
            for row, (quantity, unit) in enumerate((("energy", "mev"), ("dipole", "debye"))):
                panel = axes[row, column]
                x = scan["coordinate"]
                panel.plot(x, scan[f"dft_{quantity}_{unit}"], "o", color=VERMILION, label="DFT")
                panel.plot(x, scan[f"model_{quantity}_{unit}"], color=BLUE, label="model")
                panel.set_ylabel("energy / meV" if row == 0 else "|dipole| / D")
            axes[1, column].set_xlabel(name)
        axes[0, 0].legend()
        axes[0, 0].set_title(title)
        return save_figure(figure, path)


if __name__ == "__main__":
    main()
