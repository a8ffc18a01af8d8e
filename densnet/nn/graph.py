"""Which atoms see each other: the directed edges of one structure or of a batch."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from densnet.errors import InputError

# Below this size every pair is an edge; the cutoff function does the rest.
COMPLETE_GRAPH_ATOMS = 24


@dataclass(frozen=True, eq=False)
class Graph:
    """Directed edges j → i of a batch of structures.

    Parameters
    ----------
    receivers, senders : (n_edges,) int64
        Atoms i and j, counted through the batch; sorted by receiver.
    shifts : (n_edges, 3) float64, bohr
        Lattice translation added to the sender's position.
    structure : (n_atoms_total,) int64
        The structure each atom belongs to.
    n_structures : int
    """

    receivers: Tensor
    senders: Tensor
    shifts: Tensor
    structure: Tensor
    n_structures: int

    def to(self, device: torch.device | str) -> "Graph":
        """Return the same graph on another device."""
        return Graph(
            self.receivers.to(device),
            self.senders.to(device),
            self.shifts.to(device),
            self.structure.to(device),
            self.n_structures,
        )


def complete_graph(n_atoms: int, n_structures: int = 1) -> Graph:
    """Return all ordered pairs within each of several structures of n_atoms atoms."""
    i, j = np.nonzero(~np.eye(n_atoms, dtype=bool))
    offset = n_atoms * np.arange(n_structures)[:, None]
    receivers = torch.from_numpy((i[None] + offset).reshape(-1))
    senders = torch.from_numpy((j[None] + offset).reshape(-1))
    return Graph(
        receivers,
        senders,
        torch.zeros(len(receivers), 3, dtype=torch.float64),
        torch.arange(n_structures).repeat_interleave(n_atoms),
        n_structures,
    )


def neighbour_graph(
    positions: NDArray[np.float64], cutoff: float, cell: NDArray[np.float64] | None = None
) -> Graph:
    """Return the pairs closer than the cutoff in a batch of structures.

    Parameters
    ----------
    positions : (n_structures, n_atoms, 3) float64, bohr
    cutoff : float, bohr
    cell : (3, 3) float64, bohr, or None
        Rows are the lattice vectors, periodic in all three directions; None for molecules.

    Returns
    -------
    Graph

    Raises
    ------
    InputError
        If the cell is not three finite lattice vectors, or has no volume.
    """
    n_structures, n_atoms, _ = positions.shape
    if cell is None and n_atoms <= COMPLETE_GRAPH_ATOMS:
        return complete_graph(n_atoms, n_structures)
    translations = np.zeros((1, 3)) if cell is None else _translations(positions, cutoff, cell)
    receivers, senders, shifts = [], [], []
    for k in range(n_structures):
        tree = cKDTree(positions[k])
        images = (positions[k][None] + translations[:, None]).reshape(-1, 3)
        for i, found in enumerate(cKDTree(images).query_ball_point(tree.data, cutoff)):
            index = np.sort(np.asarray(found, dtype=np.int64))
            image, j = np.divmod(index, n_atoms)
            other = (j != i) | (np.abs(translations[image]).sum(axis=1) > 0.0)
            receivers.append(np.full(int(other.sum()), k * n_atoms + i, dtype=np.int64))
            senders.append(k * n_atoms + j[other])
            shifts.append(translations[image[other]])
    return Graph(
        torch.from_numpy(np.concatenate(receivers)),
        torch.from_numpy(np.concatenate(senders)),
        torch.from_numpy(np.concatenate(shifts)),
        torch.arange(n_structures).repeat_interleave(n_atoms),
        n_structures,
    )


def _translations(
    positions: NDArray[np.float64], cutoff: float, cell: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return every lattice translation by which two atoms can come closer than the cutoff."""
    if cell.shape != (3, 3) or not np.isfinite(cell).all():
        raise InputError(
            f"a cell must be three lattice vectors, (3, 3), finite; got {cell.tolist()}"
        )
    volume = abs(np.linalg.det(cell))
    if volume < 1e-6:
        raise InputError(f"the cell has no volume: {cell.tolist()}; pass None for a molecule")
    heights = 1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    fractional = positions @ np.linalg.inv(cell)
    spread = np.ceil(np.ptp(fractional, axis=1).max(axis=0)).astype(int)
    reach = np.ceil(cutoff / heights).astype(int) + spread
    steps = [np.arange(-n, n + 1) for n in reach]
    grid = np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 3)
    return np.asarray(grid @ cell)
