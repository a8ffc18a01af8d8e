"""Linear maps that act on channels, one for each l (and, where asked, each element)."""

import math

import torch
from e3nn import o3
from torch import Tensor, nn

from densnet.nn.angular import l_of_m


class HarmonicLinear(nn.Module):
    """y_lm,d = Σ_c x_lm,c W^l_cd: Schur's lemma leaves nothing else.

    Parameters
    ----------
    l_max : int
    n_in, n_out : int
        Channels of each l.
    """

    l_of_m: Tensor

    def __init__(self, l_max: int, n_in: int, n_out: int) -> None:
        super().__init__()
        irreps = o3.Irreps.spherical_harmonics(l_max)
        self.irreps_in = o3.Irreps([(n_in, ir) for _, ir in irreps])
        self.irreps_out = o3.Irreps([(n_out, ir) for _, ir in irreps])
        self.weight = nn.Parameter(torch.randn(l_max + 1, n_in, n_out) / math.sqrt(n_in))
        self.register_buffer("l_of_m", l_of_m(l_max), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Map ((l_max + 1)², n_nodes, n_in) to ((l_max + 1)², n_nodes, n_out)."""
        return torch.bmm(features, self.weight.index_select(0, self.l_of_m))


class SpeciesHarmonicLinear(nn.Module):
    """A linear map per l and element: all elements in one product, then the atom's own is taken.

    Parameters
    ----------
    l_max : int
    n_in, n_out : int
    n_species : int
    """

    l_of_m: Tensor

    def __init__(self, l_max: int, n_in: int, n_out: int, n_species: int) -> None:
        super().__init__()
        self.n_species = n_species
        self.n_out = n_out
        weight = torch.randn(l_max + 1, n_in, n_species * n_out) / math.sqrt(n_in)
        self.weight = nn.Parameter(weight)
        self.register_buffer("l_of_m", l_of_m(l_max), persistent=False)

    def forward(self, features: Tensor, one_hot: Tensor) -> Tensor:
        """Apply the map of each node's element.

        Parameters
        ----------
        features : ((l_max + 1)², n_nodes, n_in)
        one_hot : (n_nodes, n_species)

        Returns
        -------
        ((l_max + 1)², n_nodes, n_out)
        """
        every = torch.bmm(features, self.weight.index_select(0, self.l_of_m))
        n_m, n_nodes = features.shape[:2]
        by_species = every.view(n_m, n_nodes, self.n_species, self.n_out)
        return (by_species * one_hot.unsqueeze(2)).sum(dim=2)


@torch.no_grad()
def keep_weights(
    linear: SpeciesHarmonicLinear, *, inputs: Tensor | None = None, outputs: Tensor | None = None
) -> None:
    """Set the weights of all other inputs or outputs of each element to zero.

    Parameters
    ----------
    linear : SpeciesHarmonicLinear
    inputs, outputs : (l_max + 1, n_species, n) bool
        Which of the n inputs or outputs an element has.
    """
    n_l, n_in, _ = linear.weight.shape
    by_species = linear.weight.view(n_l, n_in, linear.n_species, linear.n_out)
    if inputs is not None:
        by_species *= inputs.transpose(1, 2).unsqueeze(3)
    if outputs is not None:
        by_species *= outputs.unsqueeze(1)
