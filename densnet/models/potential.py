"""The potential of the predicted density at the nuclei, as an input of the functional."""

import math

import numpy as np
import torch
from torch import Tensor, nn

from densnet.basis import DensityBasis, primitive_norm
from densnet.errors import InputError
from densnet.models.whitening import largest_shell_count
from densnet.nn.angular import l_of_m
from densnet.nn.edges import Edges


class NeighbourPotential(nn.Module):
    """V_i = Σ_j f(r_ij) ∫ Δρ_j(r)/|r − R_i| dr over neighbours j, with a smooth cutoff f.

    A Gaussian N r^l exp(−ar²) Y_lm has the potential N (2π/a) F_l(aR²) R^l Y_lm(R̂), F_l the Boys
    function; f = (1 − (r/r_c)²)³ keeps the functional local.

    Parameters
    ----------
    basis : DensityBasis
        Primitive shells only.
    elements : tuple of int
    cutoff : float, bohr

    Raises
    ------
    InputError
        If a shell is contracted.
    """

    exponents: Tensor
    weights: Tensor
    l_of_m: Tensor

    def __init__(self, basis: DensityBasis, elements: tuple[int, ...], cutoff: float) -> None:
        super().__init__()
        self.cutoff = cutoff
        self.l_max = basis.l_max
        n_shells = largest_shell_count(basis, elements)
        exponents = np.ones((basis.l_max + 1, len(elements), n_shells))
        weights = np.zeros_like(exponents)
        for s, z in enumerate(elements):
            for l in range(basis.l_max + 1):
                shells = [shell for shell in basis.shells[z] if shell.l == l]
                if not all(shell.is_primitive for shell in shells):
                    raise InputError(
                        f"basis {basis.name!r} has contracted shells; the potential at the nuclei "
                        "needs primitive ones: set energy_functional.potential to false"
                    )
                a = np.array([shell.exponents[0] for shell in shells])
                exponents[l, s, : len(a)] = a
                # Harmonics come with the norm 4π; the nucleus lies at −(r_j − r_i) from j.
                scale = (-1.0) ** l * 2.0 * np.pi / math.sqrt(4.0 * np.pi)
                weights[l, s, : len(a)] = scale * primitive_norm(l, a) / a
        self.register_buffer("exponents", torch.from_numpy(exponents), persistent=False)
        self.register_buffer("weights", torch.from_numpy(weights), persistent=False)
        self.register_buffer("l_of_m", l_of_m(basis.l_max), persistent=False)

    def forward(self, coefficients: Tensor, edges: Edges, species: Tensor) -> Tensor:
        """Return the potential of the neighbours' Δρ, (n_atoms,), e/bohr.

        Parameters
        ----------
        coefficients : (n_m, n_atoms, n_shells)
            Padded coefficients of Δρ.
        edges : Edges
        species : (n_atoms,) int64
        """
        sender_species = species.index_select(0, edges.senders)
        distance = edges.distance.to(torch.float64)
        a = self.exponents.to(torch.float64).index_select(1, sender_species)
        radial = self.boys(a * torch.square(distance).unsqueeze(1))
        powers = [torch.ones_like(distance)]
        for _ in range(self.l_max):
            powers.append(powers[-1] * distance)
        weights = self.weights.to(torch.float64).index_select(1, sender_species)
        functions = (radial * weights * torch.stack(powers).unsqueeze(2)).to(coefficients.dtype)
        shells = coefficients.index_select(1, edges.senders)
        by_m = (shells * functions.index_select(0, self.l_of_m)).sum(dim=2)
        inside = torch.clamp(1.0 - torch.square(edges.distance / self.cutoff), min=0.0)
        n_m = by_m.size(0)
        pair = (by_m * edges.harmonics[:n_m]).sum(dim=0) * (inside * inside * inside)
        total = torch.zeros(species.size(0), dtype=pair.dtype, device=pair.device)
        return total.index_add(0, edges.receivers, pair)

    def boys(self, x: Tensor) -> Tensor:
        """Return F_l(x) for the block of each l, (l_max + 1, n_edges, n_shells), float64.

        Upward recursion; two nuclei are never so close that it loses more than some digits.
        """
        root = torch.sqrt(x)
        value = (0.5 * math.sqrt(math.pi)) * torch.erf(root) / root
        decay = torch.exp(-x)
        half_inverse = 0.5 / x
        blocks = [value[0]]
        for l in range(self.l_max):
            value = ((2 * l + 1) * value - decay) * half_inverse
            blocks.append(value[l + 1])
        return torch.stack(blocks)
