"""The slow twin of the C++ kernel: every two-centre integral in plain torch, differentiable.

It is the second oracle of the tests and what runs when the extension is missing. Two solid-harmonic
Gaussians w r^l exp(−a r²) Y_lm on centres A and B, with p = ab/(a+b), R = A − B, T = pR², have

    ⟨a|g|b⟩ = u_a u_b (−1)^{l_b} Σ_L G_L(R) f_{L,j}(p, R²),    j = (l_a + l_b − L)/2,
    u_a = w_a (π/a)^{3/2} (2a)^{−l_a},    G_L = Σ_M ⟨l_a m_a; l_b m_b|L M⟩ S_LM(R),

because in Fourier space both are solid harmonics times a Gaussian. For the overlap

    f_{L,j} = (p/π)^{3/2} (−2p)^L (−4p)^j j! L_j^{(L+1/2)}(T) e^{−T},

and for the Coulomb metric f_{L,0} = 2 √(p/π) (−2p)^L F_L(T), f_{L,j≥1} = −4π f_{L,j−1} of the
overlap, since ∇²(1/r) = −4πδ.

References
----------
E. J. Weniger and E. O. Steinborn, J. Chem. Phys. 78, 6121 (1983), doi:10.1063/1.444574.
"""

from collections.abc import Callable
from math import factorial, pi
from typing import Literal

import torch
from torch import Tensor

from densnet.basis.layout import m_order
from densnet.integrals.boys import boys
from densnet.integrals.harmonics import gaunt_coefficients, solid_harmonics
from densnet.integrals.shell_table import ShellTable

Metric = Literal["overlap", "coulomb"]


def metric_matrix(
    metric: Metric,
    table: ShellTable,
    species: Tensor,
    positions: Tensor,
    exponents: Tensor | None = None,
) -> Tensor:
    """Return the overlap or the Coulomb metric within one structure.

    Parameters
    ----------
    metric : "overlap" or "coulomb"
    table : ShellTable
    species : (n_atoms,) int64
        Row of ``table.elements`` of each atom.
    positions : (n_atoms, 3) float64, bohr
    exponents : (n_primitives,) float64, bohr⁻², optional
        In the place of the table's; the result can be differentiated with respect to them.

    Returns
    -------
    (n_functions, n_functions) float64
    """
    side = _Side(table, species, positions, exponents)
    return _between(metric, side, side)


def cross_matrix(
    metric: Metric,
    table: ShellTable,
    species: Tensor,
    positions: Tensor,
    other_table: ShellTable,
    other_species: Tensor,
    other_positions: Tensor,
) -> Tensor:
    """Return the matrix between the functions of two structures."""
    return _between(
        metric,
        _Side(table, species, positions, None),
        _Side(other_table, other_species, other_positions, None),
    )


class _Side:
    """The functions of one structure, grouped by l; a group lists its primitives on all atoms."""

    def __init__(
        self, table: ShellTable, species: Tensor, positions: Tensor, exponents: Tensor | None
    ) -> None:
        given = torch.from_numpy(table.exponents) if exponents is None else exponents
        self.positions = positions
        self.exponents = given
        self.reduced_weights = _reduced_weights(table, given)
        self.atom: dict[int, list[int]] = {}
        self.primitive: dict[int, list[int]] = {}
        self.shell: dict[int, list[int]] = {}  # of each primitive: its shell within the group
        self.first_function: dict[int, list[int]] = {}  # of each shell of the group
        n = 0
        for a, row in enumerate(species.tolist()):
            for s in range(int(table.shell_offset[row]), int(table.shell_offset[row + 1])):
                l = int(table.l[s])
                shells = self.first_function.setdefault(l, [])
                for k in range(int(table.primitive_offset[s]), int(table.primitive_offset[s + 1])):
                    self.atom.setdefault(l, []).append(a)
                    self.primitive.setdefault(l, []).append(k)
                    self.shell.setdefault(l, []).append(len(shells))
                shells.append(n)
                n += 2 * l + 1
        self.n_functions = n

    def contraction(self, l: int) -> Tensor:
        """Return u, spread as (n_shells, n_primitives) of the group l."""
        primitive = torch.tensor(self.primitive[l])
        shell = torch.tensor(self.shell[l])
        weights = self.reduced_weights[primitive]
        rows = torch.arange(len(self.first_function[l]))
        return weights * (rows[:, None] == shell).to(weights.dtype)

    def functions(self, l: int) -> Tensor:
        """Return the function index of each (shell, m) of the group l, flat."""
        first = torch.tensor(self.first_function[l])
        return (first[:, None] + torch.arange(2 * l + 1)).reshape(-1)


def _reduced_weights(table: ShellTable, exponents: Tensor) -> Tensor:
    """Return u = w (π/a)^{3/2} (2a)^{−l} for every primitive, with ∫φ² = 1 for every shell."""
    pieces = []
    for s, l in enumerate(table.l.tolist()):
        part = slice(int(table.primitive_offset[s]), int(table.primitive_offset[s + 1]))
        a = exponents[part]
        power = l + 1.5
        half_gamma = 0.5 * torch.exp(torch.lgamma(torch.tensor(power, dtype=a.dtype)))
        norm = torch.sqrt((2 * a) ** power / half_gamma)
        weights = torch.from_numpy(table.coefficients[part]) * norm
        radial_overlap = half_gamma / (a[:, None] + a[None, :]) ** power
        weights = weights / torch.sqrt(weights @ radial_overlap @ weights)
        pieces.append(weights * (pi / a) ** 1.5 * (2 * a) ** (-l))
    return torch.cat(pieces)


def _between(metric: Metric, left: _Side, right: _Side) -> Tensor:
    result = left.positions.new_zeros(left.n_functions * right.n_functions)
    for l_a in left.first_function:
        for l_b in right.first_function:
            block = _group_block(metric, left, l_a, right, l_b)
            rows, columns = left.functions(l_a), right.functions(l_b)
            where = (rows[:, None] * right.n_functions + columns).reshape(-1)
            result = result.index_copy(0, where, block.reshape(-1))
    return result.reshape(left.n_functions, right.n_functions)


def _group_block(metric: Metric, left: _Side, l_a: int, right: _Side, l_b: int) -> Tensor:
    """Return the integrals of all shells of degree l_a with all of degree l_b, (i, m_a, j, m_b)."""
    a = left.exponents[torch.tensor(left.primitive[l_a])][:, None]
    b = right.exponents[torch.tensor(right.primitive[l_b])][None, :]
    p = a * b / (a + b)
    centre_a = left.positions[torch.tensor(left.atom[l_a])]
    centre_b = right.positions[torch.tensor(right.atom[l_b])]
    separation = centre_a[:, None, :] - centre_b[None, :, :]
    r2 = (separation * separation).sum(-1)
    primitive_block = torch.zeros((), dtype=r2.dtype)
    for l, gaunt in gaunt_coefficients(l_a, l_b).items():
        harmonics = solid_harmonics(l, separation)
        angular = torch.einsum("ijM,abM->iajb", harmonics, torch.from_numpy(gaunt))
        radial = _radial(metric, l, (l_a + l_b - l) // 2, p, r2)
        primitive_block = primitive_block + angular * radial[:, None, :, None]
    sign = -1.0 if l_b % 2 else 1.0
    return sign * torch.einsum(
        "si,iajb,tj->satb", left.contraction(l_a), primitive_block, right.contraction(l_b)
    )


def _radial(metric: Metric, l: int, j: int, p: Tensor, r2: Tensor) -> Tensor:
    """Return f_{L,j}(p, R²)."""
    t = p * r2
    if metric == "coulomb":
        if j == 0:
            return 2.0 * torch.sqrt(p / pi) * (-2.0 * p) ** l * boys(l, t)
        return -4.0 * pi * _radial("overlap", l, j - 1, p, r2)
    gaussian = (p / pi) ** 1.5 * torch.exp(-t)
    return gaussian * (-2.0 * p) ** l * (-4.0 * p) ** j * factorial(j) * _laguerre(j, l + 0.5, t)


def _laguerre(j: int, alpha: float, t: Tensor) -> Tensor:
    """Return the associated Laguerre polynomial L_j^{(α)}(T) by its three-term recursion."""
    previous, current = torch.zeros_like(t), torch.ones_like(t)
    for k in range(1, j + 1):
        following = ((2 * k - 1 + alpha - t) * current - (k - 1 + alpha) * previous) / k
        previous, current = current, following
    return current


def density(
    table: ShellTable, species: Tensor, positions: Tensor, coefficients: Tensor, points: Tensor
) -> Tensor:
    """Return Σ_i c_i φ_i on points, (n_points,) in e/bohr³, differentiable in the points."""
    weights = torch.from_numpy(table.weights)

    def radial(l: int, part: slice, r2: Tensor) -> Tensor:
        a = torch.from_numpy(table.exponents[part])
        return (weights[part] * torch.exp(-a * r2[:, None])).sum(-1)

    return _expansion(table, species, positions, coefficients, points, radial)


def potential(
    table: ShellTable, species: Tensor, positions: Tensor, coefficients: Tensor, points: Tensor
) -> Tensor:
    """Return ∫ Σ_i c_i φ_i(r')/|r − r'| dr' on points, (n_points,) in hartree/e.

    A shell gives Σ_k u_k 2 √(a/π) (2a)^l F_l(a r²) S_lm(r), u as in the module docstring: the
    Coulomb formula with a point charge, p → a, L = l, R = A − r.
    """
    reduced = _reduced_weights(table, torch.from_numpy(table.exponents))

    def radial(l: int, part: slice, r2: Tensor) -> Tensor:
        a = torch.from_numpy(table.exponents[part])
        factor = reduced[part] * 2.0 * torch.sqrt(a / pi) * (2.0 * a) ** l
        return (factor * boys(l, a * r2[:, None])).sum(-1)

    return _expansion(table, species, positions, coefficients, points, radial)


def _expansion(
    table: ShellTable,
    species: Tensor,
    positions: Tensor,
    coefficients: Tensor,
    points: Tensor,
    radial: Callable[[int, slice, Tensor], Tensor],
) -> Tensor:
    """Return Σ_A Σ_s Σ_m c_Asm R_s(|r − A|²) S_lm(r − A) on points."""
    total = points.new_zeros(points.shape[0])
    first = 0
    for a, row in enumerate(species.tolist()):
        separation = points - positions[a]
        r2 = (separation * separation).sum(-1)
        for s in range(int(table.shell_offset[row]), int(table.shell_offset[row + 1])):
            l = int(table.l[s])
            part = slice(int(table.primitive_offset[s]), int(table.primitive_offset[s + 1]))
            order = [m + l for m in m_order(l)]
            angular = solid_harmonics(l, separation)[:, order]
            of_shell = coefficients[first : first + 2 * l + 1]
            total = total + radial(l, part, r2) * (angular @ of_shell)
            first += 2 * l + 1
    return total
