"""Nothing passes from the density map to the energy functional but a density."""

import numpy as np
import pytest
import torch

from densnet.models.densnet import forget_absent_shells
from densnet.nn.graph import complete_graph
from densnet.training.optimizers import make_optimizers
from tests.models.conftest import ETHANOL_POSITIONS, make_model

SPECIES = torch.tensor([1, 1, 2, 0, 0, 0, 0, 0, 0])


def between_the_networks(model):
    """What the functional is given, and a function of it that returns the energy."""
    graph = complete_graph(9)
    r = torch.from_numpy(ETHANOL_POSITIONS)
    vectors = model.vectors(r, graph.receivers, graph.senders, graph.shifts)
    edges = model.edges(vectors, SPECIES, graph.receivers, graph.senders)
    one_hot = model.one_hot(SPECIES)
    components, _ = model.density_map(edges, SPECIES, one_hot)

    def energy(components):
        energies = model.atomic_energies(components, edges, SPECIES, one_hot)
        return float(energies.detach().sum())

    return components.detach(), energy


@pytest.mark.parametrize("inputs", ["both", "density"])
def test_components_of_absent_shells_are_zero_and_not_looked_at(inputs):
    model = make_model(inputs)
    components, energy = between_the_networks(model)
    whitening = model.whitening
    absent = ~whitening.present[whitening.l_of_m][:, SPECIES]
    # Of hydrogen's 9 × 25 components 24 are of its 5s3p2d.
    assert int((~absent[:, 3]).sum()) == 5 + 3 * 3 + 2 * 5
    assert not components[absent].any()
    disturbed = components + absent * torch.randn_like(components)
    assert energy(disturbed) == energy(components)
    assert energy(components + 1e-3 * ~absent) != energy(components)


def test_they_are_those_that_no_coefficient_depends_on():
    whitening = make_model().whitening
    depends = whitening.to_coefficients.abs().sum(dim=3) > 0.0
    assert torch.equal(depends, whitening.present)


def test_training_keeps_their_weights_zero():
    """Where both networks' weights are zero neither has a gradient."""
    torch.manual_seed(1)
    model = make_model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizers = make_optimizers(model, list(model.parameters()), 1e-2)
    for _ in range(3):
        model.zero_grad()
        components, energies = components_and_energies(model)
        (energies.square().sum() + components.square().mean()).backward()
        for optimizer in optimizers:
            optimizer.step()
    after = {name: value.clone() for name, value in model.state_dict().items()}
    readout = "density_map.readout.weight"
    assert not torch.equal(before[readout], after[readout])
    forget_absent_shells(model)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), after[name].numpy(), err_msg=name)


def components_and_energies(model):
    """Coefficients and energies, with their graph."""
    graph = complete_graph(9)
    vectors = model.vectors(
        torch.from_numpy(ETHANOL_POSITIONS), graph.receivers, graph.senders, graph.shifts
    )
    edges = model.edges(vectors, SPECIES, graph.receivers, graph.senders)
    one_hot = model.one_hot(SPECIES)
    components, charges = model.density_map(edges, SPECIES, one_hot)
    energies = model.atomic_energies(components, edges, SPECIES, one_hot)
    return model.coefficients(components, SPECIES, charges), energies
