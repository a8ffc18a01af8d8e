"""Norm of a primitive solid-harmonic Gaussian.

φ(r) = N r^l exp(−a r²) Y_lm(r̂) with real spherical harmonics and ∫φ² = 1.
"""

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
