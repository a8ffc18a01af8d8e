"""Many-body products of node features, taken pointwise on the sphere."""

import math

import torch
from torch import Tensor, nn

from densnet.nn.angular import SphereGrid, l_of_m, n_harmonics
from densnet.nn.linear import HarmonicLinear


class SphereProduct(nn.Module):
    """h = W₁a + W₂(a·b) + W₃(a·b·c) with a, b, c linear in the input; · is pointwise on the sphere.

    Up to three neighbours enter a product: with two-body input the result is a four-body function,
    as in the atomic cluster expansion. Harmonics above ``l_out`` come from a and a·b only.

    Parameters
    ----------
    l_in, l_out, l_readout : int
        Highest l of the input, of the result, and of its continuation (≥ l_out; equal: none).
    n_in, n_channels, n_out : int
        Channels of the input, of a, b and c each, and of the result.
    n_species : int

    References
    ----------
    Drautz, https://doi.org/10.1103/PhysRevB.99.014104; products on the sphere:
    Luo, Chen and Krishnapriyan, https://arxiv.org/abs/2401.10216.
    """

    high_of_m: Tensor

    def __init__(
        self,
        l_in: int,
        l_out: int,
        l_readout: int,
        n_in: int,
        n_channels: int,
        n_out: int,
        n_species: int,
    ) -> None:
        super().__init__()
        self.n_channels = n_channels
        self.n_m = n_harmonics(l_out)
        self.n_m_readout = n_harmonics(l_readout)
        self.factors = HarmonicLinear(l_in, n_in, 3 * n_channels)
        self.species_scale = nn.Parameter(1.0 + 0.1 * torch.randn(n_species, 3 * n_channels))
        degree = max(3 * l_in + l_out, 2 * l_in + l_readout)
        self.grid = SphereGrid(l_in, l_readout, degree)
        self.combine = HarmonicLinear(l_out, 3 * n_channels, n_out)
        n_high = l_readout - l_out
        high = torch.randn(n_high, 2 * n_channels, n_out) / math.sqrt(2 * n_channels)
        self.high = nn.Parameter(high)
        above = l_of_m(l_readout)[self.n_m :] - l_out - 1
        self.register_buffer("high_of_m", above, persistent=False)

    def forward(self, features: Tensor, species: Tensor) -> Tensor:
        """Multiply.

        Parameters
        ----------
        features : ((l_in + 1)², n_nodes, n_in)
        species : (n_nodes,) int64

        Returns
        -------
        ((l_readout + 1)², n_nodes, n_out)
        """
        factors = self.factors(features) * self.species_scale.index_select(0, species)
        a, b, c = torch.split(self.grid.evaluate(factors), self.n_channels, dim=2)
        ab = a * b
        # a has its harmonics already; only products are projected.
        single = self.harmonics_of_one(factors)
        pairs = self.grid.project(ab, 0, self.n_m_readout)
        triples = self.grid.project(ab * c, 0, self.n_m)
        low = self.combine(torch.cat([single[: self.n_m], pairs[: self.n_m], triples], dim=2))
        if self.n_m_readout == self.n_m:
            return low
        high = torch.cat([single[self.n_m :], pairs[self.n_m :]], dim=2)
        high = torch.bmm(high, self.high.index_select(0, self.high_of_m))
        return torch.cat([low, high], dim=0)

    def harmonics_of_one(self, factors: Tensor) -> Tensor:
        """Return a of a, b and c, ((l_readout + 1)², n_nodes, n_channels); zero above l_in."""
        a = factors[: self.n_m_readout, :, : self.n_channels]
        missing = self.n_m_readout - a.size(0)
        return torch.nn.functional.pad(a, [0, 0, 0, 0, 0, missing]) if missing > 0 else a
