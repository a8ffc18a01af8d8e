"""The stages: the density map, the functional over a frozen density, and both together."""

import torch
from torch import Tensor, nn

from densnet.models import DensNet
from densnet.training.config import LossConfig
from densnet.training.frames import Batch
from densnet.training.losses import (
    Density,
    density_loss,
    density_residual,
    energies_and_forces,
    energy_error,
    energy_loss,
    predict_density,
    reference_components,
    sum_of_atoms,
)

STAGES = ("density", "energy", "joint")


def trainable(model: DensNet, stage: str, *, fixed_charges: bool = False) -> list[nn.Parameter]:
    """Return the parameters that a stage changes; the others are frozen by it.

    Parameters
    ----------
    model : DensNet
    stage : str
        One of ``STAGES``.
    fixed_charges : bool
        Leave the charge transfer as it is.
    """
    parts: dict[str, list[nn.Module]] = {
        "density": [model.density_map],
        "energy": [model.energy_functional],
        "joint": [model.density_map, model.energy_functional],
    }
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    fixed = set(model.density_map.transfer.parameters()) if fixed_charges else set()
    chosen = [p for part in parts[stage] for p in part.parameters() if p not in fixed]
    for parameter in chosen:
        parameter.requires_grad_(True)
    return chosen


class StageLoss:
    """The loss of one stage on one batch.

    Parameters
    ----------
    stage : str
        One of ``STAGES``.
    weights : LossConfig
    force_scale : float, hartree/bohr
        Root-mean-square force component of the training set.
    component_error : (n_m, n_species, n_shells) or None
        Root-mean-square error of the density map's components on validation frames.
    density_scale : float
        The density loss when the joint stage began.
    """

    def __init__(
        self,
        stage: str,
        weights: LossConfig,
        force_scale: float,
        component_error: Tensor | None = None,
        density_scale: float = 1.0,
    ) -> None:
        self.stage = stage
        self.weights = weights
        self.force_scale = force_scale
        self.component_error = component_error
        self.density_scale = density_scale

    def __call__(self, model: DensNet, batch: Batch, noise: torch.Generator) -> Tensor:
        """Return the mean loss of a batch."""
        density = predict_density(model, batch, with_forces=self.stage != "density")
        if self.stage == "density":
            return density_loss(density_residual(model, batch, density), batch.metric)
        components = density.components
        if self.stage == "energy":
            components = components + self._noise(density, batch, noise)
        energy, forces = energies_and_forces(model, batch, density, components, training=True)
        loss = energy_loss(
            energy,
            forces,
            batch,
            force_scale=self.force_scale,
            energy_weight=self.weights.energy,
            forces_weight=self.weights.forces,
        )
        if self.weights.energy_of_reference > 0.0:
            reference = reference_components(model, batch, density)
            atomic = model.atomic_energies(reference, density.edges, batch.species, density.one_hot)
            of_reference = energy_error(sum_of_atoms(atomic, batch), batch, self.force_scale)
            loss = loss + self.weights.energy_of_reference * of_reference
        if self.stage == "joint":
            fitted = density_loss(density_residual(model, batch, density), batch.metric)
            loss = loss + JOINT_UNIT * self.weights.density_in_joint * fitted / self.density_scale
        return loss

    def _noise(self, density: Density, batch: Batch, generator: torch.Generator) -> Tensor:
        shape = density.components.shape
        noise = torch.randn(shape, generator=generator).to(density.components)
        if self.component_error is None:
            return torch.zeros_like(noise)
        size = self.component_error.to(noise).index_select(1, batch.species)
        return self.weights.coefficient_noise * size * noise


# The density term of the joint stage counts as much as this relative force error.
JOINT_UNIT = 5e-3


@torch.no_grad()
def component_errors(model: DensNet, batches: list[Batch]) -> Tensor:
    """Return the size of the density map's errors, (n_m, n_species, n_shells), whitened units.

    Measured through the coefficients: the whitening is inverted for the residual of each element
    and l, where it can be.
    """
    whitening = model.whitening
    total = torch.zeros(whitening.n_m, whitening.n_species, whitening.n_shells, dtype=torch.float64)
    count = torch.zeros(whitening.n_species, dtype=torch.float64)
    for batch in batches:
        density = predict_density(model, batch, with_forces=False)
        residual = density_residual(model, batch, density).to(torch.float64)
        whitened = whitening.components_of_difference(residual.reshape(-1), batch.species)
        for s in range(whitening.n_species):
            of_species = whitened[:, batch.species == s].cpu()
            total[:, s] += torch.square(of_species).sum(dim=1)
            count[s] += of_species.size(1)
    by_m = torch.sqrt(total / torch.clamp(count, min=1.0)[None, :, None])
    # All m of an l share one size, or the noise would not be rotationally invariant.
    l_of_m = whitening.l_of_m.cpu()
    by_l = [
        torch.square(by_m[l_of_m == l]).mean(dim=0).sqrt() for l in range(int(l_of_m.max()) + 1)
    ]
    return torch.stack(by_l)[l_of_m].to(next(model.parameters()).device)
