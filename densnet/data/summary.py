"""What a set of frames holds, in numbers a person can check before training on it."""

from dataclasses import dataclass

import numpy as np

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
    """Frames of one tag at one temperature, and from how many trajectories."""

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
    tags, temperatures = frames.tag, frames.temperature
    counts = []
    for tag in sorted(set(tags.tolist())):
        for temperature in np.unique(temperatures[tags == tag]):
            mask = (tags == tag) & (temperatures == temperature)
            trajectories = set(frames["trajectory"][mask].tolist()) - {-1}
            counts.append(GroupCount(tag, float(temperature), int(mask.sum()), len(trajectories)))
    return tuple(counts)


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
