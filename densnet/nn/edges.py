"""What both networks know of each pair of neighbours."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from densnet.nn.angular import SphericalHarmonics
from densnet.nn.radial import PairRadialBasis


class Edges(NamedTuple):
    """Functions of the edge vectors.

    Parameters
    ----------
    distance_functions : (n_edges, n_radial)
        Radial functions of the distance alone.
    pair_functions : (n_edges, n_species² · n_radial)
        The same in the slot of the pair of elements.
    harmonics : ((l_max + 1)², n_edges)
    distance : (n_edges,), bohr
    receivers, senders : (n_edges,) int64
    """

    distance_functions: Tensor
    pair_functions: Tensor
    harmonics: Tensor
    distance: Tensor
    receivers: Tensor
    senders: Tensor


class EdgeEmbedding(nn.Module):
    """Edge vectors, r_j − r_i, to radial functions and spherical harmonics.

    Parameters
    ----------
    cutoff : float, bohr
    n_radial, n_species, l_max : int
    """

    def __init__(self, cutoff: float, n_radial: int, n_species: int, l_max: int) -> None:
        super().__init__()
        self.n_species = n_species
        self.radial = PairRadialBasis(cutoff, n_radial, n_species)
        self.harmonics = SphericalHarmonics(l_max)

    def forward(
        self, vectors: Tensor, species: Tensor, receivers: Tensor, senders: Tensor
    ) -> Edges:
        """Evaluate every edge.

        Parameters
        ----------
        vectors : (n_edges, 3), bohr
        species : (n_atoms,) int64
        receivers, senders : (n_edges,) int64
        """
        distance = torch.sqrt(torch.square(vectors).sum(dim=1))
        pair = species.index_select(0, receivers) * self.n_species
        pair = pair + species.index_select(0, senders)
        functions, pair_functions = self.radial(distance, pair)
        harmonics = self.harmonics((vectors / distance.unsqueeze(1)).t())
        return Edges(functions, pair_functions, harmonics, distance, receivers, senders)
