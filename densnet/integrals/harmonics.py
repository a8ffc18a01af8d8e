"""Real solid harmonics and their products, in torch: the angular half of every integral.

S_lm(r) = r^l Y_lm(r̂) with real Y_lm, ∫ Y_lm² dΩ = 1, no Condon–Shortley phase. A product of two is

    S_lm(r) S_l'm'(r) = Σ_L r^{l+l'-L} Σ_M ⟨l m; l' m'|L M⟩ S_LM(r)

for L = |l-l'|, |l-l'|+2 … l+l', with the real Gaunt coefficients ⟨l m; l' m'|L M⟩ =
∫ Y_lm Y_l'm' Y_LM dΩ.

>>> import torch
>>> s1 = solid_harmonics(1, torch.tensor([[1.0, 2.0, 3.0]], dtype=torch.float64))
>>> [round(x, 4) for x in (s1[0] / s1[0, 0]).tolist()]  # m = -1, 0, 1 is y, z, x
[1.0, 1.5, 0.5]
"""

from functools import cache
from math import factorial, pi, sqrt

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from densnet.basis.layout import m_order


def solid_harmonics(l: int, vectors: Tensor) -> Tensor:
    """Return the real solid harmonics of degree l.

    Parameters
    ----------
    l : int
    vectors : (..., 3) float64, bohr

    Returns
    -------
    (..., 2l + 1) float64, bohr^l
        In the order m = −l … l; m < 0 carries sin(|m|φ).
    """
    x, y, z = vectors.unbind(-1)
    r2 = (vectors * vectors).sum(-1)
    cosine, sine = [torch.ones_like(x)], [torch.zeros_like(x)]
    for _ in range(l):
        c, s = cosine[-1], sine[-1]
        cosine.append(x * c - y * s)
        sine.append(x * s + y * c)
    columns: dict[int, Tensor] = {}
    for m in range(l + 1):
        polynomial = _associated_legendre(l, m, z, r2)
        norm = sqrt((2 * l + 1) / (4 * pi) * factorial(l - m) / factorial(l + m))
        if m == 0:
            columns[0] = norm * polynomial
        else:
            columns[m] = sqrt(2.0) * norm * polynomial * cosine[m]
            columns[-m] = sqrt(2.0) * norm * polynomial * sine[m]
    return torch.stack([columns[m] for m in range(-l, l + 1)], dim=-1)


def _associated_legendre(l: int, m: int, z: Tensor, r2: Tensor) -> Tensor:
    """Return r^{l-m} P_l^m(z/r) / sin^m θ, a polynomial in z and r², by upward recursion in l."""
    previous = torch.zeros_like(z)
    current = torch.full_like(z, float(np.prod(np.arange(2 * m - 1, 0, -2, dtype=np.float64))))
    for k in range(m + 1, l + 1):
        following = ((2 * k - 1) * z * current - (k + m - 1) * r2 * previous) / (k - m)
        previous, current = current, following
    return current


@cache
def gaunt_coefficients(l_a: int, l_b: int) -> dict[int, NDArray[np.float64]]:
    """Return the real Gaunt coefficients of the products of degree l_a and l_b.

    They come from Gauss–Legendre × trapezoid quadrature, which is exact for these polynomials.

    Returns
    -------
    dict from L to (2 l_a + 1, 2 l_b + 1, 2L + 1) float64
        First two axes in the coefficient order of PySCF (p as x, y, z), the last as M = −L … L.
    """
    degree = 2 * (l_a + l_b)
    z, w = np.polynomial.legendre.leggauss(degree // 2 + 1)
    phi = 2 * pi * np.arange(degree + 1) / (degree + 1)
    sine = np.sqrt(1 - z * z)
    points = np.stack(
        [np.outer(sine, np.cos(phi)), np.outer(sine, np.sin(phi)), np.outer(z, np.ones_like(phi))],
        axis=-1,
    ).reshape(-1, 3)
    weights = np.outer(w, np.full_like(phi, 2 * pi / (degree + 1))).reshape(-1)

    def harmonics(l: int) -> NDArray[np.float64]:
        return np.asarray(solid_harmonics(l, torch.from_numpy(points)).numpy())

    a = harmonics(l_a)[:, [m + l_a for m in m_order(l_a)]]
    b = harmonics(l_b)[:, [m + l_b for m in m_order(l_b)]]
    table = {}
    for l in range(abs(l_a - l_b), l_a + l_b + 1, 2):
        gaunt = np.einsum("pi,pj,pk,p->ijk", a, b, harmonics(l), weights, optimize=True)
        gaunt[np.abs(gaunt) < 1e-14] = 0.0
        table[l] = gaunt
    return table
