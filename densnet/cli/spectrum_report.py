"""What ``densnet spectrum`` does between its options and its files."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from densnet.cli.spectrum_pictures import draw, measurement_to_draw
from densnet.cli.spectrum_source import Computed, compute, describe_signals, find_segments
from densnet.cli.spectrum_tables import (
    areas_as_table,
    bands_as_table,
    maxima_as_table,
    scores_as_table,
)
from densnet.errors import InputError
from densnet.plots import Measurement
from densnet.spectra.assessment import (
    SKETCH_RESOLUTION_CM1,
    Assessment,
    assess,
    measured_band_areas,
    sketch_from_bands,
)
from densnet.spectra.bands import BandTable, load_bands, shipped_tables
from densnet.spectra.compare import Terms
from densnet.spectra.estimate import count_segments
from densnet.spectra.infrared import absorption_factor
from densnet.spectra.measured import MeasuredSpectrum
from densnet.spectra.measured_files import load_measured
from densnet.spectra.output import facf_from_infrared, load_csv, save_csv, save_facf
from densnet.spectra.peaks import BandComparison, compare_bands, undo_time_step_shift
from densnet.spectra.run_directory import model_name
from densnet.spectra.signals import check_alike
from densnet.spectra.spectrum import Spectrum


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
    table = band_table(args)
    measured = load_measured(args.compare) if args.compare else None
    overlays = load_overlays(args.overlay)
    report: dict[str, Any] = {"resolution_cm1": args.resolution, "window": args.window}
    report["frame"] = args.frame
    for kind in ("ir", "vdos", "raman"):
        if not getattr(args, kind):
            continue
        computed = compute(kind, args, segments)
        spectrum = computed.spectrum
        entry = {"kind": segments[0].kind} | describe_signals(computed.signals)
        entry["error_method"] = spectrum.error_method
        entry |= save_spectra(kind, args, computed, remark_lines(args, entry), folder)
        measurement: Measurement | None = None
        beside: dict[str, Spectrum] = {}
        if kind == "ir":
            timestep_fs = segments[0].timestep_fs if not args.trajectory else None
            entry |= compare_with_measurement(
                args, spectrum, overlays, measured, table, timestep_fs, console
            )
            measurement, beside = measurement_to_draw(table, measured), overlays
        picture = folder / f"{kind}.png"
        entry["picture"] = draw(kind, args, computed, entry, beside, measurement, picture)
        for name, other in computed.others.items():
            picture = folder / f"{kind}_{name}.png"
            alone = Computed(computed.signals, other)
            entry[f"picture_{name}"] = draw(f"{kind}_{name}", args, alone, entry, {}, None, picture)
        report[kind] = entry
        used = f"{count_segments(entry['segments'])}, {entry['total_ps']:.1f} ps"
        console.print(f"{spectrum.quantity}: {used}; {spectrum.error_method}", soft_wrap=True)
        written = [entry[key] for key in entry if key == "csv" or key.startswith("picture")]
        console.print("\n".join(f"  {path}" for path in written), soft_wrap=True)
    return report


def save_spectra(
    kind: str,
    args: argparse.Namespace,
    computed: Computed,
    remarks: Sequence[str],
    folder: Path,
) -> dict[str, Path]:
    """Write a spectrum, its parts, and i-PI's power spectrum if asked for."""
    low, high = args.range
    spectrum = computed.spectrum
    saved = {"csv": save_csv(spectrum.cut(low, high), folder / f"{kind}.csv", remarks)}
    for name, part in {**computed.parts, **computed.others}.items():
        path = folder / f"{kind}_{name}.csv"
        saved[f"csv_{name}"] = save_csv(part.cut(low, high), path, remarks)
    if args.facf and kind == "ir":
        factor = absorption_factor(computed.signals[0].temperature_kelvin)
        columns = facf_from_infrared(spectrum, factor)
        saved["facf"] = save_facf(*columns, folder / f"{kind}_facf.data")
    return saved


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
    overlays: Mapping[str, Spectrum],
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
        if overlays:
            others = {name: compare_bands(o, table.groups()) for name, o in overlays.items()}
            report["overlay_bands"] = others
            console.print(maxima_as_table(bands, others))
        if measured is not None:
            report["band_areas"] = measured_band_areas(measured, bands)
            console.print(areas_as_table(report["band_areas"]))
    assessment = judge(args, spectrum, measured, table)
    if assessment is not None:
        beside = {name: judge(args, other, measured, table) for name, other in overlays.items()}
        report["assessment"], report["overlay_assessments"] = assessment, beside
        console.print(scores_as_table(assessment, beside))
    return report


def load_overlays(texts: Sequence[str]) -> dict[str, Spectrum]:
    """Spectra computed before, each from ``CSV`` or ``LABEL=CSV``."""
    overlays = {}
    for text in texts:
        label, _, name = text.rpartition("=")
        overlays[label or Path(name).stem] = load_csv(Path(name))
    if len(overlays) < len(texts):
        raise InputError(f"--overlay: every spectrum needs a label of its own, got {list(texts)}")
    return overlays


def describe_band(band: BandComparison, timestep_fs: float | None) -> dict[str, Any]:
    """One band for the report, with what the time step adds to its position."""
    without = None
    if timestep_fs is not None and band.maximum is not None:
        without = undo_time_step_shift(band.maximum, timestep_fs)
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
        nulls = [load_measured(path) for path in args.null]
        return assess(spectrum, measured, terms, nulls, [load_measured(p) for p in args.ceiling])
    if table is None:
        return None
    terms = Terms(resolution_cm1=SKETCH_RESOLUTION_CM1, baseline=False)
    others = [load_bands(name) for name in shipped_tables() if name != table.molecule]
    nulls = [sketch_from_bands(other) for other in others]
    return assess(spectrum, sketch_from_bands(table), terms, nulls)
