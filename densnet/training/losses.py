"""Losses, and the errors in physical units that a user reads."""

from dataclasses import dataclass

import torch
from torch import Tensor

from densnet.models import DensNet
from densnet.nn.edges import Edges
from densnet.training.frames import Batch, Structures
from densnet.training.metric import FusedMetric, StoredMetric
from densnet.units import AU_DEBYE, HARTREE_BOHR_MEV_ANGSTROM, HARTREE_MEV

# Below these, relative to the root-mean-square force, errors count as their squares do.
FORCE_CORNER = 3e-3
ENERGY_CORNER = 1.5e-4


@dataclass(frozen=True, eq=False)
class Density:
    """A predicted density of a batch.

    Parameters
    ----------
    edges : Edges
    vectors : (n_edges, 3) float64, bohr
        What forces are derived from.
    components : (n_m, n_atoms, n_shells)
    charges : (n_atoms,) float64
    one_hot : (n_atoms, n_species)
    """

    edges: Edges
    vectors: Tensor
    components: Tensor
    charges: Tensor
    one_hot: Tensor


def predict_density(model: DensNet, batch: Structures, *, with_forces: bool) -> Density:
    """Run the density map; ``with_forces`` keeps what derivatives by positions need."""
    graph = batch.graph
    r = batch.positions
    vectors = r.index_select(0, graph.senders) - r.index_select(0, graph.receivers) + graph.shifts
    vectors = vectors.requires_grad_(with_forces)
    one_hot = model.one_hot(batch.species)
    edges = model.edges(vectors, batch.species, graph.receivers, graph.senders)
    components, charges = model.density_map(edges, batch.species, one_hot)
    return Density(edges, vectors, components, charges, one_hot)


def density_residual(model: DensNet, batch: Batch, density: Density) -> Tensor:
    """Return predicted minus reference coefficients, (n_structures, n_functions)."""
    padded = model.whitening.coefficients(density.components, batch.species)
    flat = model.whitening.flatten(padded, batch.species).view(batch.n_structures, -1)
    return flat - batch.coefficients.to(flat.dtype)


def reference_components(model: DensNet, batch: Batch, density: Density) -> Tensor:
    """Return the whitened components of the reference density, (n_m, n_atoms, n_shells)."""
    with torch.no_grad():
        residual = density_residual(model, batch, density).reshape(-1)
        difference = model.whitening.components_of_difference(-residual, batch.species)
        return density.components + difference.to(density.components.dtype)


def density_loss(residual: Tensor, metric: StoredMetric | FusedMetric) -> Tensor:
    """Return the mean of ΔcᵀMΔc over the batch; M holds Coulomb, overlap and dipole terms."""
    return metric.quadratic(residual).mean()


def energies_and_forces(
    model: DensNet, batch: Structures, density: Density, components: Tensor, *, training: bool
) -> tuple[Tensor, Tensor]:
    """Return energies (n_structures,) and forces (n_atoms, 3), the total derivative.

    Parameters
    ----------
    components : (n_m, n_atoms, n_shells)
        What the functional sees; the density's own, or those with noise.
    training : bool
        Keep the graph, so that forces can be differentiated by the weights.
    """
    atomic = model.atomic_energies(components, density.edges, batch.species, density.one_hot)
    gradient = torch.autograd.grad(atomic.sum(), density.vectors, create_graph=training)[0]
    graph = batch.graph
    forces = torch.zeros_like(batch.positions).index_add(0, graph.receivers, gradient)
    forces = forces.index_add(0, graph.senders, -gradient)
    return sum_of_atoms(atomic, batch), forces


def sum_of_atoms(atomic: Tensor, batch: Structures) -> Tensor:
    """Return the energies (n_structures,) from those of the atoms."""
    energy = torch.zeros(batch.graph.n_structures, dtype=torch.float64, device=atomic.device)
    return energy.index_add(0, batch.graph.structure, atomic)


def energy_loss(
    energy: Tensor,
    forces: Tensor,
    batch: Batch,
    *,
    force_scale: float,
    energy_weight: float,
    forces_weight: float,
) -> Tensor:
    """Return the weighted mean errors in units of the root-mean-square force (times a bohr).

    Not their squares, which would let the frames with the largest errors rule.
    """
    squares = torch.square((forces - batch.forces) / force_scale).mean(dim=1)
    energy_term = energy_error(energy, batch, force_scale)
    return energy_weight * energy_term + forces_weight * pseudo_huber(squares, FORCE_CORNER).mean()


def energy_error(energy: Tensor, batch: Batch, force_scale: float) -> Tensor:
    """Return the mean error of the energy per √atom, in units of the force scale."""
    n_atoms = batch.species.size(0) / batch.n_structures
    squares = torch.square((energy - batch.energy) / force_scale) / n_atoms
    return pseudo_huber(squares, ENERGY_CORNER).mean()


def pseudo_huber(squares: Tensor, corner: float) -> Tensor:
    """Return √(δ² + e²) − δ of squared errors e², the pseudo-Huber loss over δ."""
    return torch.sqrt(squares + corner**2) - corner


@dataclass(frozen=True)
class Errors:
    """Errors on a set of frames in the units people use.

    Parameters
    ----------
    coulomb : float
        √⟨ΔcᵀMΔc⟩ of the loss metric.
    dipole_mae_millidebye : float
        Mean length of the dipole error's components.
    energy_mae_mev : float
    forces_mae_mev_angstrom : float
        NaN before the functional is trained.
    """

    coulomb: float
    dipole_mae_millidebye: float
    energy_mae_mev: float
    forces_mae_mev_angstrom: float


def compute_errors(model: DensNet, batches: list[Batch], *, with_energy: bool) -> Errors:
    """Measure the errors of a model on some batches."""
    totals = torch.zeros(4, dtype=torch.float64)
    n_structures = 0
    n_components = 0
    for batch in batches:
        density = predict_density(model, batch, with_forces=with_energy)
        if with_energy:
            energy, forces = energies_and_forces(
                model, batch, density, density.components, training=False
            )
            totals[2] += (energy - batch.energy).abs().sum().item()
            totals[3] += (forces - batch.forces).abs().sum().item()
            n_components += forces.numel()
        with torch.no_grad():
            components = density.components.detach()
            residual = density_residual(model, batch, density).detach()
            totals[0] += density_loss(residual, batch.metric).item() * batch.n_structures
            charges = density.charges.detach()
            padded = model.coefficients(components, batch.species, charges)
            dipole = model.dipole(
                padded,
                charges,
                batch.positions,
                batch.species,
                batch.graph.structure,
                batch.n_structures,
            )
            totals[1] += (dipole - batch.dipole).abs().sum().item() / 3.0
        n_structures += batch.n_structures
    nan = float("nan")
    return Errors(
        coulomb=float(torch.sqrt(totals[0] / n_structures)),
        dipole_mae_millidebye=float(totals[1] / n_structures * AU_DEBYE * 1e3),
        energy_mae_mev=float(totals[2] / n_structures * HARTREE_MEV) if with_energy else nan,
        forces_mae_mev_angstrom=(
            float(totals[3] / n_components * HARTREE_BOHR_MEV_ANGSTROM) if with_energy else nan
        ),
    )
