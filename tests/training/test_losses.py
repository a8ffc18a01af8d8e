"""What the stages minimise."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from densnet.errors import InputError
from densnet.training.config import LossConfig
from densnet.training.losses import (
    energies_and_forces,
    energy_error,
    energy_loss,
    predict_density,
    reference_components,
    sum_of_atoms,
    weights_of_frames,
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


def test_frames_count_by_their_forces(make_config):
    run = TrainingRun(make_config())
    batch = run.train[0].batch(torch.tensor([0, 3, 1]))
    forces = batch.forces.reshape(3, -1).clone()
    scale, floor = run.force_scale, 0.25
    forces *= scale * torch.tensor([[1.0], [0.0], [4.0]]) / forces.square().mean(1).sqrt()[:, None]
    batch = replace(batch, forces=forces.reshape(-1, 3))
    weights = weights_of_frames(batch, scale, floor)
    assert isinstance(weights, torch.Tensor)
    np.testing.assert_allclose(weights, [1.0, 17.0, 17.0 / 257.0], rtol=1e-6)
    # Errors of one frame alone: the loss is what it was, times the weight of that frame.
    energy, wrong = batch.energy.clone(), batch.forces.clone()
    energy[2] += 0.01
    wrong[-2] += 0.01
    errors = {"force_scale": scale, "energy_weight": 10.0, "forces_weight": 1.0}
    plain = energy_loss(energy, wrong, batch, **errors)
    weighted = energy_loss(energy, wrong, batch, **errors, frame_weights=weights)
    np.testing.assert_allclose(weighted, plain * weights[2])


def test_every_term_of_a_stage_has_the_weights_of_frames(make_config):
    run = TrainingRun(make_config())
    batch = run.train[0].batch(torch.tensor([2]))
    weights = weights_of_frames(batch, run.force_scale, 0.5)
    assert isinstance(weights, torch.Tensor)
    assert abs(float(weights) - 1.0) > 0.01
    plain = LossConfig(coefficient_noise=0.0, energy_of_reference=3.0)
    values = [
        StageLoss("energy", replace(plain, force_floor=floor), run.force_scale)(
            run.model, batch, torch.Generator()
        ).item()
        for floor in (None, 0.5)
    ]
    np.testing.assert_allclose(values[1], values[0] * float(weights), rtol=1e-5)


def test_a_floor_that_is_not_positive_is_refused():
    with pytest.raises(InputError, match="force_floor must be positive"):
        LossConfig(force_floor=0.0)
