"""Whether a thermostat samples the canonical distribution, and how quickly."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from densnet.simulate.follow import read_properties
from densnet.simulate.manifest import RunManifest
from densnet.simulate.summary import block_error, fit_drift
from densnet.units import HARTREE_MEV, KELVIN_HARTREE


@dataclass(frozen=True)
class ThermostatReport:
    """What one run says of its thermostat.

    Parameters
    ----------
    name : str
    temperature_kelvin, temperature_error_kelvin : float
        Kinetic temperature and its standard error.
    target_kelvin : float
    kinetic_p_value : float
        Of a Kolmogorov–Smirnov test of the kinetic energy against the canonical (Gamma)
        distribution, with decorrelated samples; small values reject it. NVE is not canonical.
    energy_time_ps : float
        Integrated autocorrelation time of the potential energy.
    drift_mev_atom_ns, drift_error_mev_atom_ns : float
        Of the conserved quantity.
    """

    name: str
    temperature_kelvin: float
    temperature_error_kelvin: float
    target_kelvin: float
    kinetic_p_value: float
    energy_time_ps: float
    drift_mev_atom_ns: float
    drift_error_mev_atom_ns: float


def report_run(directory: Path) -> ThermostatReport:
    """Judge the production trajectory of a classical run with one replica.

    Parameters
    ----------
    directory : Path
        A run directory.
    """
    manifest = RunManifest.load(directory)
    segment = manifest.segments[-1]
    table = read_properties(directory / segment.properties_file)
    time_ps = table["step"] * segment.timestep_fs * 1e-3
    interval_ps = float(time_ps[1] - time_ps[0]) if len(time_ps) > 1 else 0.0
    # i-PI removes the motion of the centre of mass.
    degrees_of_freedom = 3 * len(manifest.numbers) - 3
    conserved = table["conserved"] * HARTREE_MEV / len(manifest.numbers)
    drift, drift_error, _ = fit_drift(time_ps, conserved)
    return ThermostatReport(
        name=directory.name,
        temperature_kelvin=float(table["temperature"].mean()),
        temperature_error_kelvin=block_error(table["temperature"]),
        target_kelvin=segment.temperature_kelvin,
        kinetic_p_value=kinetic_energy_p_value(
            table["kinetic_md"], segment.temperature_kelvin, degrees_of_freedom
        ),
        energy_time_ps=autocorrelation_time(table["potential"]) * interval_ps,
        drift_mev_atom_ns=drift * 1e3,
        drift_error_mev_atom_ns=drift_error * 1e3,
    )


def autocorrelation_time(values: NDArray[np.float64], window: float = 5.0) -> float:
    """Integrated autocorrelation time τ = ½ + Σ_t ρ(t), in units of the sampling interval.

    The sum ends at the first t ≥ `window`·τ(t), where noise would begin to dominate.

    Parameters
    ----------
    values : (n,) float64

    References
    ----------
    Sokal 1997, https://doi.org/10.1007/978-1-4899-0319-8_6, section 3.
    """
    n = len(values)
    centred = values - values.mean()
    if n < 2 or not centred.any():
        return 0.5
    spectrum = np.fft.rfft(centred, 2 * n)
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)[:n] / np.arange(n, 0, -1)
    tau = 0.5 + np.cumsum((correlation / correlation[0])[1:])
    beyond = np.flatnonzero(np.arange(1, n) >= window * tau)
    return float(max(tau[beyond[0]] if len(beyond) else tau[-1], 0.5))


def kinetic_energy_p_value(
    kinetic: NDArray[np.float64], temperature_kelvin: float, degrees_of_freedom: int
) -> float:
    """Kolmogorov–Smirnov test of K/kT against Gamma(f/2).

    Parameters
    ----------
    kinetic : (n,) float64, hartree
        Thinned to one sample in two autocorrelation times before the test.
    temperature_kelvin : float
    degrees_of_freedom : int

    Returns
    -------
    float
        Probability of a worse fit, if the distribution is canonical; NaN for fewer than 10 samples.
    """
    thinning = max(int(np.ceil(2.0 * autocorrelation_time(kinetic))), 1)
    samples = kinetic[::thinning] / (temperature_kelvin * KELVIN_HARTREE)
    if len(samples) < 10:
        return float("nan")
    return float(stats.kstest(samples, stats.gamma(degrees_of_freedom / 2.0).cdf).pvalue)
