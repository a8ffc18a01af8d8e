"""Centroids as tensors, the loss of a potential of mean force, and its errors."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from densnet.data.store import Frames
from densnet.errors import InputError
from densnet.models import DensNet
from densnet.nn.graph import Graph
from densnet.spectra.centroids import Centroids
from densnet.training.frames import batch_graph
from densnet.training.losses import energies_and_forces, predict_density
from densnet.units import HARTREE_BOHR_MEV_ANGSTROM


@dataclass(frozen=True, eq=False)
class CentroidFrames:
    """Centroids of one molecule on the training device.

    Parameters
    ----------
    species : (n_atoms,) int64
    positions : (n_frames, n_atoms, 3) float64, bohr
    forces : (n_frames, n_atoms, 3) float64, hartree/bohr
    cutoff : float, bohr
    """

    species: Tensor
    positions: Tensor
    forces: Tensor
    cutoff: float

    def __len__(self) -> int:
        return len(self.positions)

    def batch(self, index: Tensor) -> "CentroidBatch":
        """Return the frames of an index, (n,) int64, as one batch."""
        positions = self.positions[index]
        return CentroidBatch(
            species=self.species.repeat(len(index)),
            positions=positions.reshape(-1, 3),
            graph=batch_graph(positions, self.cutoff),
            forces=self.forces[index].reshape(-1, 3),
        )


@dataclass(frozen=True, eq=False)
class CentroidBatch:
    """Some centroids of one molecule, their atoms one after the other; targets as in the frames."""

    species: Tensor
    positions: Tensor
    graph: Graph
    forces: Tensor

    def residual(self, model: DensNet, *, training: bool) -> Tensor:
        """Return predicted minus sampled forces, (n_atoms, 3) hartree/bohr."""
        density = predict_density(model, self, with_forces=True)
        _, forces = energies_and_forces(model, self, density, density.components, training=training)
        return forces - self.forces


def split_replicas(centroids: Centroids, validation_share: float) -> tuple[Frames, Frames]:
    """Divide runs into training and validation, whole replicas each: their frames are correlated.

    Returns
    -------
    Frames
        Positions and forces for training.
    Frames
        The same for validation, of the last replicas.

    Raises
    ------
    InputError
        If there is one replica only.
    """
    n_replicas = len(centroids.positions)
    if n_replicas < 2:
        raise InputError(f"{centroids.path} has one replica; a second one is needed for validation")
    n_validation = min(max(1, round(validation_share * n_replicas)), n_replicas - 1)
    first = n_replicas - n_validation

    def part(replicas: slice) -> Frames:
        columns = {
            "positions": np.concatenate(centroids.positions[replicas]),
            "forces": np.concatenate(centroids.forces[replicas]),
        }
        return Frames(centroids.path, centroids.numbers, columns, {})

    return part(slice(first)), part(slice(first, None))


def centroid_frames(frames: Frames, species: Tensor, cutoff: float) -> CentroidFrames:
    """Put centroids on the device of `species`."""

    def tensor(values: NDArray[np.float64]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(species.device)

    return CentroidFrames(species, tensor(frames.positions), tensor(frames.forces), cutoff)


def centroid_loss(model: DensNet, batch: CentroidBatch, force_scale: float) -> Tensor:
    """Return the mean squared error of the forces in units of `force_scale`.

    Forces of single ring polymers fluctuate; the potential that minimises their squared error is
    the potential of mean force (force matching, https://doi.org/10.1063/1.2038787).
    """
    return torch.square(batch.residual(model, training=True) / force_scale).mean()


@dataclass(frozen=True)
class CentroidErrors:
    """How well a potential gives the forces on the centroids of unseen replicas.

    Parameters
    ----------
    forces_rmse_mev_angstrom : float
        Against forces of single ring polymers: falls to their fluctuation, not to zero.
    """

    forces_rmse_mev_angstrom: float


def compute_centroid_errors(model: DensNet, batches: list[CentroidBatch]) -> CentroidErrors:
    """Measure the errors of a model's forces on some batches."""
    squares, count = 0.0, 0
    for batch in batches:
        residual = batch.residual(model, training=False)
        squares += float(torch.square(residual).sum())
        count += residual.numel()
    return CentroidErrors(float(np.sqrt(squares / count)) * HARTREE_BOHR_MEV_ANGSTROM)
