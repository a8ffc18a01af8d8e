"""What ``densnet spectrum`` does between its options and its files."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from densnet.errors import InputError
from densnet.plots import Line, Measurement, Stick, plot_spectrum
from densnet.spectra.ase_trajectory import load_ase_signal
from densnet.spectra.bands import BandTable, load_bands, shipped_tables
from densnet.spectra.correlation import Resolution
from densnet.spectra.explicit_files import group_files
from densnet.spectra.infrared import absorption_factor, infrared
from densnet.spectra.molecular_frame import (
    load_eckart_signals,
    load_velocity_signals,
    skip_start,
)
from densnet.spectra.output import facf_from_infrared, save_csv, save_facf
from densnet.spectra.peaks import BandComparison, compare_bands
from densnet.spectra.raman import raman
from densnet.spectra.run_directory import load_run, model_name
from densnet.spectra.signals import SegmentFiles, Signal, load_signals
from densnet.spectra.spectrum import Spectrum
from densnet.spectra.vibrational_density import vibrational_density

Y_LABELS = {
    "ir": "absorption κ / km mol⁻¹ (cm⁻¹)⁻¹",
    "vdos": "density of states / modes per cm⁻¹",
    "raman": "Raman activity / Å⁴ amu⁻¹ (cm⁻¹)⁻¹",
}


def compute_spectra(args: argparse.Namespace) -> dict[str, Any]:
    """Compute the spectra asked for, write CSV and pictures, print a summary.

    Returns
    -------
    dict
        The report for ``--json``.
    """
    console = Console(highlight=False)
    segments = find_segments(args)
    folder = output_folder(args)
    resolution = Resolution(args.resolution, args.window)
    table = band_table(args)
    report: dict[str, Any] = {"resolution_cm1": args.resolution, "window": args.window}
    report["frame"] = args.frame
    for kind in ("ir", "vdos", "raman"):
        if not getattr(args, kind):
            continue
        signals, spectrum = spectrum_of(kind, args, segments, resolution)
        entry = describe_signals(signals)
        remarks = remark_lines(args, entry)
        shown = spectrum.cut(*args.range)
        entry["error_method"] = spectrum.error_method
        entry["csv"] = save_csv(shown, folder / f"{kind}.csv", remarks)
        if args.facf and kind == "ir":
            columns = facf_from_infrared(spectrum, absorption_factor(entry["temperature_kelvin"]))
            entry["facf"] = save_facf(*columns, folder / f"{kind}_facf.data")
        if kind == "ir" and table is not None:
            bands = compare_bands(spectrum, table.groups())
            entry["bands"] = [asdict(band) | {"shift": band.shift} for band in bands]
            console.print(bands_as_table(table, bands))
        entry["picture"] = draw(kind, args, spectrum, entry, table, folder / f"{kind}.png")
        report[kind] = entry
        console.print(
            f"{spectrum.quantity}: {entry['segments']} segment(s), {entry['total_ps']:.1f} ps; "
            f"{spectrum.error_method}"
        )
        console.print(f"  {entry['csv']}\n  {entry['picture']}", soft_wrap=True)
    return report


def find_segments(args: argparse.Namespace) -> list[SegmentFiles]:
    """Segments of the run directories, or of the files named one by one."""
    if args.runs:
        return [segment for directory in args.runs for segment in load_run(directory)]
    files = {
        "dipole": args.dipole,
        "dipole_derivative": args.dipole_derivative,
        "polarizability": args.polarizability,
        "positions": args.positions,
        "velocities": args.velocities,
    }
    if not any(files.values()):
        return []
    return group_files(
        files,
        timestep_fs=args.timestep_fs,
        temperature_kelvin=args.temperature,
        independent=args.independent,
    )


def spectrum_of(
    kind: str, args: argparse.Namespace, segments: Sequence[SegmentFiles], resolution: Resolution
) -> tuple[list[Signal], Spectrum]:
    """Read the signals of one kind of spectrum and compute it."""
    signals: Sequence[Signal]
    masses = np.zeros(0)
    exact = kind == "ir" and bool(segments) and "dipole_derivative" in segments[0].files
    if args.trajectory:
        quantity = {"ir": "dipole", "vdos": "velocities", "raman": "polarizability"}[kind]
        loaded = [
            load_ase_signal(
                path, quantity, interval_fs=args.timestep_fs, temperature_kelvin=args.temperature
            )
            for path in args.trajectory
        ]
        signals, masses = [signal for signal, _ in loaded], loaded[0][1]
        if args.frame == "eckart":
            raise InputError("--frame eckart reads i-PI trajectories, not --trajectory")
    elif kind == "vdos":
        signals, masses = load_velocity_signals(segments, rigid_motion=args.frame != "eckart")
    elif args.frame == "eckart":
        signals = load_eckart_signals(segments, "dipole" if kind == "ir" else "polarizability")
        exact = False
    elif kind == "raman":
        signals = load_signals(segments, "polarizability")
    else:
        signals = load_signals(segments, "dipole_derivative" if exact else "dipole")
    signals = skip_start(signals, args.skip_ps)
    if kind == "vdos":
        return signals, vibrational_density(signals, masses, resolution)
    if kind == "raman":
        return signals, raman(signals, resolution).total
    return signals, infrared(signals, resolution, exact_derivative=exact)


def describe_signals(signals: Sequence[Signal]) -> dict[str, Any]:
    """What went into a spectrum, for the report."""
    durations = np.array([signal.duration_ps for signal in signals])
    temperatures = np.array([signal.temperature_kelvin for signal in signals])
    return {
        "segments": len({signal.segment for signal in signals}),
        "stretches": len(signals),
        "total_ps": float(durations.sum()),
        "temperature_kelvin": float(durations @ temperatures / durations.sum()),
    }


def remark_lines(args: argparse.Namespace, entry: dict[str, Any]) -> list[str]:
    """Provenance for the head of the CSV."""
    sources = [str(path) for path in args.runs] or ["single files"]
    return [
        f"{entry['segments']} segment(s), {entry['total_ps']:.2f} ps in all, "
        f"{entry['temperature_kelvin']:.1f} K, {args.window} window, {args.frame} frame",
        f"from {', '.join(sources)}",
    ]


def band_table(args: argparse.Namespace) -> BandTable | None:
    """The measured bands asked for, or those of the run's own molecule."""
    if args.bands:
        return load_bands(args.bands)
    if args.runs:
        name = model_name(args.runs[0])
        if name in shipped_tables():
            return load_bands(name)
    return None


def output_folder(args: argparse.Namespace) -> Path:
    """Where the files go."""
    if args.output:
        return Path(args.output)
    return Path(args.runs[0]) / "spectrum" if args.runs else Path("spectrum")


def bands_as_table(table: BandTable, bands: Sequence[BandComparison]) -> Table:
    """The comparison of bands as printed."""
    shown = Table(title=f"bands of {table.molecule}, cm⁻¹", title_justify="left")
    for name in ("band", "measured", "calculated", "difference", "area / km mol⁻¹"):
        shown.add_column(name, justify="left" if name == "band" else "right")
    for band in bands:
        error = "" if band.maximum_error is None else f" ± {band.maximum_error:.0f}"
        area_error = "" if band.area_error is None else f" ± {band.area_error:.1f}"
        shown.add_row(
            band.band,
            f"{band.measured_maximum:.0f}",
            f"{band.maximum:.0f}{error}",
            f"{band.shift:+.0f}",
            f"{band.area:.1f}{area_error}",
        )
    return shown


def draw(
    kind: str,
    args: argparse.Namespace,
    spectrum: Spectrum,
    entry: dict[str, Any],
    table: BandTable | None,
    path: Path,
) -> Path:
    """Draw one spectrum, with the measured bands where there are any."""
    measurement = None
    if kind == "ir" and table is not None:
        sticks = [
            Stick(row.wavenumber_cm1, row.intensity_relative or 0.0, row.band)
            for row in table.maxima()
        ]
        groups = [(group.centre_cm1, group.name) for group in table.groups()]
        measurement = Measurement(f"measured bands: {table.sources[0]}", sticks, groups)
    label = f"molecular dynamics, {entry['temperature_kelvin']:.0f} K"
    if spectrum.error is not None:
        label += ", ± one standard error"
    line = Line(label, spectrum.wavenumber_cm1, spectrum.intensity, spectrum.error)
    note = (
        f"{entry['segments']} segment(s), {entry['total_ps']:.0f} ps in all; resolution "
        f"{spectrum.resolution_cm1:g} cm⁻¹; {spectrum.error_method}"
    )
    return plot_spectrum(
        [line],
        path,
        y_label=Y_LABELS[kind],
        range_cm1=tuple(args.range),
        measurement=measurement,
        title=args.title,
        note=note,
    )
