"""Atoms have the charges that the fitted densities give them on average, and keep them."""

import numpy as np
import torch

from densnet.basis import DensityBasis
from densnet.training.initial_charges import atomic_charges
from densnet.training.losses import predict_density
from densnet.training.run import TrainingRun


def charges_of(run: TrainingRun) -> np.ndarray:
    frames = run.train[0]
    batch = frames.batch(torch.arange(len(frames)))
    with torch.no_grad():
        charges = predict_density(run.model, batch, with_forces=False).charges
    return charges.view(len(frames), -1).numpy()


def test_atoms_have_the_mean_charges_of_the_fitted_densities_before_and_after(make_config):
    run = TrainingRun(make_config(atomic_charges="mean"))
    (frames,) = run.train_sets
    fitted = atomic_charges(run.basis, frames.numbers, frames.coefficients)
    found = charges_of(run)
    mean = fitted.mean(axis=0)
    assert np.abs(mean).max() > 0.15
    assert np.abs(found.mean(axis=0) - mean).max() < 0.02
    # They do not follow those of single frames, which scatter by more.
    assert found.std(axis=0).max() < 0.003 < 0.01 < fitted.std(axis=0).min()
    assert np.abs(found.sum(axis=1)).max() < 1e-12
    weights = [p.clone() for p in run.model.density_map.parameters()]
    run.run()
    assert np.array_equal(charges_of(run), found)
    assert not all(map(torch.equal, weights, run.model.density_map.parameters()))


def test_charges_of_atoms_are_the_integrals_of_their_functions():
    basis = DensityBasis.load("densnet-dz-367")
    numbers = np.array([8, 1, 1])
    layout = basis.layout(numbers)
    coefficients = np.zeros((2, layout.n_functions))
    first = np.flatnonzero((layout.atom == 1) & (layout.l == 0))[0]
    coefficients[1, first] = 2.0
    expected = [[0.0] * 3, [0.0, 2.0 * layout.monopole[first], 0.0]]
    np.testing.assert_allclose(atomic_charges(basis, numbers, coefficients), expected)
