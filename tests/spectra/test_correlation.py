"""Spectra of signals whose spectra are known."""

import numpy as np
import pytest
from ipi.utils.tools import compute_acf_xyz

from densnet.errors import InputError, NonFiniteError
from densnet.spectra.correlation import (
    Resolution,
    autocorrelation,
    count_lags,
    power_spectrum,
)
from densnet.spectra.output import save_facf
from densnet.spectra.windows import LAG_WINDOWS, end_taper, lag_window, width_cycles
from densnet.units import AU_FS, AU_WAVENUMBER_CM1
from tests.tolerances import LINE_AREA_RELATIVE, ROUNDING_RELATIVE, SIGMAS

INTERVAL = 2.0 / AU_FS


def tone(wavenumber_cm1: float, n: int = 8000) -> np.ndarray:
    return np.cos(wavenumber_cm1 / AU_WAVENUMBER_CM1 * INTERVAL * np.arange(n) + 0.4)[:, None]


def test_autocorrelation_is_the_direct_sum_over_the_tapered_signal(
    rng: np.random.Generator,
) -> None:
    x = rng.normal(size=(200, 3))
    taper, _ = end_taper(200)
    tapered = x * taper[:, None]
    direct = [
        (tapered[: 200 - k] * tapered[k:]).sum() / (taper[: 200 - k] * taper[k:]).sum()
        for k in range(51)
    ]
    np.testing.assert_allclose(autocorrelation(x, 1.0, 50), direct, rtol=0, atol=1e-12)


@pytest.mark.parametrize("window", LAG_WINDOWS)
def test_area_is_the_mean_square_whatever_the_window(rng: np.random.Generator, window: str) -> None:
    x = rng.normal(size=(3000, 3)).cumsum(axis=0)
    resolution = Resolution(40.0, window)
    omega, s = power_spectrum(x, INTERVAL, resolution)
    lags = count_lags(len(x), INTERVAL, resolution)
    mean_square = autocorrelation(x, INTERVAL, lags)[0]
    # The sum over the periodic grid is exact; the last point is shared when its length is even.
    both_sides = 2 * s.sum() - s[0] - (s[-1] if omega[-1] * INTERVAL > 3.14159 else 0.0)
    assert both_sides * omega[1] / (2 * np.pi) == pytest.approx(
        mean_square, rel=1e3 * ROUNDING_RELATIVE
    )


def test_white_noise_is_flat_at_its_variance_times_the_interval(rng: np.random.Generator) -> None:
    n, resolution = 200_000, Resolution(50.0)
    omega, s = power_spectrum(rng.normal(size=(n, 3)), INTERVAL, resolution)
    level = 3 * INTERVAL
    # A lag window over T keeps about n dt / (0.6 T) independent periodogram values in a point.
    lags = count_lags(n, INTERVAL, resolution)
    relative_error = np.sqrt(2.0 * lags * (lag_window("blackman", lags) ** 2).mean() / n / 3)
    inner = s[5:-5] / level - 1.0
    assert np.abs(inner).max() < 1.5 * SIGMAS * relative_error
    assert inner.std() == pytest.approx(relative_error, rel=0.35)
    slope = np.polyfit(omega[5:-5] / omega[-1], inner, 1)[0]
    assert abs(slope) < SIGMAS * relative_error


@pytest.mark.parametrize("window", LAG_WINDOWS)
def test_a_sharp_line_has_the_width_asked_for(window: str) -> None:
    resolution = Resolution(12.0, window, zero_fill=64)
    omega, s = power_spectrum(tone(1500.0), INTERVAL, resolution)
    above = omega[s > 0.5 * s.max()] * AU_WAVENUMBER_CM1
    bin_cm1 = omega[1] * AU_WAVENUMBER_CM1
    assert above[-1] - above[0] == pytest.approx(12.0, abs=2 * bin_cm1)


def test_widths_of_the_windows_are_those_of_the_table() -> None:
    table = {"blackman": 1.15, "hann": 1.00, "gaussian": 1.13, "bartlett": 0.89}
    for name, cycles in table.items():
        assert width_cycles(name) == pytest.approx(cycles, abs=0.005), name


@pytest.mark.parametrize("n", [2_000, 12_000])
@pytest.mark.parametrize("wavenumber", [30.0, 200.0, 1000.0, 3700.0])
def test_spectrum_of_the_derivative_is_that_of_the_exact_derivative(
    wavenumber: float, n: int
) -> None:
    omega_0 = wavenumber / AU_WAVENUMBER_CM1
    phase = omega_0 * INTERVAL * np.arange(n)
    resolution = Resolution(10.0)
    omega, from_x = power_spectrum(np.cos(phase)[:, None], INTERVAL, resolution, derivative=True)
    _, exact = power_spectrum(-omega_0 * np.sin(phase)[:, None], INTERVAL, resolution)
    assert np.abs(from_x - exact).max() < 0.1 * LINE_AREA_RELATIVE * exact.max()
    if wavenumber > 100.0:  # below, the line at −ω overlaps
        assert abs(omega[from_x.argmax()] - omega_0) <= 0.5 * omega[1]


def test_output_every_two_femtoseconds_does_not_damp_fast_lines() -> None:
    # Central differences would keep only 57 % of the second line relative to the first.
    areas = []
    for wavenumber in (1000.0, 3500.0):
        amplitude = AU_WAVENUMBER_CM1 / wavenumber
        omega, s = power_spectrum(
            amplitude * tone(wavenumber), INTERVAL, Resolution(10.0), derivative=True
        )
        areas.append(np.trapezoid(s, omega))
    assert areas[1] / areas[0] == pytest.approx(1.0, rel=LINE_AREA_RELATIVE)


def test_finer_zero_filling_interpolates_and_changes_nothing_else() -> None:
    coarse = power_spectrum(tone(1500.0), INTERVAL, Resolution(10.0, zero_fill=4))
    fine = power_spectrum(tone(1500.0), INTERVAL, Resolution(10.0, zero_fill=32))
    at_coarse = np.interp(coarse[0], *fine)
    assert np.abs(at_coarse - coarse[1]).max() < 0.01 * coarse[1].max()


def test_a_segment_too_short_for_the_resolution_is_refused_with_what_would_do() -> None:
    with pytest.raises(InputError, match=r"1\.000 ps cannot be resolved to 5 cm⁻¹.*coarser"):
        power_spectrum(np.ones((500, 3)), INTERVAL, Resolution(5.0))


def test_a_resolution_that_the_refusal_names_is_accepted() -> None:
    with pytest.raises(InputError) as refusal:
        count_lags(500, INTERVAL, Resolution(5.0))
    named = float(str(refusal.value).split("ask for ")[1].split()[0])
    assert count_lags(500, INTERVAL, Resolution(named)) < 500


def test_nan_is_refused_with_its_frame() -> None:
    x = np.ones((4000, 3))
    x[1234, 1] = np.nan
    with pytest.raises(NonFiniteError, match="1234"):
        power_spectrum(x, INTERVAL, Resolution(20.0))


def test_an_unknown_window_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="blackman, hann"):
        power_spectrum(tone(1000.0), INTERVAL, Resolution(10.0, "boxcar"))


def test_facf_file_has_the_normalisation_of_ipi(tmp_path, rng: np.random.Generator) -> None:
    # i-PI correlates blocks circularly; for a signal with whole periods in a block of 2·lag that
    # is exact, and its transform of the block is the area under ours.
    n, lag = 4096, 512
    interval = 40.0
    k = 100
    x = np.cos(2 * np.pi * k / (2 * lag) * np.arange(n))
    path = tmp_path / "dipole.xyz"
    rows = [f"1\n# Step: {i}\nX {v:.12e} {0.5 * v:.12e} 0.0\n" for i, v in enumerate(x)]
    path.write_text("".join(rows))
    *_, ipi_omega, ipi_spectrum, _ = compute_acf_xyz(str(path), lag, timestep=interval)
    values = np.stack([x, 0.5 * x, 0 * x], axis=1)
    omega, s = power_spectrum(values, interval, Resolution(30.0, "hann"))
    save_facf(omega, s, None, tmp_path / "x_facf.data")
    ours = np.loadtxt(tmp_path / "x_facf.data")
    half = slice(0, lag)
    ipi_area = np.trapezoid(ipi_spectrum[half], ipi_omega[half])
    assert np.trapezoid(ours[:, 1], ours[:, 0]) == pytest.approx(ipi_area, rel=5e-3)
    assert ours[ours[:, 1].argmax(), 0] == pytest.approx(
        ipi_omega[ipi_spectrum[half].argmax()], abs=omega[1]
    )
