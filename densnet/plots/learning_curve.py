"""Learning curves: errors falling during training, one panel a quantity."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogFormatter
from numpy.typing import ArrayLike

from densnet.errors import InputError
from densnet.plots.style import (
    CYCLE,
    FAINT,
    GREEN,
    TWO_COLUMNS,
    house_style,
    light_grid,
    new_figure,
    save_figure,
)

# Training errors faint and thin, validation errors strong: the eye should follow validation.
STYLES: Final[dict[str, dict[str, Any]]] = {
    "training": {"linewidth": 0.9, "alpha": 0.45},
    "validation": {"linewidth": 1.5, "marker": "o", "markersize": 2.2},
    "other": {"linewidth": 1.1, "linestyle": "--"},
}
# What the name of a stage takes of the width of a panel.
NAME_WIDTH: Final = 0.14


@dataclass(frozen=True, eq=False)
class Curve:
    """Values along training.

    Parameters
    ----------
    label : str
    x, y : (n,) float64
        Steps or epochs; values. NaN in y leaves a gap.
    kind : {"training", "validation", "other"}
    """

    label: str
    x: ArrayLike
    y: ArrayLike
    kind: Literal["training", "validation", "other"] = "validation"


@dataclass(frozen=True, eq=False)
class CurvePanel:
    """Curves of one quantity on a logarithmic axis.

    Parameters
    ----------
    title, unit : str
    curves : sequence of Curve
    goal : float or None
        Drawn as a horizontal line.
    """

    title: str
    unit: str
    curves: Sequence[Curve]
    goal: float | None = None


class PlainLogFormatter(LogFormatter):
    """Plain numbers, 2.3 and not 2.3 × 10⁰, at the ticks that a logarithmic axis labels."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Return the label of a value, empty where the axis labels none."""
        return f"{x:g}" if super().__call__(x, pos) else ""


def learning_curve(
    panels: Sequence[CurvePanel],
    path: Path | str,
    *,
    x_label: str = "step",
    heading: str = "",
    stages: Mapping[str, float] | None = None,
) -> Path:
    """Draw learning curves.

    Parameters
    ----------
    panels : sequence of CurvePanel
    path : Path or str
        ``.png``, ``.pdf`` or ``.svg``; replaced in one go, so it may be redrawn while watched.
    x_label, heading : str
    stages : mapping of name → x, optional
        Where the stages of training begin.

    Returns
    -------
    Path
    """
    if not panels:
        raise InputError("a learning-curve picture needs at least one panel")
    columns = min(len(panels), 2)
    rows = -(-len(panels) // columns)
    with house_style():
        figure = new_figure(TWO_COLUMNS, 2.35 * rows + (0.35 if heading else 0.1))
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True)
        for index, (axes, panel) in enumerate(zip(grid.flat, panels, strict=False)):
            _draw_panel(axes, panel)
            _mark_stages(axes, stages or {}, named=index < columns)
            if index >= len(panels) - columns:
                axes.set_xlabel(x_label)
                axes.tick_params(labelbottom=True)
        for axes in list(grid.flat)[len(panels) :]:
            axes.set_axis_off()
        if heading:
            figure.suptitle(heading, x=0.01, ha="left", fontsize=10.5, fontweight="bold")
        return save_figure(figure, path)


def _draw_panel(axes: Axes, panel: CurvePanel) -> None:
    colours: dict[str, str] = {}
    for curve in panel.curves:
        x, y = np.asarray(curve.x, dtype=float), np.asarray(curve.y, dtype=float)
        if x.shape != y.shape or x.ndim != 1:
            raise InputError(f"{panel.title}, {curve.label}: x {x.shape} and y {y.shape} differ")
        colour = colours.setdefault(curve.label, CYCLE[len(colours) % len(CYCLE)])
        # A logarithm has no place for zero; such values leave a gap like NaN.
        axes.plot(
            x, np.where(y > 0, y, np.nan), color=colour, label=curve.label, **STYLES[curve.kind]
        )
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(PlainLogFormatter())
    axes.yaxis.set_minor_formatter(PlainLogFormatter(minor_thresholds=(1.0, 0.5)))
    light_grid(axes)
    axes.set_title(panel.title)
    axes.set_ylabel(panel.unit)
    if panel.goal is not None:
        axes.axhline(panel.goal, color=GREEN, linewidth=0.9, linestyle=(0, (4, 2)))
        axes.annotate(
            f"goal {panel.goal:g}", xy=(1.0, panel.goal), xycoords=("axes fraction", "data"),
            xytext=(-2, 2), textcoords="offset points", ha="right", fontsize=6.5, color=GREEN,
        )  # fmt: skip
    if panel.curves:
        axes.legend(loc="best", fontsize=7)


def _mark_stages(axes: Axes, stages: Mapping[str, float], *, named: bool) -> None:
    low, high = axes.get_xlim()
    rows = name_rows(list(stages.values()), NAME_WIDTH * (high - low))
    for (name, start), row in zip(stages.items(), rows, strict=True):
        axes.axvline(start, color=FAINT, linewidth=0.7, linestyle=(0, (2, 2)))
        if named:
            axes.annotate(
                name, xy=(start, 1.0), xycoords=("data", "axes fraction"), xytext=(2, -2 - 8 * row),
                textcoords="offset points", va="top", fontsize=6.5, color=FAINT,
            )  # fmt: skip


def name_rows(starts: Sequence[float], width: float) -> list[int]:
    """Return the line each name stands in: below the one before where that leaves no room."""
    rows: list[int] = []
    for k, start in enumerate(starts):
        crowded = k > 0 and start - starts[k - 1] < width
        rows.append(rows[-1] + 1 if crowded else 0)
    return rows
