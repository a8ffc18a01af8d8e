"""Coulomb integrals of two primitive shells in 50 digits, by McMurchie and Davidson's expansion.

Nothing here is shared with the kernel: each Cartesian Gaussian becomes a sum of Hermite Gaussians,
and integrals of those are derivatives of the Boys function by recursion (Helgaker, Jørgensen,
Olsen, Molecular Electronic-Structure Theory, equations 9.5.6 and 9.9.18 to 9.9.20).
"""

from collections import defaultdict

import mpmath as mp
import numpy as np
from numpy.typing import NDArray

from tests.integrals.exact_overlap import Polynomial, shell_norm, shell_polynomials


def exact_coulomb(
    l_a: int, a: float, l_b: int, b: float, separation: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the integrals of a shell at the origin with one at ``separation``."""
    with mp.workdps(50):
        x, y = mp.mpf(a), mp.mpf(b)
        factor = shell_norm(l_a, x) * shell_norm(l_b, y)
        factor *= 2 * mp.pi ** mp.mpf(2.5) / (x * y * mp.sqrt(x + y))
        derivatives = _boys_derivatives(l_a + l_b, x * y / (x + y), separation)
        rows = [_hermite(p, x) for p in shell_polynomials(l_a)]
        columns = [_hermite(p, y) for p in shell_polynomials(l_b)]
        return np.array(
            [[float(factor * _contract(p, q, derivatives)) for q in columns] for p in rows]
        )


def _hermite(polynomial: Polynomial, a: mp.mpf) -> Polynomial:
    """Return E with P(r) exp(−a r²) = Σ E_tuv (∂/∂A)^tuv exp(−a r²)."""
    result: Polynomial = defaultdict(lambda: mp.mpf(0))
    for powers, c in polynomial.items():
        x, y, z = (_hermite_powers(i, a) for i in powers)
        for t, e in x.items():
            for u, f in y.items():
                for v, g in z.items():
                    result[t, u, v] += c * e * f * g
    return result


def _hermite_powers(i: int, a: mp.mpf) -> dict[int, mp.mpf]:
    """Return E with x^i exp(−a x²) = Σ E_t (∂/∂A)^t exp(−a x²)."""
    e = {0: mp.mpf(1)}
    for _ in range(i):
        raised = {t + 1: c / (2 * a) for t, c in e.items()}
        for t, c in e.items():
            if t > 0:
                raised[t - 1] = raised.get(t - 1, mp.mpf(0)) + t * c
        e = raised
    return e


def _boys_derivatives(order: int, p: mp.mpf, separation: NDArray[np.float64]) -> Polynomial:
    """Return (∂/∂R)^tuv F_0(p R²) with R = A − B for t + u + v ≤ order."""
    r = [-mp.mpf(float(x)) for x in separation]
    argument = p * mp.fsum(x * x for x in r)
    level = {(0, 0, 0): (-2 * p) ** order * _boys(order, argument)}
    for n in range(order - 1, -1, -1):
        raised = {(0, 0, 0): (-2 * p) ** n * _boys(n, argument)}
        for t, u, v in level:
            for axis in range(3):
                index = [t, u, v]
                index[axis] += 1
                if tuple(index) in raised:
                    continue
                lower = [t, u, v]
                lower[axis] -= 1
                value = r[axis] * level[t, u, v]
                if lower[axis] >= 0:
                    value += (index[axis] - 1) * level[lower[0], lower[1], lower[2]]
                raised[index[0], index[1], index[2]] = value
        level = raised
    return level


def _boys(n: int, t: mp.mpf) -> mp.mpf:
    half = mp.mpf(2 * n + 1) / 2
    return mp.hyp1f1(half, half + 1, -t) / (2 * n + 1)


def _contract(p: Polynomial, q: Polynomial, derivatives: Polynomial) -> mp.mpf:
    return mp.fsum(
        (-1) ** sum(f) * c * d * derivatives[e[0] + f[0], e[1] + f[1], e[2] + f[2]]
        for e, c in p.items()
        for f, d in q.items()
    )
