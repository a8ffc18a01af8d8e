"""One round of exchange between atoms: a convolution, then a product on the sphere."""

import torch
from torch import Tensor, nn

from densnet.nn.angular import n_harmonics
from densnet.nn.edges import Edges
from densnet.nn.linear import HarmonicLinear
from densnet.nn.message import Convolution
from densnet.nn.product import SphereProduct


class Interaction(nn.Module):
    """h ← product([Σ_j filter ⊗ h_j, s]) + W h with a part s of each atom that no layer changes.

    Parameters
    ----------
    l_features, l_two_body, l_readout : int
        Highest l of h, of the neighbour sums and s, and of the result.
    n_radial_in, n_channels, n_species : int
    n_neighbours : float
    """

    def __init__(
        self,
        l_features: int,
        l_two_body: int,
        l_readout: int,
        n_radial_in: int,
        n_channels: int,
        n_species: int,
        n_neighbours: float,
    ) -> None:
        super().__init__()
        self.n_m = n_harmonics(l_features)
        self.convolution = Convolution(
            l_two_body, l_features, l_two_body, n_radial_in, n_channels, n_channels, n_neighbours
        )
        self.product = SphereProduct(
            l_two_body, l_features, l_readout, 2 * n_channels, n_channels, n_channels, n_species
        )
        self.skip = HarmonicLinear(l_features, n_channels, n_channels)

    def forward(
        self, features: Tensor, static: Tensor, radial: Tensor, edges: Edges, species: Tensor
    ) -> Tensor:
        """Update the features.

        Parameters
        ----------
        features : (at least (l_features + 1)², n_atoms, n_channels)
        static : ((l_two_body + 1)², n_atoms, n_channels)
        radial : (n_edges, n_radial_in)
        edges : Edges
        species : (n_atoms,) int64

        Returns
        -------
        ((l_readout + 1)², n_atoms, n_channels)
        """
        low = features[: self.n_m]
        neighbours = self.convolution(low, radial, edges.harmonics, edges.receivers, edges.senders)
        updated = self.product(torch.cat([neighbours, static], dim=2), species)
        return torch.cat([updated[: self.n_m] + self.skip(low), updated[self.n_m :]], dim=0)


class LocalInteraction(nn.Module):
    """The same without neighbours: h ← product([h, s above l_features]) + W h.

    Parameters
    ----------
    l_features, l_two_body, n_channels, n_species : int
    """

    def __init__(self, l_features: int, l_two_body: int, n_channels: int, n_species: int) -> None:
        super().__init__()
        self.n_m = n_harmonics(l_features)
        self.product = SphereProduct(
            l_two_body, l_features, l_features, n_channels, n_channels, n_channels, n_species
        )
        self.skip = HarmonicLinear(l_features, n_channels, n_channels)

    def forward(self, features: Tensor, static: Tensor, species: Tensor) -> Tensor:
        """Update the features; shapes as in :class:`Interaction`."""
        padded = torch.cat([features, static[self.n_m :]], dim=0)
        return self.product(padded, species) + self.skip(features)
