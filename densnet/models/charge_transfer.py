"""Atomic charges from antisymmetric transfers, so that the total charge never changes."""

import math

import torch
from torch import Tensor, nn


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
