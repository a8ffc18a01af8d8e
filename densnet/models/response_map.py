"""Network 3: from nuclei to the response of the density to a uniform electric field."""

import torch
from torch import Tensor, nn

from densnet.models.charge_transfer import FieldTransfer
from densnet.models.config import ModelConfig, ResponseMapConfig
from densnet.models.whitening import Whitening
from densnet.nn.angular import n_harmonics, real_spherical_harmonics
from densnet.nn.edges import Edges
from densnet.nn.field import FieldInteraction
from densnet.nn.linear import SpeciesHarmonicLinear
from densnet.nn.radial import RadialContraction


class ResponseMap(nn.Module):
    """R, Z → ∂c/∂E_x, ∂c/∂E_y, ∂c/∂E_z: layers that are linear in the field by construction.

    Each atom starts with the unit vector of the field, an l = 1 feature, times weights of its
    element and of the density map's scalars; layers of :class:`FieldInteraction` mix it with the
    density map's features, the surroundings. Nothing here changes the density map.

    Parameters
    ----------
    config : ModelConfig
    sizes : ResponseMapConfig
    whitening : Whitening
        Of response coefficients, without a mean.
    n_features : int
        Features of an atom in the density map.
    n_neighbours : float
        Typical number of neighbours in the training set.
    """

    unit_fields: Tensor

    def __init__(
        self,
        config: ModelConfig,
        sizes: ResponseMapConfig,
        whitening: Whitening,
        n_features: int,
        n_neighbours: float,
    ) -> None:
        super().__init__()
        c = sizes.n_channels
        n_species = len(config.elements)
        l_density = int(whitening.l_of_m.max())
        l_two_body = min(sizes.l_two_body, l_density)
        self.whitening = whitening
        self.n_m_environment = n_harmonics(l_two_body)
        self.n_m_density = n_harmonics(l_density)
        fields = real_spherical_harmonics(1, torch.eye(3, dtype=torch.float64)).T
        fields[0] = 0.0
        padded = torch.zeros(n_harmonics(sizes.l_features), 3, dtype=torch.float64)
        padded[:4] = fields
        self.register_buffer("unit_fields", padded, persistent=False)
        self.radial = RadialContraction(config.n_radial, config.n_contracted, n_species)
        self.species = nn.Parameter(torch.randn(n_species, c))
        self.polarity = nn.Parameter(0.1 * torch.randn(n_features, c) / n_features**0.5)
        self.interactions = nn.ModuleList(
            FieldInteraction(
                sizes.l_features,
                l_two_body,
                l_two_body,
                l_density,
                config.n_contracted,
                c,
                n_features,
                n_species,
                n_neighbours,
            )
            for _ in range(sizes.n_layers)
        )
        n_all = c * (1 + sizes.n_layers)
        self.readout = SpeciesHarmonicLinear(l_density, n_all, whitening.n_shells, n_species)
        self.transfer = FieldTransfer(
            n_all, n_features, sizes.n_transfer, config.n_radial, n_species
        )

    def forward(
        self, density_features: Tensor, edges: Edges, species: Tensor, one_hot: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Predict the response to a unit field along x, y and z.

        Parameters
        ----------
        density_features : (n_m, n_atoms, n_features)
            Of the density map.
        edges : Edges
        species : (n_atoms,) int64
        one_hot : (n_atoms, n_species)

        Returns
        -------
        (n_m, 3 · n_atoms, n_shells)
            Whitened components before the charges are set; the direction runs slowest.
        (3, n_edges)
            Electrons that each edge moves from its sender to its receiver.
        """
        n_atoms = species.size(0)
        environment = density_features[: self.n_m_environment]
        radial = self.radial(edges.pair_functions)
        weight = self.species.index_select(0, species) + torch.mm(environment[0], self.polarity)
        features = self.unit_fields.unsqueeze(2).unsqueeze(3) * weight
        features = features.view(-1, 3 * n_atoms, weight.size(1))
        above = self.n_m_density - features.size(0)
        collected = [torch.nn.functional.pad(features, [0, 0, 0, 0, 0, above])]
        for interaction in self.interactions:
            features = interaction(features, environment, radial, edges, species)
            collected.append(features)
        everything = torch.cat(collected, dim=2)
        components = self.readout(everything, one_hot.repeat(3, 1))
        transfers = self.transfer(everything[0], environment[0], edges, species)
        return components, transfers
