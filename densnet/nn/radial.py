"""Radial functions of a pair of atoms: Bessel functions under a smooth cutoff."""

import math

import torch
from torch import Tensor, nn

# A bond's length as a fraction of the cutoff; it sets the size of untrained radial functions.
BOND_FRACTION = 0.25


class PairRadialBasis(nn.Module):
    """Bessel functions under a smooth cutoff, in the slot of the pair of elements.

    b_n(x) = (√2 x₀/√n_radial) sin(nπx)/x · (1 − x²)³ with x = r/r_c and x₀ = 1/4, where bonds are,
    so that random weights of unit variance give functions of about unit size there.

    The output has a slot for each ordered pair of elements, so a matrix product with it is a radial
    function of its own for each pair and channel.

    Parameters
    ----------
    cutoff : float, bohr
    n_radial : int
    n_species : int

    References
    ----------
    Gasteiger, Groß and Günnemann, https://arxiv.org/abs/2003.03123, equation 7.
    """

    frequencies: Tensor
    pairs: Tensor

    def __init__(self, cutoff: float, n_radial: int, n_species: int) -> None:
        super().__init__()
        self.cutoff = cutoff
        self.n_species = n_species
        self.scale = BOND_FRACTION * math.sqrt(2.0 / n_radial)
        self.n_out = n_radial * n_species * n_species
        frequencies = math.pi * torch.arange(1, n_radial + 1, dtype=torch.float64)
        self.register_buffer("frequencies", frequencies, persistent=False)
        pairs = torch.eye(n_species * n_species, dtype=torch.float64)
        self.register_buffer("pairs", pairs, persistent=False)

    def radial(self, distance: Tensor) -> Tensor:
        """Return the radial functions without pair types, (n_edges, n_radial)."""
        x = (distance / self.cutoff).unsqueeze(1)
        inside = torch.clamp(1.0 - x * x, min=0.0)
        envelope = inside * inside * inside * (self.scale / x)
        return torch.sin(x * self.frequencies) * envelope

    def forward(self, distance: Tensor, pair: Tensor) -> tuple[Tensor, Tensor]:
        """Evaluate the functions of all edges.

        Parameters
        ----------
        distance : (n_edges,), bohr
        pair : (n_edges,) int64
            Receiver's species times n_species plus sender's species.

        Returns
        -------
        (n_edges, n_radial)
            Functions of the distance alone.
        (n_edges, n_species² · n_radial)
            The same, zero outside the slot of the edge's pair of elements.
        """
        functions = self.radial(distance)
        slots = self.pairs.index_select(0, pair)
        return functions, (slots.unsqueeze(2) * functions.unsqueeze(1)).view(-1, self.n_out)
