"""Correlation functions of time series and their spectra.

For a stationary real vector process x(t) the spectrum is the Fourier transform of its
autocorrelation (Wiener–Khinchin),

    S(ω) = ∫ ⟨x(0)·x(t)⟩ e^{−iωt} dt ,   ∫₀^∞ S(ω) dω / π = ⟨x·x⟩ .

The spectrum of the time derivative ẋ is ω² S(ω). It is formed in frequency space, by factors of iω,
and never by finite differences in time, which damp a line by sinc²(ωΔt).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft

from densnet.errors import InputError, NonFiniteError
from densnet.spectra.windows import end_taper, lag_window, longest_lag_au
from densnet.units import AU_FS, AU_WAVENUMBER_CM1

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Resolution:
    """How sharply a spectrum is resolved.

    Parameters
    ----------
    resolution_cm1 : float
        Full width at half maximum given to an infinitely sharp line, cm⁻¹.
    window : str
        Lag window, see :mod:`densnet.spectra.windows`.
    zero_fill : int
        Grid points in one resolution width, by padding the correlation function with zeros. It
        interpolates; it adds no information.
    """

    resolution_cm1: float = 10.0
    window: str = "blackman"
    zero_fill: int = 8


def autocorrelation(
    values: Array, timestep_au: float, n_lags: int, *, derivative: bool = False
) -> Array:
    """Unbiased autocorrelation function ⟨x(0)·x(t)⟩ (or of ẋ) of one segment.

    The segment is tapered at its ends, transformed, squared, transformed back, and divided by the
    autocorrelation of the taper h. For ẋ, hẋ = d(hx)/dt − h'x with the derivative as iω.

    Parameters
    ----------
    values : (n_times, n_components) float64
        x(t), equally spaced; the components are summed over.
    timestep_au : float
        Spacing, atomic units of time.
    n_lags : int
        Index of the longest lag, below n_times.
    derivative : bool
        Correlate ẋ instead of x. The mean of x is then taken out first.

    Returns
    -------
    (n_lags + 1,) float64
        Unit of x², or of x² per atomic time².
    """
    n = len(values)
    if not 0 < n_lags < n:
        raise InputError(
            f"a correlation over {n_lags} lags needs more than {n_lags} frames, got {n}"
        )
    if not np.isfinite(values).all():
        raise NonFiniteError(f"frame {int(np.argwhere(~np.isfinite(values))[0, 0])} is not finite")
    flat = values.reshape(n, -1)
    if derivative:
        flat = flat - flat.mean(axis=0)
    taper, slope = end_taper(n)
    n_padded = next_fast_len(n + n_lags, real=True)
    tapered = flat * taper[:, None]
    if derivative:
        omega = 2 * np.pi * np.fft.rfftfreq(n_padded, timestep_au)
        rate = irfft(1j * omega[:, None] * rfft(tapered, n_padded, axis=0), n_padded, axis=0)
        tapered = rate[:n] - flat * (slope / timestep_au)[:, None]
    power = (np.abs(rfft(tapered, n_padded, axis=0)) ** 2).sum(axis=1)
    overlap_of_taper = irfft(np.abs(rfft(taper, n_padded)) ** 2, n_padded)[: n_lags + 1]
    return np.asarray(irfft(power, n_padded)[: n_lags + 1] / overlap_of_taper, dtype=np.float64)


def cosine_transform(
    correlation: Array, timestep_au: float, window: str, n_grid: int
) -> tuple[Array, Array]:
    """Spectrum of a windowed, even correlation function.

    Parameters
    ----------
    correlation : (n_lags + 1,) float64
    timestep_au : float
    window : str
    n_grid : int
        Length of the padded even function; the grid has n_grid // 2 + 1 frequencies.

    Returns
    -------
    omega : (n_grid // 2 + 1,) float64, 1/atomic time
    spectrum : (n_grid // 2 + 1,) float64, unit of the correlation function times atomic time
    """
    n_lags = len(correlation) - 1
    if n_grid < 2 * n_lags + 1:
        raise InputError(f"{n_grid} grid points cannot hold {n_lags} lags on either side of zero")
    even = np.zeros(n_grid)
    windowed = correlation * lag_window(window, n_lags)
    even[: n_lags + 1] = windowed
    even[n_grid - n_lags :] = windowed[:0:-1]
    omega = np.asarray(2 * np.pi * np.fft.rfftfreq(n_grid, timestep_au), dtype=np.float64)
    return omega, np.asarray(rfft(even).real * timestep_au, dtype=np.float64)


def count_lags(n_times: int, timestep_au: float, resolution: Resolution) -> int:
    """Number of lags that the resolution needs, refused if the segment is too short for them."""
    n_lags = int(
        np.ceil(longest_lag_au(resolution.window, resolution.resolution_cm1) / timestep_au)
    )
    if n_lags >= n_times:
        have, need = (k * timestep_au * AU_FS / 1000 for k in (n_times, n_lags + 1))
        finest = resolution.resolution_cm1 * need / have
        raise InputError(
            f"a segment of {have:.3f} ps cannot be resolved to {resolution.resolution_cm1:g} cm⁻¹ "
            f"({need:.3f} ps needed with the {resolution.window} window); "
            f"ask for {np.ceil(finest * 1.01):.0f} cm⁻¹ or coarser, or run longer"
        )
    return n_lags


def power_spectrum(
    values: Array, timestep_au: float, resolution: Resolution, *, derivative: bool = False
) -> tuple[Array, Array]:
    """Spectrum S(ω) of one segment at the resolution asked for.

    Parameters
    ----------
    values : (n_times, ...) float64
    timestep_au : float
    resolution : Resolution
    derivative : bool
        Give ω² S(ω), the spectrum of the time derivative.

    Returns
    -------
    omega : (n_omega,) float64, 1/atomic time
    spectrum : (n_omega,) float64
        ∫₀^∞ spectrum dω/π is ⟨x·x⟩ (or ⟨ẋ·ẋ⟩), whatever the window.

    Examples
    --------
    >>> import numpy as np
    >>> t = np.arange(20000) * 20.0
    >>> omega, s = power_spectrum(np.cos(0.005 * t)[:, None], 20.0, Resolution(20.0))
    >>> bool(abs(omega[s.argmax()] - 0.005) < omega[1])
    True
    """
    n_lags = count_lags(len(values), timestep_au, resolution)
    correlation = autocorrelation(values, timestep_au, n_lags, derivative=derivative)
    spacing = resolution.resolution_cm1 / resolution.zero_fill / AU_WAVENUMBER_CM1
    points = max(2 * np.pi / (spacing * timestep_au), 2 * n_lags + 1)
    n_grid = next_fast_len(int(np.ceil(points)), real=True)
    return cosine_transform(correlation, timestep_au, resolution.window, n_grid)
