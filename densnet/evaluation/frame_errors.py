"""Errors of a bundle on labelled frames: energy, forces and dipole, by temperature."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from densnet.data.store import Frames
from densnet.data.summary import temperature_groups
from densnet.export.runtime import Model, Prediction
from densnet.units import AU_DEBYE, HARTREE_BOHR_MEV_ANGSTROM, HARTREE_MEV

Array = NDArray[np.float64]

BATCH = 25


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a model says of labelled frames, float64, atomic units.

    Parameters
    ----------
    energy : (n_frames,)
    forces : (n_frames, n_atoms, 3)
    dipole : (n_frames, 3)
    coefficients : (n_frames, n_functions)
    polarizability : (n_frames, 3, 3) or None
        If the frames hold it and the model offers it.
    """

    energy: Array
    forces: Array
    dipole: Array
    coefficients: Array
    polarizability: Array | None = None

    def subset(self, mask: NDArray[np.bool_]) -> "Predictions":
        """Return the predictions of some frames."""
        alpha = self.polarizability
        return Predictions(
            self.energy[mask],
            self.forces[mask],
            self.dipole[mask],
            self.coefficients[mask],
            None if alpha is None else alpha[mask],
        )


@dataclass(frozen=True)
class FrameErrors:
    """Errors over a set of frames.

    ``dipole_vector_mae_millidebye`` is the mean length of the error vector, ``dipole_mae…`` the
    mean over its components; forces are over components. ``…_spread`` are standard deviations of
    the reference, the error of predicting the mean.
    """

    n_frames: int
    energy_mae_mev: float
    energy_rmse_mev: float
    energy_bias_mev: float
    energy_spread_mev: float
    forces_mae_mev_angstrom: float
    forces_rmse_mev_angstrom: float
    forces_spread_mev_angstrom: float
    dipole_mae_millidebye: float
    dipole_vector_mae_millidebye: float
    dipole_spread_millidebye: float


def predict(
    model: Model,
    frames: Frames,
    *,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Predictions:
    """Evaluate every frame in batches, with the polarizability where both sides have it."""
    with_response = model.offers_polarizability and "polarizability" in frames.columns
    parts: list[Prediction] = []
    for first in range(0, len(frames), BATCH):
        positions = frames.positions[first : first + BATCH]
        parts.append(model.evaluate(frames.numbers, positions, polarizability=with_response))
        on_progress(min(first + BATCH, len(frames)), len(frames))
    return Predictions(
        energy=np.concatenate([p.energy for p in parts]),
        forces=np.concatenate([p.forces for p in parts]),
        dipole=np.concatenate([p.dipole for p in parts]),
        coefficients=np.concatenate([p.coefficients for p in parts]),
        polarizability=np.concatenate([p.polarizability for p in parts if with_response])
        if with_response
        else None,
    )


def compute_property_errors(frames: Frames, predictions: Predictions) -> FrameErrors:
    """Compare predictions with labels.

    Raises
    ------
    MissingLabelError
        If the frames lack energy, forces or dipole.
    """
    energy = (predictions.energy - frames.energy) * HARTREE_MEV
    forces = (predictions.forces - frames.forces) * HARTREE_BOHR_MEV_ANGSTROM
    dipole = (predictions.dipole - frames.dipole) * AU_DEBYE * 1e3
    return FrameErrors(
        n_frames=len(frames),
        energy_mae_mev=float(np.abs(energy).mean()),
        energy_rmse_mev=float(np.sqrt(np.square(energy).mean())),
        energy_bias_mev=float(energy.mean()),
        energy_spread_mev=float(frames.energy.std() * HARTREE_MEV),
        forces_mae_mev_angstrom=float(np.abs(forces).mean()),
        forces_rmse_mev_angstrom=float(np.sqrt(np.square(forces).mean())),
        forces_spread_mev_angstrom=float(frames.forces.std() * HARTREE_BOHR_MEV_ANGSTROM),
        dipole_mae_millidebye=float(np.abs(dipole).mean()),
        dipole_vector_mae_millidebye=float(np.linalg.norm(dipole, axis=1).mean()),
        dipole_spread_millidebye=float(frames.dipole.std(axis=0).mean() * AU_DEBYE * 1e3),
    )


def by_temperature(frames: Frames) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield a label and the frames of every sampling temperature, ascending; unknown ones last."""
    for temperature, mask in temperature_groups(frames):
        yield "unknown" if np.isnan(temperature) else f"{temperature:g} K", mask
