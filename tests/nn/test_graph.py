"""Graphs against ASE's neighbour list."""

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list

from densnet.errors import InputError
from densnet.nn.graph import complete_graph, neighbour_graph


def edges_of(graph, positions):
    """Receivers, senders and vectors as a sorted set of rounded tuples."""
    r = positions.reshape(-1, 3)
    i, j = graph.receivers.numpy(), graph.senders.numpy()
    vectors = r[j] - r[i] + graph.shifts.numpy()
    return sorted(
        (int(a), int(b), *np.round(v, 8).tolist()) for a, b, v in zip(i, j, vectors, strict=True)
    )


def edges_of_ase(positions, cutoff, cell):
    atoms = Atoms(np.ones(len(positions)), positions, cell=cell, pbc=cell is not None)
    i, j, vectors = neighbor_list("ijD", atoms, cutoff)
    return sorted(
        (int(a), int(b), *np.round(v, 8).tolist()) for a, b, v in zip(i, j, vectors, strict=True)
    )


def test_a_large_molecule_has_the_neighbours_that_ase_finds(rng):
    positions = rng.uniform(0.0, 14.0, size=(1, 40, 3))
    graph = neighbour_graph(positions, 5.0)
    assert edges_of(graph, positions) == edges_of_ase(positions[0], 5.0, None)
    assert (np.diff(graph.receivers.numpy()) >= 0).all()


@pytest.mark.parametrize("scale", [6.0, 11.0])
def test_a_periodic_cell_has_the_neighbours_that_ase_finds(rng, scale):
    cell = scale * (np.eye(3) + 0.2 * rng.normal(size=(3, 3)))
    # Atoms outside the cell too: a trajectory is not wrapped.
    positions = rng.uniform(-1.2, 1.7, size=(1, 5, 3)) @ cell
    graph = neighbour_graph(positions, 5.0, cell)
    assert edges_of(graph, positions) == edges_of_ase(positions[0], 5.0, cell)


def test_a_batch_is_its_structures_side_by_side(rng):
    positions = rng.uniform(0.0, 14.0, size=(3, 30, 3))
    together = neighbour_graph(positions, 5.0)
    first = neighbour_graph(positions[:1], 5.0)
    n = len(first.receivers)
    assert together.receivers[:n].tolist() == first.receivers.tolist()
    assert together.structure.tolist() == [k for k in range(3) for _ in range(30)]
    assert int(together.senders.max()) < 90


def test_a_complete_graph_has_every_ordered_pair():
    graph = complete_graph(4, 2)
    assert len(graph.receivers) == 2 * 4 * 3
    pairs = set(zip(graph.receivers.tolist(), graph.senders.tolist(), strict=True))
    assert pairs == {(i, j) for i in range(8) for j in range(8) if i != j and i // 4 == j // 4}


def test_a_flat_cell_is_refused(rng):
    with pytest.raises(InputError, match="no volume"):
        neighbour_graph(rng.normal(size=(1, 3, 3)), 5.0, np.diag([5.0, 5.0, 0.0]))
