"""Charge, dipole and quadrupole of an expanded density, in closed form.

For a shell φ = Σ_k w_k r^l exp(−a_k r²) Y_lm the multipole ∫ r^l Y_lm φ is the radial integral
q = Σ_k w_k Γ(l + 3/2) / (2 a_k^{l+3/2}). Only s shells carry charge, only s and p shells a dipole,
only s, p and d shells a quadrupole.
"""

from dataclasses import dataclass
from math import gamma, pi, sqrt

import numpy as np
from numpy.typing import ArrayLike

from densnet.basis import DensityBasis
from densnet.integrals.arguments import Array, Geometry, check_coefficients, check_geometry
from densnet.integrals.shell_table import ShellTable


@dataclass(frozen=True, eq=False)
class Moments:
    """Cartesian moments of a number density (electrons counted positive).

    Parameters
    ----------
    charge : () or (n_batch,) float64
        ∫ρ.
    dipole : (3,) or (n_batch, 3) float64, e·bohr
        ∫ r ρ.
    quadrupole : (3, 3) or (n_batch, 3, 3) float64, e·bohr²
        ∫ r rᵀ ρ, the trace included.
    """

    charge: Array
    dipole: Array
    quadrupole: Array


def moments(
    basis: DensityBasis,
    numbers: ArrayLike,
    positions: ArrayLike,
    coefficients: ArrayLike,
    *,
    origin: ArrayLike = (0.0, 0.0, 0.0),
) -> Moments:
    """Return charge, dipole and quadrupole of Σ_i c_i φ_i about an origin.

    Parameters
    ----------
    basis : DensityBasis
    numbers : (n_atoms,) int
    positions : (n_atoms, 3) or (n_batch, n_atoms, 3) float64, bohr
    coefficients : (n_functions,) or (n_batch, n_functions) float64
    origin : (3,) float64, bohr
    """
    geometry = check_geometry(basis, numbers, positions)
    c = check_coefficients(geometry, coefficients)
    q0, q1, q2 = _atomic_moments(geometry, c)
    r = geometry.positions - np.asarray(origin, dtype=np.float64)
    charge = q0.sum(axis=1)
    dipole = (q0[:, :, None] * r + q1).sum(axis=1)
    shifted = np.einsum("ba,bax,bay->bxy", q0, r, r) + q2.sum(axis=1)
    mixed = np.einsum("bax,bay->bxy", q1, r)
    quadrupole = shifted + mixed + mixed.transpose(0, 2, 1)
    return Moments(geometry.unbatch(charge), geometry.unbatch(dipole), geometry.unbatch(quadrupole))


def _atomic_moments(geometry: Geometry, c: Array) -> tuple[Array, Array, Array]:
    """Return ∫ρ_A, ∫rρ_A and ∫r rᵀρ_A about each atom: (b, n), (b, n, 3), (b, n, 3, 3)."""
    b, n = geometry.n_batch, len(geometry.species)
    q0, q1, q2 = np.zeros((b, n)), np.zeros((b, n, 3)), np.zeros((b, n, 3, 3))
    table = geometry.table
    first = 0
    for a, row in enumerate(geometry.species):
        for s in range(int(table.shell_offset[row]), int(table.shell_offset[row + 1])):
            l = int(table.l[s])
            part = c[:, first : first + 2 * l + 1]
            first += 2 * l + 1
            if l == 0:
                # ∫ φ = √(4π) q and ∫ x² φ = √(4π)/3 times the next radial integral
                q0[:, a] += sqrt(4.0 * pi) * _radial_integral(table, s, 2) * part[:, 0]
                trace = sqrt(4.0 * pi) * _radial_integral(table, s, 4) * part[:, 0]
                q2[:, a] += trace[:, None, None] / 3.0 * np.eye(3)
            elif l == 1:
                q1[:, a] += sqrt(4.0 * pi / 3.0) * _radial_integral(table, s, 4) * part
            elif l == 2:
                q2[:, a] += _radial_integral(table, s, 6) * (part @ _D_TENSORS).reshape(b, 3, 3)
    return q0, q1, q2


def _radial_integral(table: ShellTable, shell: int, power: int) -> float:
    """Return Σ_k w_k ∫₀^∞ r^power exp(−a_k r²) dr over the primitives of a shell."""
    part = slice(int(table.primitive_offset[shell]), int(table.primitive_offset[shell + 1]))
    half = 0.5 * (power + 1)
    return float(np.sum(table.weights[part] * gamma(half) / (2.0 * table.exponents[part] ** half)))


def _d_tensors() -> Array:
    """Return ∫ n nᵀ Y_2m dΩ for m = −2 … 2 as (5, 9): xy, yz, z², xz, x²−y²."""
    tensors = np.zeros((5, 3, 3))
    off = sqrt(4.0 * pi / 15.0)
    for m, (i, k) in {0: (0, 1), 1: (1, 2), 3: (0, 2)}.items():
        tensors[m, i, k] = tensors[m, k, i] = off
    tensors[2] = np.diag([-1.0, -1.0, 2.0]) * sqrt(4.0 * pi / 5.0) / 3.0
    tensors[4] = np.diag([1.0, -1.0, 0.0]) * off
    return tensors.reshape(5, 9)


_D_TENSORS = _d_tensors()
