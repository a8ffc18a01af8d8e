"""What the stages minimise."""

from dataclasses import replace

import numpy as np
import torch

from densnet.training.config import LossConfig
from densnet.training.losses import (
    energies_and_forces,
    energy_error,
    energy_loss,
    predict_density,
    reference_components,
    sum_of_atoms,
)
from densnet.training.run import TrainingRun
from densnet.training.stages import StageLoss


def test_components_of_the_reference_are_its_coefficients(make_config):
    run = TrainingRun(make_config())
    model = run.model.double()
    batch = run.train[0].batch(torch.tensor([5, 2]))
    density = predict_density(model, batch, with_forces=False)
    components = reference_components(model, batch, density)
    padded = model.whitening.coefficients(components, batch.species)
    flat = model.whitening.flatten(padded, batch.species).view(2, -1)
    np.testing.assert_allclose(flat.detach(), batch.coefficients, atol=1e-10)


def test_the_energy_of_the_reference_density_is_one_term_of_the_loss(make_config):
    run = TrainingRun(make_config())
    batch = run.train[0].batch(torch.tensor([0, 3, 1]))
    plain = LossConfig(coefficient_noise=0.0)
    noise = torch.Generator()
    values = []
    for weight in (0.0, 3.0):
        loss = StageLoss("energy", replace(plain, energy_of_reference=weight), run.force_scale)
        values.append(loss(run.model, batch, noise))
    density = predict_density(run.model, batch, with_forces=True)
    components = reference_components(run.model, batch, density)
    atomic = run.model.atomic_energies(components, density.edges, batch.species, density.one_hot)
    term = 3.0 * energy_error(sum_of_atoms(atomic, batch), batch, run.force_scale)
    np.testing.assert_allclose((values[1] - values[0]).item(), term.item(), rtol=1e-4)
    energy, forces = energies_and_forces(
        run.model, batch, density, density.components, training=False
    )
    scale = run.force_scale
    own = energy_loss(
        energy, forces, batch, force_scale=scale, energy_weight=10.0, forces_weight=1.0
    )
    np.testing.assert_allclose(values[0].item(), own.item(), rtol=1e-4)
