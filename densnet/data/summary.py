"""What a set of frames holds, in numbers a person can check before training on it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from densnet.data.schema import COLUMNS
from densnet.data.store import Frames


@dataclass(frozen=True)
class ColumnSummary:
    """One line of the table: a column, how many frames have it, its range and unit."""

    name: str
    unit: str
    shape: tuple[int, ...]
    present: int
    missing: int
    minimum: float
    maximum: float


@dataclass(frozen=True)
class GroupCount:
    """Frames of one tag at one temperature (NaN: unknown), and from how many trajectories."""

    tag: str
    temperature_kelvin: float
    n_frames: int
    n_trajectories: int


def summarize(frames: Frames) -> tuple[ColumnSummary, ...]:
    """Count, unit and range of every numerical column."""
    lines = []
    for name, values in frames.columns.items():
        column = COLUMNS[name]
        if column.kind == "text":
            continue
        absent = column.absent(values)
        present = np.asarray(values[~absent], dtype=np.float64)
        lines.append(
            ColumnSummary(
                name,
                column.unit,
                values.shape[1:],
                len(present),
                int(absent.sum()),
                float(present.min()) if present.size else np.nan,
                float(present.max()) if present.size else np.nan,
            )
        )
    return tuple(lines)


def count_frames(frames: Frames) -> tuple[GroupCount, ...]:
    """Frames and trajectories of every tag and temperature, in that order."""
    counts = []
    for tag in sorted(set(frames.tag.tolist())):
        of_tag = frames.subset(frames.tag == tag)
        for temperature, mask in temperature_groups(of_tag):
            trajectories = set(of_tag["trajectory"][mask].tolist()) - {-1}
            counts.append(GroupCount(tag, temperature, int(mask.sum()), len(trajectories)))
    return tuple(counts)


def temperature_groups(frames: Frames) -> Iterator[tuple[float, NDArray[np.bool_]]]:
    """Yield every sampling temperature, ascending, and a mask of its frames; unknown as NaN."""
    for temperature in np.unique(frames.temperature):
        if np.isnan(temperature):
            yield np.nan, np.isnan(frames.temperature)
        else:
            yield float(temperature), frames.temperature == temperature


def format_table(frames: Frames) -> str:
    """The summary as lines of text."""
    header = ("column", "unit", "shape", "frames", "missing", "minimum", "maximum")
    rows = [
        (
            line.name,
            line.unit,
            "x".join(map(str, line.shape)) or "1",
            str(line.present),
            str(line.missing),
            f"{line.minimum:.6g}",
            f"{line.maximum:.6g}",
        )
        for line in summarize(frames)
    ]
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in (header, *rows)
    )
