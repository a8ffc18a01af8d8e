"""Real spherical harmonics and a quadrature on the sphere, both taken from e3nn and SciPy.

e3nn's harmonics of (x, y, z) are the standard ones of (z, x, y); here e3nn is called with the
coordinates permuted to (y, z, x), so that m runs −l … l in the standard convention (l = 1: y, z,
x). The normalisation is e3nn's "component": ∫ Y_lm² dΩ = 4π.
"""

import numpy as np
import torch
from e3nn import o3
from scipy.integrate import lebedev_rule
from torch import Tensor, nn

# Degrees of exactness for which a Lebedev rule with positive weights exists, up to what is needed.
LEBEDEV_DEGREES = (3, 5, 7, 9, 11, 15, 17, 19, 21, 23)
_E3NN_ORDER = [1, 2, 0]


def n_harmonics(l_max: int) -> int:
    """Return the number of harmonics up to l_max, (l_max + 1)²."""
    return (l_max + 1) ** 2


def l_of_m(l_max: int) -> Tensor:
    """Return the l of each harmonic, shape ((l_max + 1)²,) int64."""
    return torch.repeat_interleave(torch.arange(l_max + 1), 2 * torch.arange(l_max + 1) + 1)


def real_spherical_harmonics(l_max: int, unit_vectors: Tensor) -> Tensor:
    """Evaluate e3nn's harmonics in the standard order of m.

    Parameters
    ----------
    l_max : int
    unit_vectors : (..., 3)
        x, y, z of unit length.

    Returns
    -------
    (..., (l_max + 1)²)
    """
    degrees = list(range(l_max + 1))
    permuted = unit_vectors[..., _E3NN_ORDER]
    return o3.spherical_harmonics(degrees, permuted, normalize=False, normalization="component")


class SphericalHarmonics(nn.Module):
    """Y_lm of unit vectors as one matrix product with the monomials of the two highest degrees.

    On the unit sphere a harmonic of degree l is a polynomial of any degree l, l + 2, …; so all even
    ones come from the monomials of one degree and all odd ones from those of its neighbour.

    Parameters
    ----------
    l_max : int
        At least 1.
    """

    polynomials: Tensor

    def __init__(self, l_max: int) -> None:
        super().__init__()
        self.l_max = l_max
        self.irreps_out = o3.Irreps.spherical_harmonics(l_max)
        generator = torch.Generator().manual_seed(0)
        points = torch.randn(4 * 3**l_max, 3, generator=generator, dtype=torch.float64)
        points = points / torch.linalg.vector_norm(points, dim=1, keepdim=True)
        monomials = self._monomials(points.T).T
        target = real_spherical_harmonics(l_max, points)
        # Both sides are homogeneous of degree l_max or l_max − 1: fit even and odd l apart, so that
        # each uses only the monomials of its parity.
        odd = (l_of_m(l_max) % 2).bool()
        n_lower = 3 ** (l_max - 1)
        lower, upper = monomials[:, :n_lower], monomials[:, n_lower:]
        solution = torch.zeros(target.shape[1], monomials.shape[1], dtype=torch.float64)
        upper_is_odd = l_max % 2 == 1
        from_upper = odd if upper_is_odd else ~odd
        driver = "gelsd"
        solution[from_upper, n_lower:] = torch.linalg.lstsq(
            upper, target[:, from_upper], driver=driver
        ).solution.T
        solution[~from_upper, :n_lower] = torch.linalg.lstsq(
            lower, target[:, ~from_upper], driver=driver
        ).solution.T
        solution[solution.abs() < 1e-13] = 0.0
        self.register_buffer("polynomials", solution, persistent=False)

    def _monomials(self, unit_vectors: Tensor) -> Tensor:
        # Not −1 for the first size: of no vectors at all it could be anything.
        n = unit_vectors.size(1)
        lower = torch.ones_like(unit_vectors[:1])
        upper = unit_vectors
        for _ in range(self.l_max - 1):
            lower = upper
            upper = (upper.unsqueeze(1) * unit_vectors.unsqueeze(0)).view(3 * upper.size(0), n)
        return torch.cat([lower, upper], dim=0)

    def forward(self, unit_vectors: Tensor) -> Tensor:
        """Evaluate the harmonics.

        Parameters
        ----------
        unit_vectors : (3, n)

        Returns
        -------
        ((l_max + 1)², n)
        """
        return torch.mm(self.polynomials, self._monomials(unit_vectors))


class SphereGrid(nn.Module):
    """Directions on the sphere on which products of harmonics are taken exactly.

    Multiplying functions on the grid and projecting back equals the tensor product with Gaunt
    coefficients, provided that the rule integrates the product times the target harmonic exactly.

    Parameters
    ----------
    l_in : int
        Highest l that is evaluated on the grid.
    l_out : int
        Highest l projected out.
    degree : int
        Highest total degree of any integrand, product and target harmonic together.
    """

    to_grid: Tensor
    from_grid: Tensor

    def __init__(self, l_in: int, l_out: int, degree: int) -> None:
        super().__init__()
        exact = next(d for d in LEBEDEV_DEGREES if d >= degree)
        points, weights = lebedev_rule(exact)
        directions = torch.from_numpy(np.ascontiguousarray(points.T))
        harmonics = real_spherical_harmonics(max(l_in, l_out), directions)
        measure = torch.from_numpy(weights) / (4.0 * np.pi)
        # A feature of unit variance in every component has unit variance on the grid.
        scale = float(np.sqrt(n_harmonics(l_in)))
        self.n_points = len(weights)
        to_grid = harmonics[:, : n_harmonics(l_in)] / scale
        from_grid = (harmonics[:, : n_harmonics(l_out)] * measure[:, None]).T * scale
        self.register_buffer("to_grid", to_grid.contiguous(), persistent=False)
        self.register_buffer("from_grid", from_grid.contiguous(), persistent=False)

    def evaluate(self, features: Tensor) -> Tensor:
        """Return (n_points, n_nodes, n_channels) from ((l_in + 1)², n_nodes, n_channels)."""
        n_m, n_nodes, n_channels = features.shape
        values = torch.mm(self.to_grid[:, :n_m], features.reshape(n_m, n_nodes * n_channels))
        return values.view(-1, n_nodes, n_channels)

    def project(self, values: Tensor, first: int, last: int) -> Tensor:
        """Return harmonics ``first`` to ``last`` (exclusive) of functions given on the grid."""
        n_points, n_nodes, n_channels = values.shape
        flat = values.reshape(n_points, n_nodes * n_channels)
        return torch.mm(self.from_grid[first:last], flat).view(-1, n_nodes, n_channels)
