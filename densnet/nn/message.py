"""Sums over neighbours: the two-body basis and the convolution with neighbours' features."""

import math

import torch
from torch import Tensor, nn

from densnet.nn import edge_sum
from densnet.nn.angular import SphereGrid, l_of_m, n_harmonics
from densnet.nn.linear import HarmonicLinear


class TwoBody(nn.Module):
    """A_i,lm,c = Σ_j R^l_c(r_ij; Z_i, Z_j) Y_lm(r̂_ij).

    Parameters
    ----------
    l_max : int
    n_radial_in : int
        Radial functions of an edge.
    n_channels : int
    n_neighbours : float
        Typical number of neighbours; its square root divides the sum.
    """

    l_of_m: Tensor

    def __init__(self, l_max: int, n_radial_in: int, n_channels: int, n_neighbours: float) -> None:
        super().__init__()
        self.n_m = n_harmonics(l_max)
        self.register_buffer("l_of_m", l_of_m(l_max), persistent=False)
        scale = 1.0 / math.sqrt(n_radial_in * n_neighbours)
        weight = scale * torch.randn(l_max + 1, n_radial_in, n_channels)
        self.weight = nn.Parameter(weight)

    def edges(self, radial: Tensor, harmonics: Tensor) -> Tensor:
        """Return R^l_c Y_lm of every edge, ((l_max + 1)², n_edges, n_channels)."""
        functions = torch.matmul(radial, self.weight).index_select(0, self.l_of_m)
        return functions * harmonics[: self.n_m].unsqueeze(2)

    def forward(self, radial: Tensor, harmonics: Tensor, receivers: Tensor, n_nodes: int) -> Tensor:
        """Sum over the neighbours.

        Parameters
        ----------
        radial : (n_edges, n_radial_in)
        harmonics : (at least (l_max + 1)², n_edges)
        receivers : (n_edges,) int64
        n_nodes : int

        Returns
        -------
        ((l_max + 1)², n_nodes, n_channels)
        """
        # The sum is over few radial functions; atoms, not edges, make channels of them.
        products = torch.bmm(harmonics[: self.n_m].t().unsqueeze(2), radial.unsqueeze(1))
        shape = [n_nodes, self.n_m, radial.size(1)]
        total = torch.zeros(shape, dtype=products.dtype, device=products.device)
        summed = total.index_add(0, receivers, products).transpose(0, 1)
        return torch.bmm(summed, self.weight.index_select(0, self.l_of_m))


class Convolution(nn.Module):
    """A_i = Σ_j [Σ_lm R^l_c(r_ij) Y_lm(r̂_ij)] ⊗ (W h_j)_c, the product taken on the sphere.

    Parameters
    ----------
    l_filter, l_features, l_out : int
        Highest l of the filter, of the neighbours' features, and of the result.
    n_radial_in, n_in, n_channels : int
    n_neighbours : float
    """

    addition: Tensor

    def __init__(
        self,
        l_filter: int,
        l_features: int,
        l_out: int,
        n_radial_in: int,
        n_in: int,
        n_channels: int,
        n_neighbours: float,
    ) -> None:
        super().__init__()
        self.n_out = n_harmonics(l_out)
        self.mix = HarmonicLinear(l_features, n_in, n_channels)
        self.filter = TwoBody(l_filter, n_radial_in, n_channels, n_neighbours)
        self.grid = SphereGrid(
            max(l_filter, l_features), l_out, degree=l_filter + l_features + l_out
        )
        # Y_lm of every grid point in the slot of its l: harmonics of an edge times this are the
        # polynomials of the addition theorem.
        n_m = n_harmonics(l_filter)
        slots = torch.nn.functional.one_hot(l_of_m(l_filter), l_filter + 1).to(torch.float64)
        addition = slots.unsqueeze(2) * self.grid.to_grid[:, :n_m].t().unsqueeze(1)
        self.register_buffer("addition", addition.reshape(n_m, -1).clone(), persistent=False)
        self.sum = EdgeSum()

    def forward(
        self,
        features: Tensor,
        radial: Tensor,
        harmonics: Tensor,
        receivers: Tensor,
        senders: Tensor,
    ) -> Tensor:
        """Sum the products over the neighbours; shapes as in :class:`TwoBody`.

        Returns
        -------
        ((l_out + 1)², n_nodes, n_channels)
        """
        on_nodes = self.grid.evaluate(self.mix(features))
        weight = self.filter.weight
        n_l, n_in, n_channels = weight.shape
        by_l = weight.transpose(0, 1).reshape(n_in, n_l * n_channels)
        functions = torch.mm(radial, by_l).view(-1, n_l, n_channels)
        polynomials = torch.mm(harmonics[: self.filter.n_m].t(), self.addition)
        polynomials = polynomials.view(-1, n_l, self.grid.n_points)
        summed = self.sum(functions, polynomials, on_nodes, receivers, senders)
        return self.grid.project(summed, 0, self.n_out)


class EdgeSum(nn.Module):
    """S_pic = Σ_{e→i} (Σ_l P_elp R_elc) H_pjc, by the compiled loops where there are any."""

    def forward(
        self,
        radial: Tensor,
        polynomials: Tensor,
        values: Tensor,
        receivers: Tensor,
        senders: Tensor,
    ) -> Tensor:
        """Sum; arguments and result as in :func:`densnet.nn.edge_sum.sum_over_edges`."""
        if not torch.jit.is_scripting() and self.is_compiled(polynomials):
            return edge_sum.sum_over_edges(radial, polynomials, values, receivers, senders)
        on_edges = torch.bmm(polynomials.transpose(1, 2), radial)
        on_nodes = values.transpose(0, 1).contiguous()
        messages = on_edges * on_nodes.index_select(0, senders)
        return torch.zeros_like(on_nodes).index_add(0, receivers, messages).transpose(0, 1)

    @torch.jit.unused
    def is_compiled(self, polynomials: Tensor) -> bool:
        """Whether the compiled loops can be used."""
        return edge_sum.is_available(polynomials.device, polynomials.size(1) - 1)
