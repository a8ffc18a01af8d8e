"""Untrained models of real shape: symmetries must hold for any weights."""

import numpy as np
import pytest
import torch

from densnet.basis import DensityBasis
from densnet.models import (
    DensityMapConfig,
    DensNet,
    EnergyFunctionalConfig,
    ModelConfig,
    ResponseMapConfig,
)
from densnet.models.whitening import Whitening, largest_shell_count
from densnet.nn.graph import complete_graph

ETHANOL_NUMBERS = np.array([6, 6, 8, 1, 1, 1, 1, 1, 1])
ETHANOL_POSITIONS = np.array(
    [
        [2.31, -0.42, 0.05],
        [-0.12, 1.08, -0.03],
        [-2.25, -0.53, 0.08],
        [4.01, 0.78, -0.11],
        [2.42, -1.59, 1.78],
        [2.38, -1.72, -1.61],
        [-0.17, 2.34, 1.62],
        [-0.21, 2.27, -1.73],
        [-3.78, 0.46, 0.02],
    ]
)


def random_whitening(basis, elements, with_mean=True):
    """Whitening with random principal axes: as uneven as one from data."""
    rng = np.random.default_rng(11)
    n = largest_shell_count(basis, elements)
    mean = (0.1 if with_mean else 0.0) * rng.normal(size=(len(elements), n))
    axes = 0.3 * rng.normal(size=(basis.l_max + 1, len(elements), n, n))
    for s, z in enumerate(elements):
        for l in range(basis.l_max + 1):
            count = sum(shell.l == l for shell in basis.shells[z])
            axes[l, s, count:, :] = 0.0
            axes[l, s, :, count:] = 0.0
            if l == 0:
                mean[s, count:] = 0.0
    return Whitening(basis, elements, mean, axes)


def make_model(inputs="both", potential=False, response=False):
    torch.manual_seed(4)
    elements = (1, 6, 8)
    basis = DensityBasis.load("densnet-dz-367").restricted_to(elements)
    config = ModelConfig(
        elements,
        cutoff=8.0,
        n_radial=6,
        n_contracted=6,
        density_map=DensityMapConfig(n_channels=8),
        energy_functional=EnergyFunctionalConfig(n_channels=8, inputs=inputs, potential=potential),
        response_map=ResponseMapConfig(n_channels=6) if response else None,
    )
    reference = torch.tensor([-0.5, -37.8, -75.0])
    model = DensNet(config, random_whitening(basis, elements), reference, 0.03, 8.0)
    if model.response_map is not None:
        whitening = random_whitening(basis, elements, with_mean=False)
        model.response_map.whitening.load_state_dict(whitening.state_dict())
    return model.double().eval()


@pytest.fixture(scope="session")
def model():
    return make_model()


@pytest.fixture(scope="session")
def basis():
    return DensityBasis.load("densnet-dz-367").restricted_to((1, 6, 8))


class Evaluator:
    """Call a model with NumPy positions of one or several ethanols."""

    def __init__(self, model, numbers=ETHANOL_NUMBERS):
        self.model = model
        self.species = torch.tensor([(1, 6, 8).index(int(z)) for z in numbers])

    def __call__(self, positions):
        return self._call(self.model, positions)

    def response(self, positions):
        """Evaluate the response to an electric field instead."""
        return self._call(self.model.response, positions)

    def _call(self, function, positions):
        r = torch.as_tensor(np.asarray(positions), dtype=torch.float64).reshape(-1, 3)
        n = len(self.species)
        n_structures = len(r) // n
        graph = complete_graph(n, n_structures)
        output = function(
            r,
            self.species.repeat(n_structures),
            graph.receivers,
            graph.senders,
            graph.shifts,
            graph.structure,
            n_structures,
        )
        return {name: value.detach().numpy() for name, value in output.items()}


@pytest.fixture(scope="session")
def evaluate(model):
    return Evaluator(model)
