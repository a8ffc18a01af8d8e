"""Atomic charges, and their response to a field, from transfers that never change the total."""

import math

import torch
from torch import Tensor, nn

from densnet.nn.edges import Edges


class ChargeTransfer(nn.Module):
    """Q_i = Σ_j t_ij with t_ij = Σ_k (u_ik v_jk − v_ik u_jk) R_k(r_ij) = −t_ji.

    Parameters
    ----------
    n_in : int
        Scalar features of an atom.
    n_transfer : int
        Products k.
    n_radial : int
        Radial functions of the distance alone, so that R_k is the same for both directions.
    n_species : int
    """

    def __init__(self, n_in: int, n_transfer: int, n_radial: int, n_species: int) -> None:
        super().__init__()
        self.n_transfer = n_transfer
        self.species = nn.Parameter(torch.randn(n_species, 2 * n_transfer) / math.sqrt(n_transfer))
        self.mix = nn.Parameter(0.1 * torch.randn(n_in, 2 * n_transfer) / math.sqrt(n_in))
        self.radial = nn.Parameter(0.3 * torch.randn(n_radial, n_transfer) / math.sqrt(n_radial))

    def forward(
        self, scalars: Tensor, species: Tensor, radial: Tensor, receivers: Tensor, senders: Tensor
    ) -> Tensor:
        """Return the electrons that each atom has gained.

        Parameters
        ----------
        scalars : (n_atoms, n_in)
        species : (n_atoms,) int64
        radial : (n_edges, n_radial)
            Functions of the distance alone, the same for both directions of a pair.
        receivers, senders : (n_edges,) int64

        Returns
        -------
        (n_atoms,) float64
            Summed in float64, so that the total is zero to its precision.
        """
        uv = torch.mm(scalars, self.mix) + self.species.index_select(0, species)
        at_i = uv.index_select(0, receivers)
        at_j = uv.index_select(0, senders)
        k = self.n_transfer
        antisymmetric = at_i[:, :k] * at_j[:, k:] - at_i[:, k:] * at_j[:, :k]
        transfer = (antisymmetric * torch.mm(radial, self.radial)).sum(dim=1)
        gained = torch.zeros(scalars.size(0), dtype=torch.float64, device=scalars.device)
        return gained.index_add(0, receivers, transfer.to(torch.float64))


class FieldTransfer(nn.Module):
    """t_ij = Σ_k [f_ik v_jk R_k(r_ij) + (r̂_ij)_d w_ik w_jk R'_k(r_ij)] for a field along d.

    f is linear in the field, v and w belong to the surroundings; the second term is what the field
    along d drives directly. What i gains by t_ij, j loses, so the induced charge is zero whatever t
    is, and only its antisymmetric part counts.

    Parameters
    ----------
    n_in : int
        Scalar field features of an atom.
    n_environment : int
        Scalar features of its surroundings.
    n_transfer : int
        Products k of either kind.
    n_radial : int
        Radial functions of the distance alone.
    n_species : int
    """

    axes: Tensor

    def __init__(
        self, n_in: int, n_environment: int, n_transfer: int, n_radial: int, n_species: int
    ) -> None:
        super().__init__()
        self.n_transfer = n_transfer
        self.field = nn.Parameter(torch.randn(n_in, n_transfer) / math.sqrt(n_in * n_transfer))
        self.species = nn.Parameter(torch.randn(n_species, 2 * n_transfer) / n_transfer**0.25)
        mix = torch.randn(n_environment, 2 * n_transfer) / math.sqrt(n_environment)
        self.mix = nn.Parameter(0.1 * mix)
        self.radial = nn.Parameter(torch.randn(n_radial, 2 * n_transfer) / math.sqrt(n_radial))
        self.register_buffer("axes", torch.tensor([2, 0, 1]), persistent=False)

    def forward(
        self, field_scalars: Tensor, scalars: Tensor, edges: Edges, species: Tensor
    ) -> Tensor:
        """Return the electrons that each edge moves from its sender to its receiver.

        Parameters
        ----------
        field_scalars : (3 · n_atoms, n_in)
        scalars : (n_atoms, n_environment)
        edges : Edges
        species : (n_atoms,) int64

        Returns
        -------
        (3, n_edges)
            For a unit field along x, y and z.
        """
        k = self.n_transfer
        vw = torch.mm(scalars, self.mix) + self.species.index_select(0, species)
        at_i = vw.index_select(0, edges.receivers)
        at_j = vw.index_select(0, edges.senders)
        radial = torch.mm(edges.distance_functions, self.radial)
        f = torch.mm(field_scalars, self.field).view(3, -1, k).index_select(1, edges.receivers)
        potential = (f * (at_j[:, :k] * radial[:, :k])).sum(dim=2)
        conductance = (at_i[:, k:] * at_j[:, k:] * radial[:, k:]).sum(dim=1)
        # The harmonics of l = 1 are y, z, x times √3.
        along = edges.harmonics[1:4].index_select(0, self.axes) * (1.0 / math.sqrt(3.0))
        return potential + along * conductance


def gained_electrons(transfers: Tensor, edges: Edges, n_atoms: int) -> Tensor:
    """Return what each atom gains, (3, n_atoms), when receivers gain what senders lose."""
    shape = [transfers.size(0), n_atoms]
    gained = torch.zeros(shape, dtype=transfers.dtype, device=transfers.device)
    gained = gained.index_add(1, edges.receivers, transfers)
    return gained.index_add(1, edges.senders, -transfers)
