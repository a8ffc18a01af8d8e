"""From the options of ``densnet spectrum`` to trajectories and spectra."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from densnet.errors import InputError
from densnet.spectra.correlation import Resolution
from densnet.spectra.explicit_files import group_files
from densnet.spectra.infrared import infrared
from densnet.spectra.molecular_frame import (
    load_eckart_signals,
    load_velocity_signals,
    skip_start,
)
from densnet.spectra.raman import raman, stokes_intensity
from densnet.spectra.run_directory import load_run
from densnet.spectra.signals import SegmentFiles, Signal, load_signals
from densnet.spectra.spectrum import Spectrum
from densnet.spectra.vibrational_density import vibrational_density
from densnet.units import AU_FS, AU_WAVENUMBER_CM1


@dataclass(frozen=True)
class Computed:
    """A spectrum, the signals it was made from, and its parts.

    Parameters
    ----------
    signals : sequence of Signal
    spectrum : Spectrum
    parts : mapping of name → Spectrum
        In the unit of the whole; drawn beside it.
    others : mapping of name → Spectrum
        In other units; written only.
    """

    signals: Sequence[Signal]
    spectrum: Spectrum
    parts: Mapping[str, Spectrum] = field(default_factory=dict)
    others: Mapping[str, Spectrum] = field(default_factory=dict)


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


def compute(kind: str, args: argparse.Namespace, segments: Sequence[SegmentFiles]) -> Computed:
    """Compute one kind of spectrum: ``ir``, ``vdos`` or ``raman``."""
    resolution = Resolution(args.resolution, args.window)
    return {"ir": _infrared, "vdos": _density_of_states, "raman": _raman}[kind](
        args, segments, resolution
    )


def _infrared(
    args: argparse.Namespace, segments: Sequence[SegmentFiles], resolution: Resolution
) -> Computed:
    exact = "dipole_derivative" in segments[0].files and args.frame == "laboratory"
    if args.frame == "eckart":
        loaded = load_eckart_signals(segments, "dipole")
    else:
        loaded = load_signals(segments, "dipole_derivative" if exact else "dipole")
    signals = _prepare(loaded, args)
    return Computed(signals, infrared(signals, resolution, exact_derivative=exact))


def _density_of_states(
    args: argparse.Namespace, segments: Sequence[SegmentFiles], resolution: Resolution
) -> Computed:
    loaded, masses = load_velocity_signals(segments, rigid_motion=args.frame == "laboratory")
    signals = _prepare(loaded, args)
    return Computed(signals, vibrational_density(signals, masses, resolution))


def _raman(
    args: argparse.Namespace, segments: Sequence[SegmentFiles], resolution: Resolution
) -> Computed:
    load = load_eckart_signals if args.frame == "eckart" else load_signals
    signals = _prepare(load(segments, "polarizability"), args)
    spectra = raman(signals, resolution)
    others = {}
    if args.laser_nm is not None:
        temperature = signals[0].temperature_kelvin
        # Cut before it is scaled: the rotations far below would be its maximum.
        shown = spectra.total.cut(*args.range)
        others["stokes"] = stokes_intensity(shown, args.laser_nm, temperature)
    parts = {"isotropic": spectra.isotropic, "depolarised": spectra.depolarised}
    return Computed(signals, spectra.total, parts, others)


def _prepare(signals: Sequence[Signal], args: argparse.Namespace) -> list[Signal]:
    kept = skip_start(signals, args.skip_ps)
    if not kept:
        longest = max(signal.duration_ps for signal in signals)
        raise InputError(
            f"--skip-ps {args.skip_ps:g} leaves no trajectory: the longest stretch has "
            f"{longest:.2f} ps"
        )
    check_sampling(kept, args.range[1])
    return kept


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
