"""Parity pictures: predicted against reference, one panel a quantity."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from densnet.errors import InputError, NonFiniteError
from densnet.plots.style import (
    CYCLE,
    FAINT,
    TWO_COLUMNS,
    house_style,
    light_grid,
    new_figure,
    save_figure,
)

Array = NDArray[np.float64]

# More points than this are drawn as a picture inside the vector file, or it becomes unusable.
RASTERIZE_ABOVE = 2000


@dataclass(frozen=True, eq=False)
class ParityPanel:
    """One quantity, reference against prediction.

    Parameters
    ----------
    title : str
        Name of the quantity, e.g. ``Forces``.
    unit : str
        Unit of the arrays.
    sets : mapping of label → (reference, predicted)
        Arrays of any equal shape, e.g. one pair for each temperature.
    error_unit : str
        Unit of the errors printed; empty for ``unit``.
    error_factor : float
        Factor from ``unit`` to ``error_unit``.
    """

    title: str
    unit: str
    sets: Mapping[str, tuple[Array, Array]]
    error_unit: str = ""
    error_factor: float = 1.0


def parity(panels: Sequence[ParityPanel], path: Path | str, *, heading: str = "") -> Path:
    """Draw parity panels with a histogram of the errors inset, and their MAE and RMSE.

    Parameters
    ----------
    panels : sequence of ParityPanel
    path : Path or str
        ``.png``, ``.pdf`` or ``.svg``.
    heading : str

    Returns
    -------
    Path

    Raises
    ------
    InputError, NonFiniteError
        If shapes differ, nothing is given, or a number is not finite.
    """
    if not panels:
        raise InputError("a parity picture needs at least one panel")
    columns = 2 if len(panels) in (2, 4) else min(len(panels), 3)
    rows = -(-len(panels) // columns)
    side = TWO_COLUMNS / max(columns, 2)
    with house_style():
        figure = new_figure(side * columns, (side + 0.2) * rows + (0.25 if heading else 0.0))
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes, panel in zip(grid.flat, panels, strict=False):
            _draw_panel(axes, panel)
        for axes in list(grid.flat)[len(panels) :]:
            axes.set_axis_off()
        figure.align_labels()
        if heading:
            figure.suptitle(heading, x=0.01, ha="left", fontsize=10.5, fontweight="bold")
        return save_figure(figure, path)


def _draw_panel(axes: Axes, panel: ParityPanel) -> None:
    pairs = {label: _flatten(panel, label, *pair) for label, pair in panel.sets.items()}
    low = min(min(x.min(), y.min()) for x, y in pairs.values())
    high = max(max(x.max(), y.max()) for x, y in pairs.values())
    margin = 0.05 * (high - low) or 1.0
    limits = (low - margin, high + margin)
    axes.plot(limits, limits, color=FAINT, linewidth=0.8, zorder=1)
    lines = []
    for (label, (x, y)), colour in zip(pairs.items(), CYCLE, strict=False):
        axes.plot(
            x, y, linestyle="none", marker="o", color=colour, label=label, zorder=2,
            markersize=max(1.2, 4.5 - np.log10(len(x))), markeredgewidth=0,
            alpha=0.35 if len(x) > 300 else 0.7, rasterized=len(x) > RASTERIZE_ABOVE,
        )  # fmt: skip
        error = (y - x) * panel.error_factor
        mae, rmse = np.abs(error).mean(), np.sqrt((error**2).mean())
        name = f"{label}: " if len(pairs) > 1 or label else ""
        lines.append((f"{name}MAE {mae:.3g}, RMSE {rmse:.3g}", colour))
    axes.set(xlim=limits, ylim=limits, box_aspect=1)
    light_grid(axes)
    axes.set_title(panel.title)
    axes.set_xlabel(f"reference / {panel.unit}")
    axes.set_ylabel(f"predicted / {panel.unit}")
    error_unit = panel.error_unit or panel.unit
    for k, (text, colour) in enumerate(reversed(lines)):
        axes.text(
            0.98, 0.03 + 0.07 * k, text, transform=axes.transAxes, color=colour,
            fontsize=6.3, ha="right", va="bottom",
        )  # fmt: skip
    _draw_errors(axes, pairs, panel.error_factor, error_unit)


def _draw_errors(
    axes: Axes, pairs: Mapping[str, tuple[Array, Array]], factor: float, unit: str
) -> None:
    """Histogram of the errors in the upper left corner, between the 0.5 and 99.5 percentiles."""
    errors = [(y - x) * factor for x, y in pairs.values()]
    reach = max(float(np.quantile(np.abs(error), 0.995)) for error in errors) or 1.0
    inset = axes.inset_axes((0.05, 0.71, 0.37, 0.25))
    bins = np.linspace(-reach, reach, 41).tolist()
    for error, colour in zip(errors, CYCLE, strict=False):
        inset.hist(error, bins=bins, density=True, histtype="stepfilled", color=colour, alpha=0.45)
    inset.set(yticks=[], xlim=(-reach, reach))
    inset.spines["left"].set_visible(False)
    inset.tick_params(labelsize=5.5, length=2, pad=1)
    inset.set_xlabel(f"error / {unit}", fontsize=5.8, labelpad=1)
    inset.patch.set_alpha(0.0)


def _flatten(
    panel: ParityPanel, label: str, reference: Array, predicted: Array
) -> tuple[Array, Array]:
    x, y = np.asarray(reference, dtype=float), np.asarray(predicted, dtype=float)
    where = f"{panel.title}, {label}" if label else panel.title
    if x.shape != y.shape or x.size == 0:
        raise InputError(f"{where}: reference {x.shape} and predicted {y.shape} do not pair up")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise NonFiniteError(f"{where}: a value is not finite")
    return x.ravel(), y.ravel()
