"""Signals in the frame that turns with the molecule: overall rotation removed."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from densnet.spectra.eckart import (
    eckart_rotations,
    remove_rigid_motion,
    rotate_tensors,
    rotate_vectors,
)
from densnet.spectra.series import Rows
from densnet.spectra.signals import SegmentFiles, Signal, load_rows, signals_from_rows

Array = NDArray[np.float64]


def load_eckart_signals(segments: Sequence[SegmentFiles], quantity: str) -> list[Signal]:
    """Read dipoles or polarizabilities and turn them into the Eckart frame.

    The reference geometry of every segment is the first frame of the first segment, so all
    segments share a frame.

    Parameters
    ----------
    segments : sequence of SegmentFiles
        With positions beside the quantity.
    quantity : str
        ``dipole`` or ``polarizability``. Not ``dipole_derivative``: the derivative of a turned
        dipole is not the turned derivative.
    """
    signals: list[Signal] = []
    reference: Array | None = None
    for segment in segments:
        rows, _ = load_rows(segment, quantity)
        positions, masses = load_rows(segment, "positions")
        steps, r, values = on_common_steps(positions, rows)
        if reference is None:
            reference = r[0]
        rotations = eckart_rotations(r, masses, reference)
        turned = (
            rotate_vectors(rotations, values)
            if quantity == "dipole"
            else rotate_tensors(rotations, values)
        )
        signals.extend(signals_from_rows(segment, Rows(steps, turned, rows.source)))
    return signals


def load_velocity_signals(
    segments: Sequence[SegmentFiles], *, rigid_motion: bool
) -> tuple[list[Signal], Array]:
    """Read velocities, with or without the motion of the molecule as a whole.

    Returns
    -------
    list of Signal
        Values (n, n_atoms, 3).
    (n_atoms,) float64
        Masses, electron masses.
    """
    signals: list[Signal] = []
    masses = np.zeros(0)
    for segment in segments:
        rows, masses = load_rows(segment, "velocities")
        if not rigid_motion:
            positions, _ = load_rows(segment, "positions")
            steps, r, v = on_common_steps(positions, rows)
            rows = Rows(steps, remove_rigid_motion(r, v, masses), rows.source)
        signals.extend(signals_from_rows(segment, rows))
    return signals, masses


def skip_start(signals: Sequence[Signal], skip_ps: float) -> list[Signal]:
    """Leave out the first picoseconds of every segment."""
    kept: list[Signal] = []
    left: dict[str, float] = {}
    for signal in signals:
        rest = left.setdefault(signal.segment, skip_ps)
        per_row = signal.duration_ps / len(signal.values)
        drop = min(len(signal.values), round(rest / per_row))
        left[signal.segment] = rest - drop * per_row
        if drop < len(signal.values):
            kept.append(replace(signal, values=signal.values[drop:]))
    return kept


def on_common_steps(first: Rows, second: Rows) -> tuple[NDArray[np.int64], Array, Array]:
    """Rows of two quantities at the steps that both have."""
    steps, i, j = np.intersect1d(first.steps, second.steps, return_indices=True)
    return steps, first.values[i], second.values[j]
