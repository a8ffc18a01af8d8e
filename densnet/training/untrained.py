"""A model before its first step: sizes from its configuration, units from its training frames."""

import numpy as np
import torch
from numpy.typing import NDArray

from densnet.basis import DensityBasis
from densnet.data.store import Frames
from densnet.models import DensityMapConfig, DensNet, EnergyFunctionalConfig, ModelConfig
from densnet.models.whitening import whitening_from_training
from densnet.nn.precision import set_precision
from densnet.training.config import TrainingConfig
from densnet.training.initial import InitialModel


def sizes_of_networks(
    config: TrainingConfig, initial: InitialModel | None
) -> tuple[DensityMapConfig, EnergyFunctionalConfig]:
    """Return the sizes asked for, else those of the networks taken, else the default ones."""
    density_map, energy_functional = config.density_map, config.energy_functional
    if initial is not None:
        there = initial.model.config
        if "density_map" in config.initial_networks:
            density_map = density_map or there.density_map
        if "energy_functional" in config.initial_networks:
            energy_functional = energy_functional or there.energy_functional
    return density_map or DensityMapConfig(), energy_functional or EnergyFunctionalConfig()


def build_model(
    config: TrainingConfig,
    sizes: tuple[DensityMapConfig, EnergyFunctionalConfig],
    basis: DensityBasis,
    sets: list[Frames],
) -> DensNet:
    """Make an untrained model; whitening, energies and scales come from the training frames."""
    elements = basis.elements
    density_map, energy_functional = sizes
    model_config = ModelConfig(
        elements=elements,
        cutoff=config.cutoff_bohr,
        n_radial=config.n_radial,
        n_contracted=config.n_contracted,
        density_map=density_map,
        energy_functional=energy_functional,
    )
    whitening = whitening_from_training(
        basis, elements, [(f.numbers, f.coefficients) for f in sets]
    )
    model = DensNet(
        model_config,
        whitening,
        torch.from_numpy(
            energies_of_elements(elements, sets, np.array([f.energy.mean() for f in sets]))
        ),
        force_scale(sets),
        typical_neighbours(sets, config.cutoff_bohr),
    )
    set_precision(model, torch.float32)
    return model


def energies_of_elements(
    elements: tuple[int, ...], sets: list[Frames], means: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Fit energies of elements, (n_elements,) hartree, to a mean of every set; frames count."""
    counts = np.array([[np.sum(f.numbers == z) for z in elements] for f in sets], dtype=float)
    weights = np.sqrt([len(f) for f in sets])
    return np.linalg.lstsq(weights[:, None] * counts, weights * means, rcond=None)[0]


def force_scale(sets: list[Frames]) -> float:
    """Return the root-mean-square force component, hartree/bohr."""
    squares = np.concatenate([np.square(f.forces).reshape(-1) for f in sets])
    return float(np.sqrt(squares.mean()))


def typical_neighbours(sets: list[Frames], cutoff: float) -> float:
    """Return the mean number of neighbours over the first frames of every set."""
    counts = []
    for frames in sets:
        r = frames.positions[:50]
        distance = np.linalg.norm(r[:, :, None] - r[:, None, :], axis=-1)
        counts.append((distance < cutoff).sum(axis=2).mean() - 1.0)
    return float(np.mean(counts))
