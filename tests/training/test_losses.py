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
    weights = {"energy_weight": plain.energy, "forces_weight": plain.forces}
    own = energy_loss(energy, forces, batch, force_scale=scale, **weights)
    np.testing.assert_allclose(values[0].item(), own.item(), rtol=1e-4)


def test_errors_count_by_their_size_not_by_their_squares(make_config):
    run = TrainingRun(make_config())
    batch = run.train[0].batch(torch.tensor([0, 3, 1]))
    scale = run.force_scale
    settings = {"force_scale": scale, "energy_weight": 2.0, "forces_weight": 3.0}
    n_atoms = len(batch.forces) // 3
    # The least error here is a hundred times the corner at zero.
    for factor in (1.0, 40.0):
        energy, wrong = batch.energy.clone(), batch.forces.clone()
        energy[2] += factor * 0.3 * scale
        wrong[-2] += factor * scale * torch.tensor([0.3, 0.4, 0.0])
        of_energy = 0.3 / np.sqrt(n_atoms) / 3
        of_forces = 0.5 / np.sqrt(3.0) / (3 * n_atoms)
        expected = factor * (2.0 * of_energy + 3.0 * of_forces)
        loss = energy_loss(energy, wrong, batch, **settings).item()
        np.testing.assert_allclose(loss, expected, rtol=0.02)


def test_the_loss_has_a_slope_where_the_error_is_zero(make_config):
    run = TrainingRun(make_config())
    batch = run.train[0].batch(torch.tensor([0, 3]))
    energy = batch.energy.clone().requires_grad_()
    forces = batch.forces.clone().requires_grad_()
    loss = energy_loss(
        energy, forces, batch, force_scale=run.force_scale, energy_weight=2.0, forces_weight=1.0
    )
    assert loss.item() == 0.0
    for slope in torch.autograd.grad(loss, [energy, forces]):
        assert torch.equal(slope, torch.zeros_like(slope))
