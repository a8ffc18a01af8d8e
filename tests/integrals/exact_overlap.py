"""Overlaps of two primitive shells in 50 digits, from one-dimensional Gaussian moments."""

import mpmath as mp
import numpy as np
from numpy.typing import NDArray

from densnet.basis.layout import m_order

Polynomial = dict[tuple[int, int, int], mp.mpf]


def exact_overlap(
    l_a: int, a: float, l_b: int, b: float, separation: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the overlaps of a shell at the origin with one at ``separation``."""
    with mp.workdps(50):
        norm = shell_norm(l_a, mp.mpf(a)) * shell_norm(l_b, mp.mpf(b))
        moments = [
            [
                [_moment(i, j, mp.mpf(a), mp.mpf(b), mp.mpf(float(x))) for j in range(l_b + 1)]
                for i in range(l_a + 1)
            ]
            for x in separation
        ]
        rows = [
            [_integral(p, q, moments) * norm for q in shell_polynomials(l_b)]
            for p in shell_polynomials(l_a)
        ]
        return np.array([[float(x) for x in row] for row in rows])


def shell_norm(l: int, a: mp.mpf) -> mp.mpf:
    """Return N with ∫ (N r^l exp(−a r²) Y_lm)² = 1."""
    power = mp.mpf(2 * l + 3) / 2
    return mp.sqrt(2 * (2 * a) ** power / mp.gamma(power))


def _moment(i: int, j: int, a: mp.mpf, b: mp.mpf, x: mp.mpf) -> mp.mpf:
    """Return ∫ t^i (t − x)^j exp(−a t² − b (t − x)²) dt."""
    p = a + b
    centre = b * x / p
    total = mp.mpf(0)
    for k in range(i + 1):
        for n in range(j + 1):
            if (k + n) % 2 == 0:
                half = mp.mpf(k + n + 1) / 2
                shift = centre ** (i - k) * (centre - x) ** (j - n)
                total += mp.binomial(i, k) * mp.binomial(j, n) * shift * mp.gamma(half) / p**half
    return mp.exp(-a * b / p * x * x) * total


def _integral(p: Polynomial, q: Polynomial, moments: list[list[list[mp.mpf]]]) -> mp.mpf:
    return mp.fsum(
        c * d * moments[0][e[0]][f[0]] * moments[1][e[1]][f[1]] * moments[2][e[2]][f[2]]
        for e, c in p.items()
        for f, d in q.items()
    )


def shell_polynomials(l: int) -> list[Polynomial]:
    """Return r^l Y_lm of every m in PySCF's order, as polynomials in x, y, z."""
    return [_harmonic(l, m) for m in m_order(l)]


def _harmonic(l: int, m: int) -> Polynomial:
    """Return r^l Y_lm as a polynomial in x, y, z: an explicit sum over powers, no recursion."""
    size = abs(m)
    result: Polynomial = {}
    factorial = mp.factorial
    norm = mp.sqrt(mp.mpf(2 * l + 1) / (4 * mp.pi) * factorial(l - size) / factorial(l + size))
    if m != 0:
        norm *= mp.sqrt(2)
    for k in range((l - size) // 2 + 1):
        # the coefficient of r^{2k} z^{l−2k−m} in r^{l-m} d^m P_l / dt^m
        radial = (
            mp.mpf(-1) ** k
            * mp.mpf(2) ** (-l)
            * mp.binomial(l, k)
            * mp.binomial(2 * l - 2 * k, l)
            * factorial(l - 2 * k)
            / factorial(l - 2 * k - size)
        )
        for i in range(k + 1):
            for j in range(k - i + 1):
                spread = factorial(k) / factorial(i) / factorial(j) / factorial(k - i - j)
                for n in range(0 if m >= 0 else 1, size + 1, 2):
                    sign = (-1) ** (n // 2)
                    power = (
                        2 * i + size - n,
                        2 * j + n,
                        2 * (k - i - j) + l - 2 * k - size,
                    )
                    term = norm * radial * spread * sign * mp.binomial(size, n)
                    result[power] = result.get(power, mp.mpf(0)) + term
    return result
