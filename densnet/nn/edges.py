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
    radial : (n_edges, n_species² · n_radial)
        Radial functions in the slot of the pair of elements.
    distance_functions : (n_edges, n_radial)
        The same functions without regard to elements.
    harmonics : ((l_max + 1)², n_edges)
    distance : (n_edges,), bohr
    unit : (3, n_edges)
    receivers, senders : (n_edges,) int64
    """

    radial: Tensor
    distance_functions: Tensor
    harmonics: Tensor
    distance: Tensor
    unit: Tensor
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
        unit = (vectors / distance.unsqueeze(1)).t()
        pair = species.index_select(0, receivers) * self.n_species
        pair = pair + species.index_select(0, senders)
        functions, radial = self.radial(distance, pair)
        harmonics = self.harmonics(unit)
        return Edges(radial, functions, harmonics, distance, unit, receivers, senders)
