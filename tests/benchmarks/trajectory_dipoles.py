"""Dipoles along a trajectory of a model, beside those of its own reference at the same frames.

    densnet md ethanol --ensemble nve --replicas 16 --position-stride 4 --output classical
    python tests/benchmarks/trajectory_dipoles.py ethanol classical/02_nve/r00_densnet.pos_0.xyz \\
        --frames 200 --stride 2 --timestep-fs 0.5 --workers 2 --output dipoles

Takes frames of one xyz file of i-PI from its start, labels them with PySCF at the model's level
(the labels stay in the folder; a run that is killed goes on), and writes the error of every frame
as CSV, a picture, and the infrared spectrum of this short stretch from either dipole.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from densnet.cli.progress import frame_progress
from densnet.data.store import FrameFile, Frames
from densnet.data.writer import FrameWriter
from densnet.errors import InputError
from densnet.export.loading import load_model
from densnet.export.runtime import Model
from densnet.plots.style import BLUE, TWO_COLUMNS, VERMILION, house_style, new_figure, save_figure
from densnet.reference.labelling import process_executor
from densnet.reference.level import Level
from densnet.reference.run_label import LabelConfig, run_label
from densnet.spectra.correlation import Resolution, power_spectrum
from densnet.spectra.infrared import absorption_factor
from densnet.spectra.ipi_xyz import load_xyz
from densnet.units import AU_DEBYE, AU_FS, AU_WAVENUMBER_CM1, HARTREE_MEV

RANGE_CM1 = (400.0, 4000.0)


def main() -> None:
    """Take, label, compare, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="name of a shipped model, or a bundle")
    parser.add_argument("trajectory", type=Path, help="xyz positions that i-PI wrote")
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--stride", type=int, default=1, help="of the frames of the file")
    parser.add_argument("--timestep-fs", type=float, default=0.5, help="of the dynamics")
    parser.add_argument("--temperature", type=float, default=300.0, help="of the dynamics")
    parser.add_argument("--resolution", type=float, default=80.0, help="of the spectra, cm-1")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    args = parser.parse_args()
    model = load_model(args.model)
    args.output.mkdir(parents=True, exist_ok=True)
    steps = write_frames(model, args)
    frames = label(model, args)
    found = model.evaluate(frames.numbers, frames.positions)
    errors = np.linalg.norm(found.dipole - frames.dipole, axis=1) * AU_DEBYE * 1e3
    energy = (found.energy - frames.energy) * HARTREE_MEV
    time_fs = steps[frames["frame"]] * args.timestep_fs
    rows = zip(time_fs, frames.dipole, found.dipole, errors, energy, strict=True)
    lines = ["time_fs,dft_x,dft_y,dft_z,model_x,model_y,model_z,error_millidebye,energy_error_mev"]
    for time, reference, predicted, error, of_energy in rows:
        numbers = (*reference * AU_DEBYE, *predicted * AU_DEBYE)
        debye = ",".join(f"{x:.6f}" for x in numbers)
        lines.append(f"{time:g},{debye},{error:.3f},{of_energy:.3f}")
    (args.output / "dipoles.csv").write_text("\n".join(lines) + "\n")
    spacing_au = float(np.diff(time_fs)[0]) / AU_FS
    spectra = {
        name: spectrum_of(dipole, spacing_au, args)
        for name, dipole in (("DFT", frames.dipole), ("model", found.dipole))
    }
    (nu, of_dft), (_, of_model) = spectra["DFT"], spectra["model"]
    area = np.trapezoid(of_dft, nu)
    report = {
        "frames": len(frames),
        "spacing_fs": float(np.diff(time_fs)[0]),
        "dipole_vector_mae_millidebye": float(errors.mean()),
        "dipole_vector_max_millidebye": float(errors.max()),
        "energy_mae_mev": float(np.abs(energy).mean()),
        "resolution_cm1": args.resolution,
        "area_km_mol": float(area),
        "area_between_over_area": float(np.trapezoid(np.abs(of_model - of_dft), nu) / area),
    }
    (args.output / "dipoles.json").write_text(json.dumps(report, indent=1) + "\n")
    print(draw(time_fs, frames.dipole, errors, spectra, model.name, args.output / "dipoles.png"))
    print(json.dumps(report, indent=1))


def write_frames(model: Model, args: argparse.Namespace) -> NDArray[np.int64]:
    """Write the frames to be labelled, once; return their steps."""
    trajectory = load_xyz(args.trajectory, "positions")
    rows = trajectory.rows
    chosen = slice(0, args.frames * args.stride, args.stride)
    steps, positions = rows.steps[chosen], rows.values[chosen]
    if len(steps) < args.frames or len(set(np.diff(steps))) != 1:
        raise InputError(
            f"{args.trajectory} has {len(rows.steps)} frames; {args.frames} with equal spacing, "
            f"every {args.stride} from its start, are not among them"
        )
    path = args.output / "frames.h5"
    if not path.exists():
        with FrameWriter(path, model.template_numbers, {"charge": model.manifest["charge"]}) as out:
            for i, r in enumerate(positions):
                row = {"frame": i, "positions": r, "tag": "test", "time": steps[i]}
                out.append({**row, "temperature": args.temperature, "trajectory": 0})
    elif not np.array_equal(FrameFile.read(path).positions, positions):
        raise InputError(f"{path} holds other frames; give another --output")
    return steps


def label(model: Model, args: argparse.Namespace) -> Frames:
    """Label what has no label yet."""
    config = LabelConfig(
        frames=args.output / "frames.h5",
        output=args.output / "labels.h5",
        level=Level(**model.manifest["level"]),
        charge=int(model.manifest["charge"]),
    )
    with process_executor(args.workers) as executor, frame_progress("labels") as bar:
        task = bar.add_task("labels", total=args.frames, note="")
        report = run_label(
            config,
            executor,
            n_workers=args.workers,
            on_label=lambda state: bar.update(task, completed=state.done, total=state.total),
        )
    if report.n_failed:
        raise InputError(f"{report.n_failed} frames have no label: {report.failures}")
    frames = FrameFile.read(config.output, require=("energy", "dipole"))
    return frames.subset(np.argsort(frames["frame"]))


def spectrum_of(
    dipole: NDArray[np.float64], spacing_au: float, args: argparse.Namespace
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Wavenumbers and infrared absorption of one stretch, too short for an error of its own."""
    resolution = Resolution(args.resolution)
    omega, power = power_spectrum(dipole, spacing_au, resolution, derivative=True)
    nu = omega * AU_WAVENUMBER_CM1
    inside = (nu >= RANGE_CM1[0]) & (nu <= RANGE_CM1[1])
    return nu[inside], (absorption_factor(args.temperature) * power)[inside]


def draw(
    time_fs: NDArray[np.float64],
    reference: NDArray[np.float64],
    errors: NDArray[np.float64],
    spectra: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]],
    title: str,
    path: Path,
) -> Path:
    """Length of the dipole and error along time, and both spectra."""
    with house_style():
        figure = new_figure(TWO_COLUMNS, 5.6)
        dipole, error, spectrum = figure.subplots(3, 1)
        dipole.plot(time_fs, np.linalg.norm(reference, axis=1) * AU_DEBYE, color=VERMILION)
        dipole.set_ylabel("|μ| of DFT / D")
        dipole.set_title(title)
        error.plot(time_fs, errors, color=BLUE)
        error.set_ylabel("|μ(model) − μ(DFT)| / mD")
        error.set_xlabel("time / fs")
        for name, colour in (("DFT", VERMILION), ("model", BLUE)):
            spectrum.plot(*spectra[name], color=colour, label=name)
        spectrum.set_xlabel("wavenumber / cm⁻¹")
        spectrum.set_ylabel("κ / km mol⁻¹ per cm⁻¹")
        spectrum.legend()
        return save_figure(figure, path)


if __name__ == "__main__":
    main()
