from pathlib import Path

import numpy as np

from densnet.data.store import FrameFile
from densnet.data.summary import count_frames, format_table, summarize
from densnet.data.writer import FrameWriter
from tests.data.conftest import Row


def test_the_table_gives_counts_units_and_ranges(water_file: Path) -> None:
    lines = {line.name: line for line in summarize(FrameFile.read(water_file))}
    assert (lines["energy"].minimum, lines["energy"].maximum) == (-85.0, -76.0)
    assert lines["energy"].unit == "hartree"
    assert (lines["dipole"].present, lines["dipole"].missing) == (9, 1)
    assert lines["forces"].shape == (3, 3)
    assert "tag" not in lines


def test_the_printed_table_has_a_line_a_column(water_file: Path) -> None:
    frames = FrameFile.read(water_file)
    text = format_table(frames)
    assert len(text.splitlines()) == 1 + len(summarize(frames))
    assert "hartree/bohr" in text


def test_frames_are_counted_by_tag_and_temperature(water_file: Path) -> None:
    counts = count_frames(FrameFile.read(water_file))
    assert sum(count.n_frames for count in counts) == 10
    assert [(c.tag, c.temperature_kelvin, c.n_frames) for c in counts] == [
        ("test", 300.0, 2),
        ("test", 500.0, 2),
        ("train", 300.0, 3),
        ("train", 500.0, 3),
    ]
    assert [c.n_trajectories for c in counts] == [2, 2, 2, 3]


def test_frames_of_unknown_temperature_are_counted_too(tmp_path: Path, row: Row) -> None:
    path = tmp_path / "f.h5"
    with FrameWriter(path, np.array([8, 1, 1]), {}) as writer:
        for i, temperature in enumerate((300.0, np.nan, np.nan)):
            writer.append(row(i, tag="train", temperature=temperature))
    known, unknown = count_frames(FrameFile.read(path))
    assert (known.temperature_kelvin, known.n_frames) == (300.0, 1)
    assert np.isnan(unknown.temperature_kelvin)
    assert unknown.n_frames == 2
