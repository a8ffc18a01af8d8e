"""The charges of atoms that a training starts from.

∫Δρ_A of the functions on an atom is no observable: functions of neighbours overlap, and atoms
without any charge can say nearly the same density. From random weights a density map learns just
that, at the price of a tenth of the density's accuracy. Charges that follow those of the fitted
densities from frame to frame are worse: all other coefficients would have to follow them. What
serves is what an atom has on average, the same whatever the molecule does.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from densnet.basis import DensityBasis
from densnet.data.store import Frames
from densnet.models import DensNet
from densnet.training.frames import batch_graph

# Frames of a set that the transfers are fitted on.
LARGEST_SAMPLE = 300
# How much more a change from frame to frame counts than a mean that is off.
STEADINESS = 100.0
# Of the mean square of the functions of a distance, which overlap.
RIDGE = 1e-6


def begin_with_mean_charges(model: DensNet, basis: DensityBasis, sets: list[Frames]) -> None:
    """Set the charge transfer of an untrained model so that atoms have their mean charges.

    Q_i = Σ_j f_ab(r_ij) with f_ba = −f_ab for atoms i and j of elements a and b, by least squares:
    near the mean charge of each atom over the frames of its set, and steady. One product of the
    transfer serves a pair of elements, u_a = v_b = 1, the most frequent first; the others, and what
    the features of the atoms add, begin without effect.

    Parameters
    ----------
    model : DensNet
        Changed in place.
    basis : DensityBasis
    sets : list of Frames
        With coefficients.
    """
    transfer = model.density_map.transfer
    elements = model.config.elements
    pairs = frequent_pairs(elements, sets)[: transfer.n_transfer]
    with torch.no_grad():
        transfer.mix.zero_()
        transfer.radial.zero_()
    if not pairs:
        return
    designs, targets = [], []
    for frames in sets:
        sample = frames.subset(np.arange(len(frames))[:: -(-len(frames) // LARGEST_SAMPLE)])
        sums = pair_sums(model, sample, pairs)
        mean = sums.mean(axis=0)
        changes = (sums - mean).reshape(-1, mean.shape[1])
        designs += [mean, np.sqrt(STEADINESS / len(sample)) * changes]
        charges = atomic_charges(basis, frames.numbers, frames.coefficients)
        targets += [charges.mean(axis=0), np.zeros(len(changes))]
    x, y = np.concatenate(designs), np.concatenate(targets)
    normal = x.T @ x
    ridge = RIDGE * np.trace(normal) / len(normal)
    weights = np.linalg.solve(normal + ridge * np.eye(len(normal)), x.T @ y)
    with torch.no_grad():
        for k, (a, b) in enumerate(pairs):
            transfer.species[:, [k, transfer.n_transfer + k]] = 0.0
            transfer.species[elements.index(a), k] = 1.0
            transfer.species[elements.index(b), transfer.n_transfer + k] = 1.0
            transfer.radial[:, k] = torch.from_numpy(weights.reshape(len(pairs), -1)[k])


def atomic_charges(
    basis: DensityBasis, numbers: NDArray[np.int64], coefficients: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return ∫Δρ_A, electrons, (n_frames, n_atoms), from coefficients (n_frames, n_functions)."""
    layout = basis.layout(numbers)
    of_atom = np.zeros((layout.n_functions, len(numbers)))
    of_atom[np.arange(layout.n_functions), layout.atom] = layout.monopole
    return np.asarray(coefficients @ of_atom)


def frequent_pairs(elements: tuple[int, ...], sets: list[Frames]) -> list[tuple[int, int]]:
    """Return the pairs of different elements, those with the most atoms in all frames first."""
    counts = {z: sum(len(f) * int(np.sum(f.numbers == z)) for f in sets) for z in elements}
    pairs = [(a, b) for i, a in enumerate(elements) for b in elements[i + 1 :]]
    return sorted(pairs, key=lambda pair: -min(counts[pair[0]], counts[pair[1]]))


def pair_sums(model: DensNet, frames: Frames, pairs: list[tuple[int, int]]) -> NDArray[np.float64]:
    """Return Σ_j ±R_n(r_ij) over the atoms j that make a pair of elements with atom i.

    Returns
    -------
    (n_frames, n_atoms, n_pairs · n_radial) float64
        Plus where i is of the first element of a pair, minus where it is of the second.
    """
    n_frames, n_atoms, _ = frames.positions.shape
    positions = torch.from_numpy(np.ascontiguousarray(frames.positions))
    graph = batch_graph(positions, model.cutoff)
    elements = model.config.elements
    species = torch.tensor([elements.index(int(z)) for z in frames.numbers]).repeat(n_frames)
    r = positions.reshape(-1, 3)
    vectors = r[graph.senders] - r[graph.receivers] + graph.shifts
    with torch.no_grad():
        edges = model.edges(vectors, species, graph.receivers, graph.senders)
    functions = edges.distance_functions.double()
    receivers, senders = species[graph.receivers], species[graph.senders]
    sums = torch.zeros(n_frames * n_atoms, len(pairs), functions.size(1), dtype=torch.float64)
    for k, (a, b) in enumerate(pairs):
        first, second = elements.index(a), elements.index(b)
        sign = ((receivers == first) & (senders == second)).double()
        sign -= ((receivers == second) & (senders == first)).double()
        sums[:, k].index_add_(0, graph.receivers, sign.unsqueeze(1) * functions)
    return sums.reshape(n_frames, n_atoms, -1).numpy()
