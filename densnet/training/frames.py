"""Labelled frames of one molecule as tensors, with the quadratic form of the density loss."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from densnet.basis import DensityBasis
from densnet.data.store import Frames
from densnet.nn.graph import COMPLETE_GRAPH_ATOMS, Graph, complete_graph, neighbour_graph
from densnet.training.metric import (
    FusedMetric,
    MetricWeights,
    StoredMetric,
    metric_of_frames,
)


@dataclass(frozen=True, eq=False)
class TrainingFrames:
    """Frames of one molecule on the training device.

    Parameters
    ----------
    numbers : (n_atoms,) int64
    species : (n_atoms,) int64
    positions : (n_frames, n_atoms, 3) float64, bohr
    energy : (n_frames,) float64, hartree
    forces : (n_frames, n_atoms, 3) float64, hartree/bohr
    dipole : (n_frames, 3) float64, e·bohr
    coefficients : (n_frames, n_functions) float64
    metric : StoredMetric or FusedMetric
        Of the density loss.
    cutoff : float, bohr
    """

    numbers: NDArray[np.int64]
    species: Tensor
    positions: Tensor
    energy: Tensor
    forces: Tensor
    dipole: Tensor
    coefficients: Tensor
    metric: StoredMetric | FusedMetric
    cutoff: float

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def n_atoms(self) -> int:
        """Atoms of the molecule."""
        return len(self.numbers)

    def batch(self, index: Tensor) -> "Batch":
        """Return the frames of an index, (n,) int64, as one batch."""
        positions = self.positions[index]
        return Batch(
            species=self.species.repeat(len(index)),
            positions=positions.reshape(-1, 3),
            graph=batch_graph(positions, self.cutoff),
            energy=self.energy[index],
            forces=self.forces[index].reshape(-1, 3),
            dipole=self.dipole[index],
            coefficients=self.coefficients[index],
            metric=self.metric[index],
        )


class Structures(Protocol):
    """What a prediction needs of a batch: atoms one after the other, and their graph."""

    @property
    def species(self) -> Tensor:
        """Element of each atom, (n_atoms,) int64."""
        ...

    @property
    def positions(self) -> Tensor:
        """Positions (n_atoms, 3) float64, bohr."""
        ...

    @property
    def graph(self) -> Graph:
        """Pairs of atoms."""
        ...


@dataclass(frozen=True, eq=False)
class Batch:
    """Some frames of one molecule, their atoms one after the other; targets as in the frames."""

    species: Tensor
    positions: Tensor
    graph: Graph
    energy: Tensor
    forces: Tensor
    dipole: Tensor
    coefficients: Tensor
    metric: StoredMetric | FusedMetric

    @property
    def n_structures(self) -> int:
        """Frames in the batch."""
        return self.graph.n_structures


def batch_graph(positions: Tensor, cutoff: float) -> Graph:
    """Return the graph of some frames of one molecule, positions (n_frames, n_atoms, 3)."""
    n_frames, n_atoms, _ = positions.shape
    if n_atoms <= COMPLETE_GRAPH_ATOMS:
        return cached_complete_graph(n_atoms, n_frames, str(positions.device))
    return neighbour_graph(positions.cpu().numpy(), cutoff).to(positions.device)


@lru_cache(maxsize=16)
def cached_complete_graph(n_atoms: int, n_structures: int, device: str) -> Graph:
    """Return a complete graph, made once for each size."""
    return complete_graph(n_atoms, n_structures).to(device)


def training_frames(
    frames: Frames,
    basis: DensityBasis,
    elements: tuple[int, ...],
    weights: MetricWeights,
    cutoff: float,
    device: torch.device,
) -> TrainingFrames:
    """Put frames, whose basis was checked, on the device."""

    def tensor(values: NDArray[np.float64]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(device)

    species = torch.tensor([elements.index(int(z)) for z in frames.numbers], device=device)
    return TrainingFrames(
        numbers=frames.numbers,
        species=species,
        positions=tensor(frames.positions),
        energy=tensor(frames.energy),
        forces=tensor(frames.forces),
        dipole=tensor(frames.dipole),
        coefficients=tensor(frames.coefficients),
        metric=metric_of_frames(basis, frames.numbers, frames.positions, weights, device),
        cutoff=cutoff,
    )
