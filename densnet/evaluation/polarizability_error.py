"""Errors of a bundle's polarizability on labelled frames."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from densnet.data.store import Frames
from densnet.evaluation.frame_errors import Predictions


@dataclass(frozen=True)
class PolarizabilityErrors:
    """Errors over the frames whose labels have a polarizability.

    The isotropic part is a third of the trace; percentages are of its mean over the frames. The
    spread is the standard deviation of the isotropic part: the error of always predicting its mean.
    """

    n_frames: int
    mae_bohr3: float
    rmse_bohr3: float
    mae_percent: float
    isotropic_mae_bohr3: float
    isotropic_spread_bohr3: float


def compute_polarizability_errors(
    frames: Frames, predictions: Predictions
) -> PolarizabilityErrors | None:
    """Compare all nine elements; None if there is nothing to compare.

    Parameters
    ----------
    frames : Frames
        Frames without a polarizability are left out.
    predictions : Predictions
        Of the same frames.
    """
    if predictions.polarizability is None or "polarizability" not in frames.columns:
        return None
    labelled = np.isfinite(frames.polarizability).all(axis=(1, 2))
    if not labelled.any():
        return None
    reference = frames.polarizability[labelled]
    error = predictions.polarizability[labelled] - reference
    isotropic = isotropic_part(reference)
    mae = float(np.abs(error).mean())
    return PolarizabilityErrors(
        n_frames=int(labelled.sum()),
        mae_bohr3=mae,
        rmse_bohr3=float(np.sqrt(np.square(error).mean())),
        mae_percent=100.0 * mae / float(isotropic.mean()),
        isotropic_mae_bohr3=float(np.abs(isotropic_part(error)).mean()),
        isotropic_spread_bohr3=float(isotropic.std()),
    )


def isotropic_part(tensors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a third of the trace, (n,), of tensors (n, 3, 3)."""
    return np.asarray(np.trace(tensors, axis1=1, axis2=2) / 3.0)
