"""Network 1: from nuclei to the whitened coefficients of Δρ."""

import torch
from e3nn import o3
from torch import Tensor, nn

from densnet.models.charge_transfer import ChargeTransfer
from densnet.models.config import ModelConfig
from densnet.models.whitening import Whitening
from densnet.nn.angular import n_harmonics
from densnet.nn.edges import Edges
from densnet.nn.interaction import Interaction
from densnet.nn.linear import SpeciesHarmonicLinear
from densnet.nn.message import TwoBody
from densnet.nn.product import SphereProduct
from densnet.nn.radial import RadialContraction


class DensityMap(nn.Module):
    """R, Z → c: neighbour sums, products on the sphere, and a read-out for every element and l.

    Features of low l pass between the atoms; l = 3 and 4 appear only in the read-out, which sees
    the neighbour sums themselves and every layer's products.

    Parameters
    ----------
    config : ModelConfig
    whitening : Whitening
    n_neighbours : float
        Typical number of neighbours in the training set.
    """

    def __init__(self, config: ModelConfig, whitening: Whitening, n_neighbours: float) -> None:
        super().__init__()
        sizes = config.density_map
        n_species = len(config.elements)
        n_radial_in = config.n_contracted
        self.radial = RadialContraction(config.n_radial, n_radial_in, n_species)
        c = sizes.n_channels
        l_density = int(whitening.l_of_m.max())
        self.irreps_out = o3.Irreps(
            [(whitening.n_shells, ir) for _, ir in o3.Irreps.spherical_harmonics(l_density)]
        )
        self.whitening = whitening
        self.n_m_product = n_harmonics(sizes.l_two_body)
        self.two_body = TwoBody(l_density, n_radial_in, c, n_neighbours)
        self.product = SphereProduct(
            sizes.l_two_body, sizes.l_features, l_density, c, c, c, n_species
        )
        self.interactions = nn.ModuleList(
            Interaction(
                sizes.l_features,
                sizes.l_two_body,
                l_density,
                n_radial_in,
                c,
                n_species,
                n_neighbours,
            )
            for _ in range(sizes.n_layers - 1)
        )
        self.n_features = c * (1 + sizes.n_layers)
        self.readout = SpeciesHarmonicLinear(
            l_density, self.n_features, whitening.n_shells, n_species
        )
        self.transfer = ChargeTransfer(
            self.n_features, sizes.n_transfer, config.n_radial, n_species
        )

    def forward(self, edges: Edges, species: Tensor, one_hot: Tensor) -> tuple[Tensor, Tensor]:
        """Predict the density.

        Parameters
        ----------
        edges : Edges
        species : (n_atoms,) int64
        one_hot : (n_atoms, n_species)

        Returns
        -------
        (n_m, n_atoms, n_shells)
            Whitened components, charges included.
        (n_atoms,) float64
            ∫Δρ_A, electrons; they sum to zero.
        """
        everything = self.features(edges, species)
        components = self.readout(everything, one_hot)
        charges = self.transfer(
            everything[0], species, edges.distance_functions, edges.receivers, edges.senders
        )
        return self.whitening.with_charges(components, species, charges), charges

    def features(self, edges: Edges, species: Tensor) -> Tensor:
        """Return what the read-outs see of each atom, (n_m, n_atoms, n_features)."""
        radial = self.radial(edges.pair_functions)
        sums = self.two_body(radial, edges.harmonics, edges.receivers, species.size(0))
        static = sums[: self.n_m_product]
        features = self.product(static, species)
        collected = [sums, features]
        for interaction in self.interactions:
            features = interaction(features, static, radial, edges, species)
            collected.append(features)
        return torch.cat(collected, dim=2)
