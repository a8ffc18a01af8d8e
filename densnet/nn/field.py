"""Layers that are linear in a uniform electric field, whatever the surroundings of the atoms are.

The three directions of the field are batched on the node axis: field features have the shape
``(n_m, 3 · n_atoms, n_channels)``, the direction (x, y, z) running slowest. A feature of direction
d is the response to a unit field along d, so it turns with the molecule *and* the field. All have
natural parity, as everywhere; couplings of l with l by a pseudovector arise through two products.
"""

import math

import torch
from torch import Tensor, nn

from densnet.nn.angular import SphereGrid, l_of_m, n_harmonics
from densnet.nn.edges import Edges
from densnet.nn.linear import HarmonicLinear
from densnet.nn.message import TwoBody


class FieldConvolution(nn.Module):
    """G_i = Σ_j [Σ_lm R^l_c(r_ij) Y_lm(r̂_ij)] ⊗ (W F_j)_c for each direction of the field.

    The same as :class:`densnet.nn.message.Convolution`, with one filter for three directions.

    Parameters
    ----------
    l_filter, l_features, l_out : int
        Highest l of the filter, of the neighbours' features, and of the result.
    n_radial_in, n_channels : int
    n_neighbours : float
    """

    def __init__(
        self,
        l_filter: int,
        l_features: int,
        l_out: int,
        n_radial_in: int,
        n_channels: int,
        n_neighbours: float,
    ) -> None:
        super().__init__()
        self.n_out = n_harmonics(l_out)
        self.mix = HarmonicLinear(l_features, n_channels, n_channels)
        self.filter = TwoBody(l_filter, n_radial_in, n_channels, n_neighbours)
        self.grid = SphereGrid(
            max(l_filter, l_features), l_out, degree=l_filter + l_features + l_out
        )

    def forward(self, features: Tensor, radial: Tensor, edges: Edges) -> Tensor:
        """Sum the products over the neighbours.

        Parameters
        ----------
        features : ((l_features + 1)², 3 · n_atoms, n_channels)
        radial : (n_edges, n_radial_in)
        edges : Edges

        Returns
        -------
        ((l_out + 1)², 3 · n_atoms, n_channels)
        """
        on_nodes = self.grid.evaluate(self.mix(features))
        on_edges = self.grid.evaluate(self.filter.edges(radial, edges.harmonics))
        n_points, n_nodes, n_channels = on_nodes.shape
        n_atoms = n_nodes // 3
        by_direction = on_nodes.view(n_points, 3, n_atoms, n_channels)
        messages = by_direction.index_select(2, edges.senders) * on_edges.unsqueeze(1)
        summed = torch.zeros_like(by_direction).index_add(2, edges.receivers, messages)
        return self.grid.project(summed.view(n_points, n_nodes, n_channels), 0, self.n_out)


class FieldProduct(nn.Module):
    """F ← W₁f + W₂(g·a) + W₃(h·a·b): f, g, h linear in the field features, a, b in the environment.

    Products are pointwise on the sphere. Harmonics above ``l_out`` come from f and g·a only.

    Parameters
    ----------
    l_in, l_environment, l_out, l_readout : int
        Highest l of the field features, of the environment, of the result, and of its continuation.
    n_in, n_environment : int
        Channels of the field features and of the environment.
    n_channels, n_out : int
        Channels of f, g, h, a and b each, and of the result.
    n_species : int
    """

    high_of_m: Tensor

    def __init__(
        self,
        l_in: int,
        l_environment: int,
        l_out: int,
        l_readout: int,
        n_in: int,
        n_environment: int,
        n_channels: int,
        n_out: int,
        n_species: int,
    ) -> None:
        super().__init__()
        self.n_channels = n_channels
        self.n_m = n_harmonics(l_out)
        self.n_m_readout = n_harmonics(l_readout)
        self.factors = HarmonicLinear(l_in, n_in, 3 * n_channels)
        self.surroundings = HarmonicLinear(l_environment, n_environment, 2 * n_channels)
        self.species_scale = nn.Parameter(1.0 + 0.1 * torch.randn(n_species, 3 * n_channels))
        degree = max(l_in + 2 * l_environment + l_out, l_in + l_environment + l_readout)
        self.grid = SphereGrid(max(l_in, l_environment), l_readout, degree)
        self.combine = HarmonicLinear(l_out, 3 * n_channels, n_out)
        high = torch.randn(l_readout - l_out, 2 * n_channels, n_out) / math.sqrt(2 * n_channels)
        self.high = nn.Parameter(high)
        above = l_of_m(l_readout)[self.n_m :] - l_out - 1
        self.register_buffer("high_of_m", above, persistent=False)

    def forward(self, features: Tensor, environment: Tensor, species: Tensor) -> Tensor:
        """Multiply.

        Parameters
        ----------
        features : ((l_in + 1)², 3 · n_atoms, n_in)
        environment : ((l_environment + 1)², n_atoms, n_environment)
        species : (n_atoms,) int64

        Returns
        -------
        ((l_readout + 1)², 3 · n_atoms, n_out)
        """
        n_atoms = species.size(0)
        scale = self.species_scale.index_select(0, species).repeat(3, 1)
        on_grid = self.grid.evaluate(self.factors(features) * scale)
        a, b = torch.split(
            self.grid.evaluate(self.surroundings(environment)), self.n_channels, dim=2
        )
        by_direction = on_grid.view(-1, 3, n_atoms, 3 * self.n_channels)
        one = torch.ones_like(a)
        values = by_direction * torch.cat([one, a, a * b], dim=2).unsqueeze(1)
        values = values.view(-1, 3 * n_atoms, 3 * self.n_channels)
        low = self.combine(self.grid.project(values, 0, self.n_m))
        if self.n_m_readout == self.n_m:
            return low
        single = values[:, :, : 2 * self.n_channels]
        high = self.grid.project(single, self.n_m, self.n_m_readout)
        high = torch.bmm(high, self.high.index_select(0, self.high_of_m))
        return torch.cat([low, high], dim=0)


class FieldInteraction(nn.Module):
    """F ← product([Σ_j filter ⊗ F_j, F], environment) + W F, linear in F.

    Parameters
    ----------
    l_features, l_two_body, l_environment, l_readout : int
        Highest l of F, of the neighbour sums, of the environment, and of the result.
    n_radial_in, n_channels, n_environment, n_species : int
    n_neighbours : float
    """

    def __init__(
        self,
        l_features: int,
        l_two_body: int,
        l_environment: int,
        l_readout: int,
        n_radial_in: int,
        n_channels: int,
        n_environment: int,
        n_species: int,
        n_neighbours: float,
    ) -> None:
        super().__init__()
        self.n_m = n_harmonics(l_features)
        self.padding = n_harmonics(l_two_body) - self.n_m
        self.convolution = FieldConvolution(
            l_two_body, l_features, l_two_body, n_radial_in, n_channels, n_neighbours
        )
        self.product = FieldProduct(
            l_two_body,
            l_environment,
            l_features,
            l_readout,
            2 * n_channels,
            n_environment,
            n_channels,
            n_channels,
            n_species,
        )
        self.skip = HarmonicLinear(l_features, n_channels, n_channels)

    def forward(
        self, features: Tensor, environment: Tensor, radial: Tensor, edges: Edges, species: Tensor
    ) -> Tensor:
        """Update the field features.

        Parameters
        ----------
        features : (at least (l_features + 1)², 3 · n_atoms, n_channels)
        environment : ((l_environment + 1)², n_atoms, n_environment)
        radial : (n_edges, n_radial_in)
        edges : Edges
        species : (n_atoms,) int64

        Returns
        -------
        ((l_readout + 1)², 3 · n_atoms, n_channels)
        """
        low = features[: self.n_m]
        neighbours = self.convolution(low, radial, edges)
        own = torch.nn.functional.pad(low, [0, 0, 0, 0, 0, self.padding])
        updated = self.product(torch.cat([neighbours, own], dim=2), environment, species)
        return torch.cat([updated[: self.n_m] + self.skip(low), updated[self.n_m :]], dim=0)
