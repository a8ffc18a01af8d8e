"""Pictures of spectra: calculated lines with error bands above, what was measured below."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import AutoMinorLocator
from numpy.typing import NDArray

from densnet.plots.style import (
    CYCLE,
    FAINT,
    INK,
    TWO_COLUMNS,
    house_style,
    light_grid,
    new_figure,
    save_figure,
)

Array = NDArray[np.float64]

# Organic molecules absorb little between 1800 and 2700 cm⁻¹: room for a legend.
EMPTY_CM1: Final = 2230.0


@dataclass(frozen=True, eq=False)
class Line:
    """A calculated spectrum to draw.

    Parameters
    ----------
    label : str
    wavenumber_cm1, intensity : (n,) float64
    error : (n,) float64 or None
        Standard error, drawn as a band of ± one.
    mirrored : bool
        Drawn downwards: of two spectra that are nearly one, the upper line would hide the other.
    """

    label: str
    wavenumber_cm1: Array
    intensity: Array
    error: Array | None = None
    mirrored: bool = False


@dataclass(frozen=True)
class Stick:
    """A measured maximum: position, relative height, and the group it belongs to."""

    wavenumber_cm1: float
    height: float
    group: str = ""


@dataclass(frozen=True, eq=False)
class Measurement:
    """What was measured.

    Parameters
    ----------
    label : str
        Source, for the legend.
    sticks : sequence of Stick
    groups : sequence of (float, str)
        Centre and name of each band, written above the picture.
    curve : (wavenumber (n,), height (n,)) or None
        A full spectrum, drawn besides the sticks.
    """

    label: str
    sticks: Sequence[Stick] = ()
    groups: Sequence[tuple[float, str]] = ()
    curve: tuple[Array, Array] | None = None


def plot_spectrum(
    lines: Sequence[Line],
    path: Path | str,
    *,
    y_label: str,
    range_cm1: tuple[float, float],
    measurement: Measurement | None = None,
    title: str = "",
    note: str = "",
) -> Path:
    """Draw spectra on one wavenumber axis, descending as in infrared spectroscopy.

    Parameters
    ----------
    lines : sequence of Line
        The first one sets the scale.
    path : Path or str
        ``.png``, ``.pdf`` or ``.svg``.
    y_label : str
        Quantity and unit.
    range_cm1 : (float, float)
        Lowest and highest wavenumber.
    measurement : Measurement, optional
        Drawn in a panel of its own below, on the same wavenumbers.
    title, note : str
        The note is small print below the picture (resolution, errors, temperature).

    Returns
    -------
    Path
    """
    with house_style():
        figure = new_figure(TWO_COLUMNS, 4.6 if measurement else 3.2)
        if measurement:
            top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        else:
            top = bottom = figure.subplots()
        _draw_lines(top, lines, range_cm1)
        top.set_ylabel(y_label)
        if measurement:
            _draw_measurement(bottom, measurement, range_cm1)
            _write_groups(top, bottom, measurement.groups, range_cm1)
        bottom.set_xlabel("wavenumber / cm⁻¹")
        bottom.set_xlim(range_cm1[1], range_cm1[0])
        figure.align_ylabels()
        bottom.xaxis.set_minor_locator(AutoMinorLocator(5))
        _write_margins(figure, title, note)
        return save_figure(figure, path)


def _draw_lines(axes: Axes, lines: Sequence[Line], range_cm1: tuple[float, float]) -> None:
    top = 0.0
    lowest = 0.0
    for line, colour in zip(lines, CYCLE * (1 + len(lines) // len(CYCLE)), strict=False):
        inside = (line.wavenumber_cm1 >= range_cm1[0]) & (line.wavenumber_cm1 <= range_cm1[1])
        nu, y = line.wavenumber_cm1[inside], line.intensity[inside]
        if line.mirrored:
            y = -y
        upper = y
        if line.error is not None:
            error = line.error[inside]
            upper = y + error
            axes.fill_between(nu, y - error, upper, color=colour, alpha=0.25, linewidth=0)
        axes.plot(nu, y, color=colour, label=_wrapped(line.label), linewidth=1.1)
        top, lowest = max(top, float(upper.max())), min(lowest, float(y.min()))
    light_grid(axes, "y")
    axes.axhline(0.0, color=INK, linewidth=0.6)
    axes.set_ylim(min(lowest * 1.1, -0.01 * top), top * 1.06)
    if any(line.mirrored for line in lines):
        axes.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    _add_legend(axes, range_cm1)


def _draw_measurement(axes: Axes, measurement: Measurement, range_cm1: tuple[float, float]) -> None:
    label = _wrapped(measurement.label)
    sticks = [
        stick
        for stick in measurement.sticks
        if range_cm1[0] <= stick.wavenumber_cm1 <= range_cm1[1]
    ]
    if measurement.curve is not None:
        nu, y = measurement.curve
        inside = (nu >= range_cm1[0]) & (nu <= range_cm1[1])
        scale = float(y[inside].max()) if inside.any() else 1.0
        axes.fill_between(nu[inside], y[inside] / scale, color=FAINT, alpha=0.35, linewidth=0)
        axes.plot(nu[inside], y[inside] / scale, color=INK, linewidth=0.9, label=label)
    elif sticks:
        axes.vlines(
            [stick.wavenumber_cm1 for stick in sticks],
            0.0,
            [stick.height for stick in sticks],
            color=INK,
            linewidth=1.1,
            label=label,
        )
        axes.plot(
            [stick.wavenumber_cm1 for stick in sticks],
            [stick.height for stick in sticks],
            linestyle="none",
            marker="o",
            markersize=2.6,
            color=INK,
        )
    light_grid(axes, "y")
    axes.axhline(0.0, color=INK, linewidth=0.6)
    axes.set_ylim(0.0, 1.12)
    axes.set_ylabel("relative height")
    _add_legend(axes, range_cm1)


def _wrapped(label: str) -> str:
    """Break a label into lines that fit into the empty part of the picture."""
    return "\n".join(wrap(label, 36))


def _add_legend(axes: Axes, range_cm1: tuple[float, float]) -> None:
    low, high = range_cm1
    centre = (high - EMPTY_CM1) / (high - low) if low + 800 < EMPTY_CM1 < high - 800 else 0.5
    axes.legend(
        loc="upper center", bbox_to_anchor=(centre, 1.0), fontsize=7.5, frameon=True,
        facecolor="white", edgecolor="none", framealpha=0.9, borderpad=0.2,
    )  # fmt: skip


def _write_groups(
    top: Axes,
    bottom: Axes,
    groups: Sequence[tuple[float, str]],
    range_cm1: tuple[float, float],
) -> None:
    """Name the measured bands above the picture, with a line down through both panels."""
    inside = sorted(group for group in groups if range_cm1[0] <= group[0] <= range_cm1[1])
    width = range_cm1[1] - range_cm1[0]
    places = spread([centre for centre, _ in inside], 0.042 * width)
    for (centre, name), place in zip(inside, places, strict=True):
        for axes in (top, bottom):
            axes.axvline(centre, color=FAINT, linewidth=0.6, linestyle=(0, (2, 2)), zorder=0.5)
        top.annotate(
            "\n".join(wrap(name, 12)),
            xy=(centre, 1.0),
            xycoords=top.get_xaxis_transform(),
            xytext=(place, 1.06),
            textcoords=top.get_xaxis_transform(),
            rotation=90,
            ha="center",
            va="bottom",
            fontsize=7,
            linespacing=1.0,
            arrowprops={"arrowstyle": "-", "color": FAINT, "linewidth": 0.6, "shrinkA": 0},
        )


def spread(positions: Sequence[float], distance: float) -> list[float]:
    """Move ascending label positions apart until neighbours are ``distance`` away.

    Labels that collide form a block that keeps the centre of its members.

    Examples
    --------
    >>> spread([0.0, 1.0, 10.0], 4.0)
    [-1.5, 2.5, 10.0]
    """
    blocks: list[tuple[float, int]] = []
    for position in positions:
        centre, count = position, 1
        while blocks:
            before, members = blocks[-1]
            if centre - before >= distance * (members + count) / 2:
                break
            centre = (before * members + centre * count) / (members + count)
            count += members
            blocks.pop()
        blocks.append((centre, count))
    return [
        centre + distance * (index - (count - 1) / 2)
        for centre, count in blocks
        for index in range(count)
    ]


def _write_margins(figure: Figure, title: str, note: str) -> None:
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=10.5, fontweight="bold")
    if note:
        figure.supxlabel(note, x=0.01, ha="left", fontsize=7, color=FAINT)
