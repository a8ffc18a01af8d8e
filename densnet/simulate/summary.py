"""The numbers at the end of a run: temperature, drift and fluctuation of the conserved quantity."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from densnet.simulate.follow import read_properties
from densnet.simulate.manifest import RunManifest, Segment
from densnet.units import HARTREE_MEV

# A line through fewer vibrations than these has a slope of its own.
SHORTEST_DRIFT_PS = 1.0


@dataclass(frozen=True)
class SegmentSummary:
    """One production trajectory.

    Parameters
    ----------
    name : str
    picoseconds : float
    temperature_kelvin, temperature_error_kelvin : float
        Mean and its standard error, from blocks.
    drift_mev_atom_ns, drift_error_mev_atom_ns : float
        Slope of the conserved quantity, and its standard error from blocks.
    fluctuation_mev_atom : float
        Standard deviation of the conserved quantity about its line.
    """

    name: str
    picoseconds: float
    temperature_kelvin: float
    temperature_error_kelvin: float
    drift_mev_atom_ns: float
    drift_error_mev_atom_ns: float
    fluctuation_mev_atom: float


@dataclass(frozen=True)
class RunSummary:
    """All production trajectories of a run."""

    segments: tuple[SegmentSummary, ...]

    def as_dict(self) -> dict[str, object]:
        """For ``--json``."""
        return {"segments": [asdict(segment) for segment in self.segments], **self.means()}

    def means(self) -> dict[str, float]:
        """Means over the segments with standard errors from their spread."""
        temperature = np.array([s.temperature_kelvin for s in self.segments])
        drift = np.array([s.drift_mev_atom_ns for s in self.segments])
        n = len(self.segments)
        if n > 1:
            errors = temperature.std(ddof=1) / np.sqrt(n), drift.std(ddof=1) / np.sqrt(n)
        else:
            errors = (
                self.segments[0].temperature_error_kelvin,
                self.segments[0].drift_error_mev_atom_ns,
            )
        return {
            "temperature_kelvin": float(temperature.mean()),
            "temperature_error_kelvin": float(errors[0]),
            "drift_mev_atom_ns": float(drift.mean()),
            "drift_error_mev_atom_ns": float(errors[1]),
            "fluctuation_mev_atom": float(np.mean([s.fluctuation_mev_atom for s in self.segments])),
        }

    def text(self) -> str:
        """Two lines for a person."""
        means = self.means()
        picoseconds = sum(s.picoseconds for s in self.segments)
        if min(s.picoseconds for s in self.segments) < SHORTEST_DRIFT_PS:
            drift = f"trajectories under {SHORTEST_DRIFT_PS:g} ps are too short for a drift"
        else:
            drift = (
                f"drift {means['drift_mev_atom_ns']:+.3f} ± "
                f"{means['drift_error_mev_atom_ns']:.3f} meV/atom/ns"
            )
        return (
            f"{len(self.segments)} trajectories, {picoseconds:.3g} ps in all; temperature "
            f"{means['temperature_kelvin']:.1f} ± {means['temperature_error_kelvin']:.1f} K\n"
            f"conserved quantity: {drift}, fluctuation {means['fluctuation_mev_atom']:.4f} meV/atom"
        )


def summarize_run(manifest: RunManifest, directory: Path) -> RunSummary:
    """Read the tables of every production segment.

    Parameters
    ----------
    manifest : RunManifest
    directory : Path
        The run directory.
    """
    last_stages = [s for s in manifest.segments if s.ensemble == manifest.ensemble]
    production = [s for s in last_stages if not s.name.startswith("thermalise")]
    return RunSummary(
        tuple(summarize_segment(s, directory, len(manifest.numbers)) for s in production)
    )


def summarize_segment(segment: Segment, directory: Path, n_atoms: int) -> SegmentSummary:
    """Temperature, drift and fluctuation of one trajectory."""
    table = read_properties(directory / segment.properties_file)
    time_ps = table["step"] * segment.timestep_fs * 1e-3
    conserved = table["conserved"] * HARTREE_MEV / n_atoms
    slope, slope_error, residual = fit_drift(time_ps, conserved)
    temperature = table["temperature"]
    return SegmentSummary(
        segment.name,
        float(time_ps[-1] - time_ps[0]),
        float(temperature.mean()),
        block_error(temperature),
        slope * 1e3,
        slope_error * 1e3,
        residual,
    )


def fit_drift(
    time: NDArray[np.float64], values: NDArray[np.float64], n_blocks: int = 8
) -> tuple[float, float, float]:
    """Slope of a noisy line, its standard error from block means, and the scatter about it.

    Block means, because the fluctuations of a conserved quantity are correlated in time.

    Parameters
    ----------
    time, values : (n,) float64

    Returns
    -------
    slope, slope_error, scatter : float
    """
    if len(time) < 3:
        return 0.0, float("inf"), 0.0
    slope, offset = np.polyfit(time, values, 1)
    scatter = float(np.std(values - slope * time - offset))
    blocks = min(n_blocks, len(time))
    if blocks < 3:
        return float(slope), float("inf"), scatter
    times = np.array([part.mean() for part in np.array_split(time, blocks)])
    means = np.array([part.mean() for part in np.array_split(values, blocks)])
    block_slope, block_offset = np.polyfit(times, means, 1)
    residual = means - block_slope * times - block_offset
    spread = ((times - times.mean()) ** 2).sum()
    error = np.sqrt((residual**2).sum() / (blocks - 2) / spread)
    return float(block_slope), float(error), scatter


def block_error(values: NDArray[np.float64], n_blocks: int = 8) -> float:
    """Standard error of a mean from the spread of block means."""
    blocks = min(n_blocks, len(values))
    if blocks < 2:
        return float("inf")
    means = [part.mean() for part in np.array_split(values, blocks)]
    return float(np.std(means, ddof=1) / np.sqrt(blocks))
