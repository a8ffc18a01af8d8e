"""What ``densnet spectrum`` does between its options and its files."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from densnet.cli.spectrum_pictures import draw, measurement_to_draw
from densnet.cli.spectrum_tables import areas_as_table, bands_as_table, scores_as_table
from densnet.errors import InputError
from densnet.spectra.assessment import (
    SKETCH_RESOLUTION_CM1,
    Assessment,
    assess,
    measured_band_areas,
    sketch_from_bands,
)
from densnet.spectra.bands import BandTable, load_bands, shipped_tables
from densnet.spectra.compare import Terms
from densnet.spectra.correlation import Resolution
from densnet.spectra.estimate import count_segments
from densnet.spectra.explicit_files import group_files
from densnet.spectra.infrared import absorption_factor, infrared
from densnet.spectra.measured import MeasuredSpectrum
from densnet.spectra.measured_files import load_measured
from densnet.spectra.molecular_frame import (
    load_eckart_signals,
    load_velocity_signals,
    skip_start,
)
from densnet.spectra.output import facf_from_infrared, save_csv, save_facf
from densnet.spectra.peaks import BandComparison, compare_bands, undo_time_step_shift
from densnet.spectra.raman import raman
from densnet.spectra.run_directory import load_run, model_name
from densnet.spectra.signals import SegmentFiles, Signal, check_alike, load_signals
from densnet.spectra.spectrum import Spectrum
from densnet.spectra.vibrational_density import vibrational_density
from densnet.units import AU_FS, AU_WAVENUMBER_CM1


def compute_spectra(args: argparse.Namespace) -> dict[str, Any]:
    """Compute the spectra asked for, write CSV and pictures, print a summary.

    Returns
    -------
    dict
        The report for ``--json``.
    """
    console = Console(highlight=False)
    segments = find_segments(args)
    check_alike(segments)
    folder = output_folder(args)
    resolution = Resolution(args.resolution, args.window)
    table = band_table(args)
    measured = load_measured(args.compare) if args.compare else None
    report: dict[str, Any] = {"resolution_cm1": args.resolution, "window": args.window}
    report["frame"] = args.frame
    for kind in ("ir", "vdos", "raman"):
        if not getattr(args, kind):
            continue
        signals, spectrum = spectrum_of(kind, args, segments, resolution)
        check_sampling(signals, args.range[1])
        entry = {"kind": segments[0].kind} | describe_signals(signals)
        remarks = remark_lines(args, entry)
        shown = spectrum.cut(*args.range)
        entry["error_method"] = spectrum.error_method
        entry["csv"] = save_csv(shown, folder / f"{kind}.csv", remarks)
        if args.facf and kind == "ir":
            columns = facf_from_infrared(spectrum, absorption_factor(entry["temperature_kelvin"]))
            entry["facf"] = save_facf(*columns, folder / f"{kind}_facf.data")
        measurement = None
        if kind == "ir":
            timestep_fs = segments[0].timestep_fs if not args.trajectory else None
            entry |= compare_with_measurement(args, spectrum, measured, table, timestep_fs, console)
            measurement = measurement_to_draw(table, measured)
        entry["picture"] = draw(kind, args, spectrum, entry, measurement, folder / f"{kind}.png")
        report[kind] = entry
        used = f"{count_segments(entry['segments'])}, {entry['total_ps']:.1f} ps"
        console.print(f"{spectrum.quantity}: {used}; {spectrum.error_method}", soft_wrap=True)
        console.print(f"  {entry['csv']}\n  {entry['picture']}", soft_wrap=True)
    return report


def find_segments(args: argparse.Namespace) -> list[SegmentFiles]:
    """Segments of the run directories, or of the files named one by one."""
    if args.runs:
        return [segment for directory in args.runs for segment in load_run(directory)]
    if args.trajectory:
        # One file has it all; what it lacks is noticed when it is read.
        everything = ("dipole", "positions", "velocities")
        return group_files(
            dict.fromkeys(everything, args.trajectory),
            timestep_fs=args.timestep_fs,
            temperature_kelvin=args.temperature,
            independent=True,
        )
    files = {
        "dipole": args.dipole,
        "dipole_derivative": args.dipole_derivative,
        "polarizability": args.polarizability,
        "positions": args.positions,
        "velocities": args.velocities,
    }
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
    if kind == "vdos":
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


def check_sampling(signals: Sequence[Signal], high_cm1: float) -> None:
    """Refuse a range beyond what the spacing of the rows can show."""
    spacing = signals[0].timestep_au
    reach = np.pi / spacing * AU_WAVENUMBER_CM1
    if high_cm1 > reach:
        raise InputError(
            f"rows every {spacing * AU_FS:.3g} fs show wavenumbers only up to {reach:.0f} cm⁻¹, "
            f"what lies above is folded back; write rows more often or lower --range {high_cm1:g}"
        )


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
        f"{count_segments(entry['segments'])}, {entry['total_ps']:.2f} ps in all, "
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


def compare_with_measurement(
    args: argparse.Namespace,
    spectrum: Spectrum,
    measured: MeasuredSpectrum | None,
    table: BandTable | None,
    timestep_fs: float | None,
    console: Console,
) -> dict[str, Any]:
    """Band positions, band areas and scores, as far as there is something to compare with."""
    report: dict[str, Any] = {}
    if table is not None:
        bands = compare_bands(spectrum, table.groups())
        report["bands"] = [describe_band(band, timestep_fs) for band in bands]
        console.print(bands_as_table(table, bands, timestep_fs))
        if measured is not None:
            report["band_areas"] = measured_band_areas(measured, bands)
            console.print(areas_as_table(report["band_areas"]))
    assessment = judge(args, spectrum, measured, table)
    if assessment is not None:
        report["assessment"] = assessment
        console.print(scores_as_table(assessment))
    return report


def describe_band(band: BandComparison, timestep_fs: float | None) -> dict[str, Any]:
    """One band for the report, with what the time step adds to its position."""
    without = None if timestep_fs is None else undo_time_step_shift(band.maximum, timestep_fs)
    return asdict(band) | {"shift": band.shift, "maximum_without_time_step_error": without}


def judge(
    args: argparse.Namespace,
    spectrum: Spectrum,
    measured: MeasuredSpectrum | None,
    table: BandTable | None,
) -> Assessment | None:
    """Score against the measured spectrum, or against a sketch of the measured bands."""
    if measured is not None:
        terms = Terms(resolution_cm1=args.compare_resolution, baseline=not args.no_baseline)
        return assess(spectrum, measured, terms, [load_measured(path) for path in args.null])
    if table is None:
        return None
    terms = Terms(resolution_cm1=SKETCH_RESOLUTION_CM1, baseline=False)
    others = [load_bands(name) for name in shipped_tables() if name != table.molecule]
    nulls = [sketch_from_bands(other) for other in others]
    return assess(spectrum, sketch_from_bands(table), terms, nulls)
