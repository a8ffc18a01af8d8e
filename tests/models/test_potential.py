"""The potential that the functional sees is that of the neighbours' densities."""

import numpy as np
import torch

from densnet.integrals import potential_on_points
from densnet.models.potential import NeighbourPotential
from densnet.nn.edges import EdgeEmbedding
from densnet.nn.graph import complete_graph
from tests.models.conftest import (
    ETHANOL_NUMBERS,
    ETHANOL_POSITIONS,
    Evaluator,
    make_model,
    random_whitening,
)
from tests.tolerances import CENTRAL_DIFFERENCE, SYMMETRY

CUTOFF = 8.0


def test_the_potential_is_the_kernels_with_the_cutoff_on_every_pair(basis, rng):
    elements = (1, 6, 8)
    species = torch.tensor([elements.index(int(z)) for z in ETHANOL_NUMBERS])
    whitening = random_whitening(basis, elements).double()
    components = torch.from_numpy(rng.normal(size=(25, 9, whitening.n_shells)))
    padded = whitening.coefficients(components, species)
    graph = complete_graph(9)
    r = torch.from_numpy(ETHANOL_POSITIONS)
    embedding = EdgeEmbedding(CUTOFF, 6, 3, 4).double()
    edges = embedding(
        r[graph.senders] - r[graph.receivers], species, graph.receivers, graph.senders
    )
    found = NeighbourPotential(basis, elements, CUTOFF)(padded, edges, species)

    flat = whitening.flatten(padded, species).numpy()
    offset = basis.layout(ETHANOL_NUMBERS).atom_offset
    expected = np.zeros(9)
    for j in range(9):
        of_j = potential_on_points(
            basis,
            ETHANOL_NUMBERS[j : j + 1],
            ETHANOL_POSITIONS[j : j + 1],
            flat[offset[j] : offset[j + 1]],
            ETHANOL_POSITIONS,
        )
        distance = np.linalg.norm(ETHANOL_POSITIONS - ETHANOL_POSITIONS[j], axis=1)
        inside = np.clip(1.0 - (distance / CUTOFF) ** 2, 0.0, None) ** 3
        expected += np.where(np.arange(9) == j, 0.0, of_j * inside)
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(found.numpy(), expected, atol=SYMMETRY)


def test_a_functional_that_sees_the_potential_keeps_the_laws(rng):
    model = make_model("density", potential=True)
    evaluate = Evaluator(model)
    before = evaluate(ETHANOL_POSITIONS)
    mirrored = evaluate(-ETHANOL_POSITIONS)
    np.testing.assert_allclose(mirrored["energy"], before["energy"], atol=SYMMETRY)
    step = 1e-4
    shift = np.zeros((9, 3))
    shift[2, 1] = step
    up = evaluate(ETHANOL_POSITIONS + shift)["energy"][0]
    down = evaluate(ETHANOL_POSITIONS - shift)["energy"][0]
    assert abs(-(up - down) / (2.0 * step) - before["forces"][2, 1]) < CENTRAL_DIFFERENCE
    scripted = Evaluator(torch.jit.script(model))(ETHANOL_POSITIONS)
    np.testing.assert_allclose(scripted["forces"], before["forces"], atol=SYMMETRY)
    without = Evaluator(make_model("density"))(ETHANOL_POSITIONS)
    assert abs(without["energy"][0] - before["energy"][0]) > 1e-6
