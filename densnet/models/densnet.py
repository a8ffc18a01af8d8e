"""The networks and everything that follows from them: one call gives all observables."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from densnet.models.charge_transfer import gained_electrons
from densnet.models.config import ModelConfig, ResponseMapConfig
from densnet.models.density_map import DensityMap
from densnet.models.energy_functional import EnergyFunctional
from densnet.models.potential import NeighbourPotential
from densnet.models.response_map import ResponseMap
from densnet.models.whitening import Whitening, empty_whitening
from densnet.nn.edges import EdgeEmbedding, Edges
from densnet.nn.linear import keep_weights
from densnet.nn.precision import set_precision


class DensNet(nn.Module):
    """Nuclei → density → energy, forces, dipole; with a response map, polarizability too.

    Parameters
    ----------
    config : ModelConfig
    whitening : Whitening
    reference_energies : (n_species,) float64, hartree
        Subtracted per atom before learning.
    energy_scale : float, hartree
        Unit of the functional's output.
    n_neighbours : float
        Typical number of neighbours in the training set.
    """

    reference_energies: Tensor
    energy_scale: Tensor

    def __init__(
        self,
        config: ModelConfig,
        whitening: Whitening,
        reference_energies: Tensor,
        energy_scale: float,
        n_neighbours: float,
    ) -> None:
        super().__init__()
        l_density = int(whitening.l_of_m.max())
        config.check_degrees(l_density)
        n_species = len(config.elements)
        self.n_species = n_species
        self.cutoff = config.cutoff
        self.config = config
        self.n_neighbours = n_neighbours
        self.whitening = whitening
        self.embedding = EdgeEmbedding(config.cutoff, config.n_radial, n_species, l_density)
        self.density_map = DensityMap(config, whitening, n_neighbours)
        self.energy_functional = EnergyFunctional(config, whitening, n_neighbours)
        forget_absent_shells(self)
        self.potential: NeighbourPotential | None = None
        if config.energy_functional.potential:
            self.potential = NeighbourPotential(whitening.basis, config.elements, config.cutoff)
        self.response_map: ResponseMap | None = None
        if config.response_map is not None:
            self.response_map = ResponseMap(
                config,
                config.response_map,
                empty_whitening(whitening.basis, config.elements),
                self.density_map.n_features,
                n_neighbours,
            )
        self.register_buffer("reference_energies", reference_energies.to(torch.float64))
        self.register_buffer("energy_scale", torch.tensor(energy_scale, dtype=torch.float64))

    def edges(self, vectors: Tensor, species: Tensor, receivers: Tensor, senders: Tensor) -> Edges:
        """Return the functions of the edge vectors, in the precision of the networks."""
        weights = self.energy_functional.species
        return self.embedding(vectors.to(weights.dtype), species, receivers, senders)

    def one_hot(self, species: Tensor) -> Tensor:
        """Return (n_atoms, n_species) in the precision of the networks."""
        weights = self.energy_functional.species
        return torch.nn.functional.one_hot(species, self.n_species).to(weights.dtype)

    def atomic_energies(
        self, components: Tensor, edges: Edges, species: Tensor, one_hot: Tensor
    ) -> Tensor:
        """Return the atoms' energies, (n_atoms,) float64, hartree."""
        at_nuclei = torch.zeros_like(components[0, :, 0])
        potential = self.potential
        if potential is not None:
            padded = self.whitening.coefficients(components, species)
            at_nuclei = potential(padded, edges, species)
        functional = self.energy_functional(components, at_nuclei, edges, species, one_hot)
        learned = functional.to(torch.float64)
        return self.reference_energies.index_select(0, species) + self.energy_scale * learned

    def coefficients(self, components: Tensor, species: Tensor, charges: Tensor) -> Tensor:
        """Return padded coefficients of Δρ in float64, every atom's charge exact.

        Parameters
        ----------
        components : (n_m, n_atoms, n_shells)
        species : (n_atoms,) int64
        charges : (n_atoms,) float64
            ∫Δρ_A, electrons.

        Returns
        -------
        (n_m, n_atoms, n_shells) float64
        """
        exact = self.whitening.with_charges(components.to(torch.float64), species, charges)
        return self.whitening.coefficients(exact, species)

    def dipole(
        self,
        padded: Tensor,
        charges: Tensor,
        positions: Tensor,
        species: Tensor,
        structure: Tensor,
        n_structures: int,
    ) -> Tensor:
        """Return −Σ_A (Q_A R_A + p_A), (n_structures, 3) float64, e·bohr, electrons negative."""
        local = self.whitening.atomic_dipoles(padded, species)
        of_atoms = -(charges.unsqueeze(1) * positions + local)
        total = torch.zeros([n_structures, 3], dtype=torch.float64, device=positions.device)
        return total.index_add(0, structure, of_atoms)

    def forward(
        self,
        positions: Tensor,
        species: Tensor,
        receivers: Tensor,
        senders: Tensor,
        shifts: Tensor,
        structure: Tensor,
        n_structures: int,
    ) -> dict[str, Tensor]:
        """Evaluate a batch of structures.

        Parameters
        ----------
        positions : (n_atoms, 3) float64, bohr
            All structures' atoms, one after the other.
        species : (n_atoms,) int64
        receivers, senders : (n_edges,) int64
        shifts : (n_edges, 3) float64, bohr
        structure : (n_atoms,) int64
        n_structures : int

        Returns
        -------
        dict
            ``energy`` (n_structures,), ``forces`` (n_atoms, 3), ``virial`` (n_structures, 3, 3),
            ``dipole`` (n_structures, 3), ``coefficients`` (n_functions of all atoms,), ``charges``
            (n_atoms,); float64, atomic units. The virial is −dE/dε for a strain ε.
        """
        vectors = self.vectors(positions, receivers, senders, shifts)
        found = self.differentiated(vectors, species, receivers, senders)
        return self.observables(
            positions, vectors, species, receivers, senders, structure, n_structures, found
        )

    def vectors(
        self, positions: Tensor, receivers: Tensor, senders: Tensor, shifts: Tensor
    ) -> Tensor:
        """Return r_j − r_i of every edge, (n_edges, 3) float64, bohr."""
        ends = positions.index_select(0, senders) - positions.index_select(0, receivers)
        return ends + shifts

    def differentiated(
        self, vectors: Tensor, species: Tensor, receivers: Tensor, senders: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Evaluate the networks, and the energy's gradient by the edge vectors.

        Returns
        -------
        (n_atoms,) float64, hartree
            Energies of the atoms.
        (n_edges, 3) float64, hartree/bohr
            The gradient of their sum.
        (n_m, n_atoms, n_shells)
            Whitened components of Δρ.
        (n_atoms,) float64
            Electrons that the atoms have gained.
        """
        vectors = vectors.detach().requires_grad_(True)
        one_hot = self.one_hot(species)
        edges = self.edges(vectors, species, receivers, senders)
        components, charges = self.density_map(edges, species, one_hot)
        energies = self.atomic_energies(components, edges, species, one_hot)
        gradient = torch.autograd.grad([energies.sum()], [vectors])[0]
        assert gradient is not None
        return energies.detach(), gradient, components.detach(), charges.detach()

    def observables(
        self,
        positions: Tensor,
        vectors: Tensor,
        species: Tensor,
        receivers: Tensor,
        senders: Tensor,
        structure: Tensor,
        n_structures: int,
        found: tuple[Tensor, Tensor, Tensor, Tensor],
    ) -> dict[str, Tensor]:
        """Return what :meth:`forward` does, from what :meth:`differentiated` does."""
        energies, gradient, components, charges = found
        energy = torch.zeros(n_structures, dtype=torch.float64, device=positions.device)
        energy = energy.index_add(0, structure, energies)
        forces = torch.zeros_like(positions).index_add(0, receivers, gradient)
        forces = forces.index_add(0, senders, -gradient)
        outer = -(vectors.unsqueeze(2) * gradient.unsqueeze(1)).view(-1, 9)
        virial = torch.zeros([n_structures, 9], dtype=torch.float64, device=positions.device)
        virial = virial.index_add(0, structure.index_select(0, receivers), outer)
        padded = self.coefficients(components, species, charges)
        return {
            "energy": energy,
            "forces": forces,
            "virial": virial.view(n_structures, 3, 3),
            "dipole": self.dipole(padded, charges, positions, species, structure, n_structures),
            "coefficients": self.whitening.flatten(padded, species),
            "charges": charges,
        }

    @torch.jit.export
    def response(
        self,
        positions: Tensor,
        species: Tensor,
        receivers: Tensor,
        senders: Tensor,
        shifts: Tensor,
        structure: Tensor,
        n_structures: int,
    ) -> dict[str, Tensor]:
        """Evaluate the response of a batch of structures to a uniform electric field.

        With t the electrons that move along an edge, r its vector and p the atoms' own dipoles,
        α_xy = Σ_edges t^y r_x − Σ_A p^y_A,x: the dipole of ∂ρ/∂E_y, without an origin.

        Parameters
        ----------
        positions, species, receivers, senders, shifts, structure, n_structures
            As in :meth:`forward`.

        Returns
        -------
        dict
            ``polarizability`` (n_structures, 3, 3), bohr³, symmetrised; ``asymmetry``
            (n_structures, 3, 3), bohr³, the antisymmetric part, which the exact response does not
            have; ``coefficient_response`` (3, n_functions of all atoms) of ∂ρ/∂E, field +r·E on
            electrons, and ``charge_response`` (3, n_atoms), electrons gained; float64.

        Raises
        ------
        RuntimeError
            If the model has no response map.
        """
        head = self.response_map
        if head is not None:
            vectors = self.vectors(positions, receivers, senders, shifts)
            one_hot = self.one_hot(species)
            edges = self.edges(vectors, species, receivers, senders)
            features = self.density_map.features(edges, species)
            components, transfers = head(features, edges, species, one_hot)
            n_atoms = species.size(0)
            moved = transfers.to(torch.float64)
            charges = gained_electrons(moved, edges, n_atoms)
            triple = species.repeat(3)
            components = components.to(torch.float64)
            exact = head.whitening.with_charges(components, triple, charges.view(-1))
            padded = head.whitening.coefficients(exact, triple)
            own = head.whitening.atomic_dipoles(padded, triple).view(3, n_atoms, 3)
            of_edges = moved.t().unsqueeze(1) * vectors.unsqueeze(2)
            alpha = torch.zeros([n_structures, 3, 3], dtype=torch.float64, device=positions.device)
            alpha = alpha.index_add(0, structure.index_select(0, receivers), of_edges)
            alpha = alpha.index_add(0, structure, -own.permute(1, 2, 0))
            transposed = alpha.transpose(1, 2)
            return {
                "polarizability": 0.5 * (alpha + transposed),
                "asymmetry": 0.5 * (alpha - transposed),
                "coefficient_response": head.whitening.flatten(padded, triple).view(3, -1),
                "charge_response": charges,
            }
        raise RuntimeError("this model has no response map")


def forget_absent_shells(model: DensNet) -> None:
    """Let the two networks exchange nothing but the density.

    An element may have fewer shells of some l than another. Components of shells that it does not
    have are part of no density, but the functional would read what the density map writes there.
    Where both weights are zero neither has a gradient, so that training keeps them zero.
    """
    present = model.whitening.present
    keep_weights(model.density_map.readout, outputs=present)
    density = model.energy_functional.density
    keep_weights(density, inputs=present[: density.weight.size(0)])


def with_response_map(model: DensNet, sizes: ResponseMapConfig) -> DensNet:
    """Return the same model, in the same precision, with an untrained response map of these sizes.

    Everything else keeps its weights; a response map that the model has is replaced.
    """
    grown = _with_config(model, replace(model.config, response_map=sizes))
    kept = {k: v for k, v in model.state_dict().items() if not k.startswith("response_map.")}
    own = {k: v for k, v in grown.state_dict().items() if k.startswith("response_map.")}
    grown.load_state_dict({**kept, **own})
    return grown


def with_centroid_temperature(model: DensNet, kelvin: float) -> DensNet:
    """Return a copy of a model whose energy is said to be one of centroids, see `ModelConfig`."""
    copy = _with_config(model, replace(model.config, centroid_kelvin=kelvin))
    copy.load_state_dict(model.state_dict())
    return copy


def _with_config(model: DensNet, config: ModelConfig) -> DensNet:
    """Return an untrained model of another configuration, its whitening and scales the same."""
    other = DensNet(
        config,
        model.whitening,
        model.reference_energies,
        model.energy_scale.item(),
        model.n_neighbours,
    )
    set_precision(other, model.energy_functional.species.dtype)
    return other
