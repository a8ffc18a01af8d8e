"""One picture for a sweep: temperatures, energy autocorrelation times, spectra by thermostat."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from densnet.plots.spectrum import Line
from densnet.plots.style import CYCLE, INK, TWO_COLUMNS, house_style, light_grid, new_figure
from densnet.plots.style import save_figure as save


@dataclass(frozen=True)
class SweepBar:
    """One run of a sweep.

    Parameters
    ----------
    label : str
    group : str
        Runs of one group share a colour.
    deviation_kelvin, error_kelvin : float
        Mean temperature minus the target, and its standard error.
    energy_time_ps : float
    """

    label: str
    group: str
    deviation_kelvin: float
    error_kelvin: float
    energy_time_ps: float


def plot_sweep(bars: Sequence[SweepBar], spectra: Sequence[Line], path: Path | str) -> Path:
    """Draw a sweep.

    Parameters
    ----------
    bars : sequence of SweepBar
    spectra : sequence of Line
        Infrared spectra, one a thermostat; may be empty.
    path : Path or str
        The suffix chooses the format.
    """
    with house_style():
        height = 1.2 + 0.22 * len(bars) + (2.2 if spectra else 0.0)
        figure = new_figure(TWO_COLUMNS, height)
        rows = 2 if spectra else 1
        grid = figure.add_gridspec(rows, 2, height_ratios=[0.22 * len(bars) + 0.8, 2.2][:rows])
        left = figure.add_subplot(grid[0, 0])
        right = figure.add_subplot(grid[0, 1], sharey=left)
        groups = list(dict.fromkeys(bar.group for bar in bars))
        colours = [CYCLE[groups.index(bar.group) % len(CYCLE)] for bar in bars]
        y = np.arange(len(bars))[::-1]
        for position, bar, colour in zip(y, bars, colours, strict=True):
            left.errorbar(
                bar.deviation_kelvin, position, xerr=bar.error_kelvin, fmt="o", ms=3, color=colour
            )
        left.axvline(0.0, color=INK, linewidth=0.7)
        left.set_yticks(y, [bar.label for bar in bars])
        left.set_xlabel("temperature − target (K)")
        right.barh(y, [bar.energy_time_ps for bar in bars], color=colours, height=0.6)
        right.tick_params(labelleft=False)
        right.set_xlabel("autocorrelation time of the energy (ps)")
        for axes in (left, right):
            light_grid(axes, "x")
        if spectra:
            _draw_spectra(figure.add_subplot(grid[1, :]), spectra)
        return save(figure, path)


def _draw_spectra(axes: Axes, spectra: Sequence[Line]) -> None:
    offset = 1.1 * max(float(line.intensity.max()) for line in spectra)
    for index, line in enumerate(spectra):
        colour = CYCLE[index % len(CYCLE)]
        base = offset * (len(spectra) - 1 - index)
        axes.plot(line.wavenumber_cm1, line.intensity + base, color=colour, label=line.label)
        if line.error is not None:
            low, high = line.intensity - line.error, line.intensity + line.error
            axes.fill_between(
                line.wavenumber_cm1, low + base, high + base, color=colour, alpha=0.25, linewidth=0
            )
    axes.set_xlabel("wavenumber (cm⁻¹)")
    axes.set_ylabel("κ (km/mol per cm⁻¹), shifted")
    axes.legend(ncols=min(len(spectra), 4))
