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
        self.scale = BOND_FRACTION * math.sqrt(2.0 / n_radial)
        self.n_slots = n_radial * n_species * n_species
        frequencies = math.pi * torch.arange(1, n_radial + 1, dtype=torch.float64)
        self.register_buffer("frequencies", frequencies, persistent=False)
        pairs = torch.eye(n_species * n_species, dtype=torch.float64)
        self.register_buffer("pairs", pairs, persistent=False)

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
        x = (distance / self.cutoff).unsqueeze(1)
        inside = torch.clamp(1.0 - x * x, min=0.0)
        functions = torch.sin(x * self.frequencies) * (inside * inside * inside * (self.scale / x))
        slots = self.pairs.index_select(0, pair)
        return functions, (slots.unsqueeze(2) * functions.unsqueeze(1)).view(-1, self.n_slots)


class RadialContraction(nn.Module):
    """R_k(r; Z_i, Z_j) = Σ_n b_n(r) V^ij_nk, weights of its own for each ordered pair of elements.

    The layers mix the R_k into channels, the same way for every pair of elements.

    Parameters
    ----------
    n_radial, n_contracted, n_species : int
    """

    def __init__(self, n_radial: int, n_contracted: int, n_species: int) -> None:
        super().__init__()
        self.n_pairs = n_species**2
        self.weight = nn.Parameter(torch.randn(n_radial * self.n_pairs, n_contracted))

    def forward(self, pair_functions: Tensor) -> Tensor:
        """Return (n_edges, n_contracted) from (n_edges, n_species² · n_radial)."""
        return torch.mm(pair_functions, self.weight)
