"""Network 1: from nuclei to the whitened coefficients of Δρ."""

import torch
from e3nn import o3
from torch import Tensor, nn

from densnet.models.charge_transfer import ChargeTransfer
from densnet.models.config import ModelConfig
from densnet.models.edges import Edges
from densnet.models.whitening import Whitening
from densnet.nn import Convolution, SpeciesHarmonicLinear, SphereProduct, TwoBody, n_harmonics


class DensityMap(nn.Module):
    """R, Z → c: neighbour sums, products on the sphere, and a read-out for every element and l.

    Features of low l pass between the atoms; l = 3 and 4 appear only in the read-out, which sees the
    neighbour sums themselves and every layer's products.

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
        n_radial_in = config.n_radial * n_species**2
        c = sizes.n_channels
        l_density = int(whitening.l_of_m.max())
        self.irreps_out = o3.Irreps(
            [(whitening.n_shells, ir) for _, ir in o3.Irreps.spherical_harmonics(l_density)]
        )
        self.whitening = whitening
        self.n_m_product = n_harmonics(sizes.l_two_body)
        self.n_m_features = n_harmonics(sizes.l_features)
        self.two_body = TwoBody(l_density, n_radial_in, c, n_neighbours)
        self.convolutions = nn.ModuleList()
        self.products = nn.ModuleList()
        for layer in range(sizes.n_layers):
            n_in = c if layer == 0 else 2 * c
            self.products.append(
                SphereProduct(
                    sizes.l_two_body, sizes.l_features, l_density, n_in, c, c, n_species
                )
            )
        for _ in range(sizes.n_layers - 1):
            self.convolutions.append(
                Convolution(
                    sizes.l_two_body,
                    sizes.l_features,
                    sizes.l_two_body,
                    n_radial_in,
                    c,
                    c,
                    n_neighbours,
                )
            )
        n_all = c * (1 + sizes.n_layers)
        self.readout = SpeciesHarmonicLinear(l_density, n_all, whitening.n_shells, n_species)
        self.transfer = ChargeTransfer(n_all, sizes.n_transfer, config.n_radial, n_species)

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
        n_atoms = species.size(0)
        sums = self.two_body(edges.radial, edges.harmonics, edges.receivers, n_atoms)
        low_sums = sums[: self.n_m_product]
        features = sums
        collected = [sums]
        layer = 0
        for product in self.products:
            if layer == 0:
                features = product.with_readout(low_sums, species)
            else:
                index = 1
                neighbours = low_sums
                for convolution in self.convolutions:
                    if index == layer:
                        neighbours = convolution(
                            features[: self.n_m_features],
                            edges.radial,
                            edges.harmonics,
                            edges.receivers,
                            edges.senders,
                        )
                    index += 1
                both = torch.cat([neighbours, low_sums], dim=2)
                features = product.with_readout(both, species)
            collected.append(features)
            layer += 1
        everything = torch.cat(collected, dim=2)
        components = self.readout(everything, one_hot)
        charges = self.transfer(
            everything[0], species, edges.distance_functions, edges.receivers, edges.senders
        )
        return self.whitening.with_charges(components, species, charges), charges
