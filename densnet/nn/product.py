"""Many-body products of node features, taken pointwise on the sphere."""

import torch
from torch import Tensor, nn

from densnet.nn.angular import SphereGrid, n_harmonics
from densnet.nn.linear import HarmonicLinear


class SphereProduct(nn.Module):
    """h = W₁a + W₂(a·b) + W₃(a·b·c) with a, b, c linear in the input; · is pointwise on the sphere.

    Up to three neighbours enter a product: with two-body input the result is a four-body function,
    as in the atomic cluster expansion. Harmonics above ``l_out`` come from a and a·b only.

    Parameters
    ----------
    l_in, l_out, l_readout : int
        Highest l of the input, of the result, and of the additional read-out (≥ l_out; equal: none).
    n_in, n_channels, n_out : int
        Channels of the input, of a, b and c each, and of the result.
    n_species : int

    References
    ----------
    Drautz, https://doi.org/10.1103/PhysRevB.99.014104; products on the sphere:
    Luo, Chen and Krishnapriyan, https://arxiv.org/abs/2401.10216.
    """

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
        self.readout: HarmonicLinear | None = None
        if l_readout > l_out:
            self.readout = HarmonicLinear(l_readout, 2 * n_channels, n_out)

    def products(self, features: Tensor, species: Tensor) -> Tensor:
        """Return a, a·b and a·b·c on the grid, (n_points, n_nodes, 3 n_channels)."""
        factors = self.factors(features) * self.species_scale.index_select(0, species)
        a, b, c = torch.split(self.grid.evaluate(factors), self.n_channels, dim=2)
        ab = a * b
        return torch.cat([a, ab, ab * c], dim=2)

    def forward(self, features: Tensor, species: Tensor) -> Tensor:
        """Return ((l_out + 1)², n_nodes, n_out) from ((l_in + 1)², n_nodes, n_in)."""
        return self.combine(self.grid.project(self.products(features, species), 0, self.n_m))

    def with_readout(self, features: Tensor, species: Tensor) -> Tensor:
        """Return ((l_readout + 1)², n_nodes, n_out): the result, continued to higher l.

        Raises
        ------
        RuntimeError
            If the module was made without a read-out.
        """
        readout = self.readout
        if readout is None:
            raise RuntimeError("this product was made with l_readout = l_out")
        values = self.products(features, species)
        low = self.combine(self.grid.project(values, 0, self.n_m))
        pair = values[:, :, : 2 * self.n_channels]
        high = self.grid.project(pair, self.n_m, self.n_m_readout)
        weight = readout.weight.index_select(0, readout.l_of_m[self.n_m :])
        return torch.cat([low, torch.bmm(high, weight)], dim=0)
