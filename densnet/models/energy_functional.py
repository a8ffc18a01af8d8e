"""Network 2: from the density (and the nuclei) to the energy."""

import math

import torch
from e3nn import o3
from torch import Tensor, nn

from densnet.models.config import ModelConfig
from densnet.models.whitening import Whitening
from densnet.nn.angular import n_harmonics
from densnet.nn.edges import Edges
from densnet.nn.interaction import Interaction, LocalInteraction
from densnet.nn.linear import SpeciesHarmonicLinear
from densnet.nn.radial import RadialContraction


class EnergyFunctional(nn.Module):
    """c, R, Z → atomic energies, in units of the training set's root-mean-square force times bohr.

    The whitened coefficients of Δρ are the first equivariant features of the atoms; convolutions
    over neighbours and products on the sphere follow; an atom's scalars give its energy.

    Parameters
    ----------
    config : ModelConfig
    whitening : Whitening
    n_neighbours : float
        Typical number of neighbours in the training set.
    """

    def __init__(self, config: ModelConfig, whitening: Whitening, n_neighbours: float) -> None:
        super().__init__()
        sizes = config.energy_functional
        n_species = len(config.elements)
        c = sizes.n_channels
        l_in = sizes.l_two_body
        self.irreps_in = o3.Irreps(
            [(whitening.n_shells, ir) for _, ir in o3.Irreps.spherical_harmonics(l_in)]
        )
        self.irreps_out = o3.Irreps("0e")
        self.uses_density = sizes.inputs != "geometry"
        self.n_m_in = n_harmonics(l_in)
        self.n_m_features = n_harmonics(sizes.l_features)
        self.n_m_product = n_harmonics(sizes.l_two_body)
        self.radial = RadialContraction(config.n_radial, config.n_contracted, n_species)
        self.species = nn.Parameter(torch.randn(n_species, c))
        self.potential_weight: nn.Parameter | None = None
        if sizes.potential:
            self.potential_weight = nn.Parameter(torch.randn(n_species, c))
        self.density = SpeciesHarmonicLinear(l_in, whitening.n_shells, c, n_species)
        n_exchanging = 0 if sizes.inputs == "density" else sizes.n_layers
        self.interactions = nn.ModuleList(
            Interaction(
                sizes.l_features,
                sizes.l_two_body,
                sizes.l_features,
                config.n_contracted,
                c,
                n_species,
                n_neighbours,
            )
            for _ in range(n_exchanging)
        )
        self.local_interactions = nn.ModuleList(
            LocalInteraction(sizes.l_features, sizes.l_two_body, c, n_species)
            for _ in range(sizes.n_layers - n_exchanging)
        )
        self.hidden = nn.Linear(c * sizes.n_layers, sizes.n_hidden)
        self.out = nn.Linear(sizes.n_hidden, 1)
        self.direct = nn.Parameter(0.1 * torch.randn(c * sizes.n_layers, 1) / math.sqrt(c))

    def forward(
        self,
        components: Tensor,
        potential: Tensor,
        edges: Edges,
        species: Tensor,
        one_hot: Tensor,
    ) -> Tensor:
        """Return the energies of the atoms, (n_atoms,).

        Parameters
        ----------
        components : (n_m, n_atoms, n_shells)
            Whitened coefficients of Δρ.
        potential : (n_atoms,), e/bohr
            Of the neighbours' Δρ at the nuclei; not looked at unless configured.
        edges : Edges
        species : (n_atoms,) int64
        one_hot : (n_atoms, n_species)
        """
        start = self.initial_features(components, potential, species, one_hot)
        features = start[: self.n_m_features]
        radial = self.radial(edges.pair_functions)
        collected: list[Tensor] = []
        for interaction in self.interactions:
            features = interaction(features, start, radial, edges, species)
            collected.append(features[0])
        for local_interaction in self.local_interactions:
            features = local_interaction(features, start, species)
            collected.append(features[0])
        scalars = torch.cat(collected, dim=1)
        hidden = torch.nn.functional.silu(self.hidden(scalars))
        return (self.out(hidden) + torch.mm(scalars, self.direct)).squeeze(1)

    def initial_features(
        self, components: Tensor, potential: Tensor, species: Tensor, one_hot: Tensor
    ) -> Tensor:
        """Return the atoms' first features, ((l_two_body + 1)², n_atoms, n_channels)."""
        embedded = self.species.index_select(0, species).unsqueeze(0)
        weight = self.potential_weight
        if weight is not None:
            of_atoms = potential.unsqueeze(1) * weight.index_select(0, species)
            embedded = embedded + of_atoms.unsqueeze(0)
        if not self.uses_density:
            return torch.nn.functional.pad(embedded, [0, 0, 0, 0, 0, self.n_m_product - 1])
        features = self.density(components[: self.n_m_in], one_hot)
        return torch.cat([features[:1] + embedded, features[1:]], dim=0)
