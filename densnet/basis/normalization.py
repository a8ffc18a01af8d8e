"""Norm, charge and first moment of a primitive solid-harmonic Gaussian.

φ(r) = N r^l exp(−a r²) Y_lm(r̂) with real spherical harmonics and ∫φ² = 1.
"""

from math import pi

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln


def primitive_norm(l: ArrayLike, exponent: ArrayLike) -> NDArray[np.float64]:
    """Return N = √(2(2a)^{l+3/2} / Γ(l+3/2)), the norm of r^l exp(−a r²).

    Parameters
    ----------
    l : (...) int
        Angular momentum.
    exponent : (...) float64, bohr⁻²

    Returns
    -------
    (...) float64
        The radial norm; Y_lm carries its own normalisation to one.
    """
    power = np.asarray(l, dtype=np.float64) + 1.5
    log_norm = 0.5 * (np.log(2.0) + power * np.log(2.0 * np.asarray(exponent)) - gammaln(power))
    return np.asarray(np.exp(log_norm))


def monopole(exponent: ArrayLike) -> NDArray[np.float64]:
    """Return ∫φ of a normalised s Gaussian, N π / (2 a^{3/2})."""
    a = np.asarray(exponent, dtype=np.float64)
    return primitive_norm(0, a) * pi / (2.0 * a**1.5)


def first_moment(exponent: ArrayLike) -> NDArray[np.float64]:
    """Return ∫x φ_x of a normalised p Gaussian, N √3 π / (4 a^{5/2}), in bohr."""
    a = np.asarray(exponent, dtype=np.float64)
    return primitive_norm(1, a) * np.sqrt(3.0) * pi / (4.0 * a**2.5)
