"""From the files of a run to equally spaced signals, one or more for each independent segment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from densnet.errors import InputError
from densnet.spectra.ipi_extras import load_extras, load_polarizability
from densnet.spectra.ipi_xyz import load_xyz
from densnet.spectra.masses import standard_masses
from densnet.spectra.series import Rows, average_beads, keep_last_of_each_step, split_at_gaps
from densnet.units import AU_FS

Array = NDArray[np.float64]

QUANTITIES = ("dipole", "dipole_derivative", "polarizability", "positions", "velocities")
ASE_SUFFIXES = (".traj", ".extxyz", ".db")


@dataclass(frozen=True, eq=False)
class Signal:
    """A quantity along an unbroken, equally spaced stretch of one segment.

    Parameters
    ----------
    segment : str
        Name of the independent segment; a segment with gaps gives several signals.
    values : (n_times, ...) float64
        Atomic units.
    timestep_au : float
        Time between rows, atomic units.
    temperature_kelvin : float
    """

    segment: str
    values: Array
    timestep_au: float
    temperature_kelvin: float

    @property
    def duration_ps(self) -> float:
        """Length of the stretch, ps."""
        return len(self.values) * self.timestep_au * AU_FS / 1000.0


@dataclass(frozen=True)
class SegmentFiles:
    """Where the quantities of one independent segment lie.

    Parameters
    ----------
    name : str
    temperature_kelvin : float
    timestep_fs : float
        Of one simulation step.
    files : mapping of quantity → tuple of Path
        One file for each path-integral bead.
    kind : str
        Model and treatment of the nuclei, e.g. ``ethanol, classical nuclei``; segments of
        different kinds are not averaged.
    """

    name: str
    temperature_kelvin: float
    timestep_fs: float
    files: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    kind: str = ""


def check_alike(segments: Sequence[SegmentFiles]) -> None:
    """Refuse segments of different kind, temperature or time step: no average of them is right."""
    first = segments[0]
    for other in segments[1:]:
        for name, a, b in (
            ("kind", first.kind, other.kind),
            ("temperature", first.temperature_kelvin, other.temperature_kelvin),
            ("time step", first.timestep_fs, other.timestep_fs),
        ):
            if a != b:
                raise InputError(
                    f"segments {first.name!r} and {other.name!r} differ in {name} ({a} and {b}): "
                    "compute their spectra apart and draw them beside each other with --overlay"
                )


def load_rows(segment: SegmentFiles, quantity: str) -> tuple[Rows, Array]:
    """Read a quantity of a segment, bead-averaged, steps unique and ascending.

    Parameters
    ----------
    segment : SegmentFiles
        Files ending in ``.traj``, ``.extxyz`` or ``.db`` are read by ASE, all others are i-PI's.
    quantity : str
        One of ``QUANTITIES``.

    Returns
    -------
    Rows
        Atomic units.
    (n_atoms,) float64
        Masses, electron masses; empty for what i-PI does not write on atoms.
    """
    if quantity not in segment.files:
        raise InputError(
            f"segment {segment.name!r} has no {quantity}; write them during the run "
            f"(it has {', '.join(segment.files) or 'nothing'})"
        )
    beads: list[Rows] = []
    masses = np.zeros(0)
    for path in segment.files[quantity]:
        if not path.is_file():
            raise InputError(f"segment {segment.name!r}: {path} does not exist")
        if path.suffix in ASE_SUFFIXES:
            # Here, so that i-PI's own files are read without loading ASE.
            from densnet.spectra.ase_trajectory import load_ase_rows

            rows, masses = load_ase_rows(path, quantity)
        elif quantity in ("positions", "velocities"):
            atoms = load_xyz(path, quantity)
            rows, masses = atoms.rows, standard_masses(atoms.symbols)
        elif quantity == "polarizability":
            rows = load_polarizability(path)
        else:
            rows = load_extras(path, quantity, (3,))
        beads.append(keep_last_of_each_step(rows))
    return average_beads(beads), masses


def signals_from_rows(segment: SegmentFiles, rows: Rows) -> list[Signal]:
    """Cut the rows of a segment at gaps and attach time and temperature."""
    return [
        Signal(
            segment.name,
            series.values,
            series.stride * segment.timestep_fs / AU_FS,
            segment.temperature_kelvin,
        )
        for series in split_at_gaps(rows)
    ]


def load_signals(segments: Sequence[SegmentFiles], quantity: str) -> list[Signal]:
    """Read a quantity of every segment.

    Parameters
    ----------
    segments : sequence of SegmentFiles
    quantity : str
        One of ``QUANTITIES``.

    Returns
    -------
    list of Signal
    """
    signals = []
    for segment in segments:
        rows, _ = load_rows(segment, quantity)
        signals.extend(signals_from_rows(segment, rows))
    return signals
