"""Lag windows of correlation functions, and the spectral resolution they give.

A correlation function multiplied by a window w(t), zero beyond the longest lag T, has a spectrum
convolved with the transform of w. The *resolution* used throughout is the full width at half
maximum of that transform: an infinitely sharp line appears with this width.

| window | w(t), u = t/T | width · T (cycles) | lowest side lobe |
| --- | --- | --- | --- |
| blackman | 0.42 + 0.5 cos πu + 0.08 cos 2πu | 1.15 | −0.1 % |
| hann | 0.5 + 0.5 cos πu | 1.00 | −2.7 % |
| gaussian | exp(−½ (3u)²) | 1.13 | −0.1 % |
| bartlett | 1 − u | 0.89 | none below zero, wide skirts |

The rectangular window is not offered: its side lobes reach −22 % of a line.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from densnet.errors import InputError
from densnet.units import AU_WAVENUMBER_CM1

Array = NDArray[np.float64]


def _blackman(u: Array) -> Array:
    return 0.42 + 0.5 * np.cos(np.pi * u) + 0.08 * np.cos(2 * np.pi * u)


def _hann(u: Array) -> Array:
    return 0.5 + 0.5 * np.cos(np.pi * u)


def _gaussian(u: Array) -> Array:
    return np.exp(-0.5 * (3.0 * u) ** 2)


def _bartlett(u: Array) -> Array:
    return 1.0 - u


LAG_WINDOWS: Final[dict[str, Callable[[Array], Array]]] = {
    "blackman": _blackman,
    "hann": _hann,
    "gaussian": _gaussian,
    "bartlett": _bartlett,
}


def lag_window(name: str, n_lags: int) -> Array:
    """Window values at lags 0 … n_lags.

    Parameters
    ----------
    name : str
        One of ``LAG_WINDOWS``.
    n_lags : int
        Index of the longest lag T.

    Returns
    -------
    (n_lags + 1,) float64
        w(0) = 1, so the area under the spectrum is not changed.
    """
    return _window_function(name)(np.arange(n_lags + 1) / n_lags)


def longest_lag_au(name: str, resolution_cm1: float) -> float:
    """Longest lag T for which the window resolves ``resolution_cm1``.

    Parameters
    ----------
    name : str
    resolution_cm1 : float
        Full width at half maximum wanted for a sharp line.

    Returns
    -------
    float
        T in atomic units of time.
    """
    if not resolution_cm1 > 0:
        raise InputError(f"the resolution must be positive, got {resolution_cm1} cm⁻¹")
    angular_frequency = resolution_cm1 / AU_WAVENUMBER_CM1
    return 2 * np.pi * width_cycles(name) / angular_frequency


def width_cycles(name: str) -> float:
    """Full width at half maximum of the window's transform, times T, in cycles."""
    u = np.linspace(0.0, 1.0, 2001)
    w = _window_function(name)(u)

    def above_half(x: float) -> float:
        return float(np.trapezoid(w * np.cos(2 * np.pi * x * u), u) - 0.5 * np.trapezoid(w, u))

    return 2.0 * brentq(above_half, 0.05, 1.0)


def end_taper(n: int, fraction: float = 0.1) -> tuple[Array, Array]:
    """Cosine taper that brings the first and last ``fraction`` of a segment to zero.

    A segment cut out of a trajectory does not close on itself; the jump leaks the slow rotation of
    the dipole into a floor under the vibrations. The taper removes it.

    Returns
    -------
    taper : (n,) float64
    slope : (n,) float64
        Its derivative, per frame.
    """
    taper, slope = np.ones(n), np.zeros(n)
    width = int(fraction * n)
    if width:
        angle = np.pi * (np.arange(width) + 0.5) / width
        taper[:width] = 0.5 - 0.5 * np.cos(angle)
        slope[:width] = 0.5 * np.pi / width * np.sin(angle)
        taper[-width:] = taper[:width][::-1]
        slope[-width:] = -slope[:width][::-1]
    return taper, slope


def _window_function(name: str) -> Callable[[Array], Array]:
    try:
        return LAG_WINDOWS[name]
    except KeyError:
        raise InputError(
            f"no lag window is called {name!r}; choose one of {', '.join(LAG_WINDOWS)}"
        ) from None
