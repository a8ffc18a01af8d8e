"""One look for every figure: fonts, colours, sizes, and how a figure is written."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from densnet.errors import InputError

# Okabe and Ito: eight colours that the colour-blind tell apart (https://jfly.uni-koeln.de/color/).
INK: Final = "#1b1f24"
FAINT: Final = "#8a929c"
BLUE: Final = "#0072B2"
VERMILION: Final = "#D55E00"
GREEN: Final = "#009E73"
AMBER: Final = "#E69F00"
SKY: Final = "#56B4E9"
PURPLE: Final = "#CC79A7"
CYCLE: Final = (BLUE, VERMILION, GREEN, AMBER, PURPLE, SKY)

# Widths of journal columns, inches.
ONE_COLUMN: Final = 3.4
TWO_COLUMNS: Final = 7.0

# Any: matplotlib types the keys as a literal of every name it knows.
RC: Final[Any] = {
    "font.family": "sans-serif",
    "font.size": 8.5,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.direction": "out",
    "ytick.direction": "out",
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.minor.width": 0.5,
    "ytick.minor.width": 0.5,
    "text.color": INK,
    "lines.linewidth": 1.3,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.hashsalt": "densnet",
}


@contextmanager
def house_style() -> Iterator[None]:
    """Draw inside this context to get the fonts and lines of the house."""
    with mpl.rc_context(RC):
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure with its own canvas, inches; no window system, no global state."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: Path | str, *, dpi: int = 220) -> Path:
    """Write a figure; the suffix chooses the format. A reader never meets half a file.

    Parameters
    ----------
    figure : Figure
    path : Path or str
        ``.png``, ``.pdf`` or ``.svg``; missing folders are made.
    dpi : int
        Of raster formats.

    Returns
    -------
    Path
    """
    target = Path(path)
    if target.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise InputError(f"{target}: figures are written as .png, .pdf or .svg")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.stem}.part{target.suffix}")
    # Dates would make the file differ at every run.
    stamp = {".png": "Software", ".pdf": "CreationDate", ".svg": "Date"}[target.suffix.lower()]
    figure.savefig(partial, dpi=dpi, metadata={stamp: None})
    os.replace(partial, target)
    return target


def light_grid(axes: Axes, axis: Literal["both", "x", "y"] = "both") -> None:
    """A grid that stays behind the data."""
    axes.grid(visible=True, axis=axis, color="#e3e6ea", linewidth=0.6)
    axes.set_axisbelow(True)
