from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from densnet.data.writer import FrameWriter

WATER = np.array([8, 1, 1])
Row = Callable[..., dict[str, object]]


@pytest.fixture
def row(rng: np.random.Generator) -> Row:
    """Return a maker of frames of water with given identity."""

    def make(frame: int, **changes: object) -> dict[str, object]:
        values: dict[str, object] = {
            "frame": frame,
            "positions": rng.normal(size=(3, 3)),
            "tag": "train" if frame % 3 else "test",
            "temperature": 300.0 if frame % 2 else 500.0,
            "trajectory": frame // 4,
            "energy": -76.0 - frame,
            "forces": rng.normal(size=(3, 3)),
            "dipole": rng.normal(size=3),
        }
        return values | changes

    return make


@pytest.fixture
def water_file(tmp_path: Path, row: Row) -> Path:
    """Write a file of ten frames; frame 7 has no dipole."""
    path = tmp_path / "water.h5"
    with FrameWriter(path, WATER, {"level": {"basis": "sto-3g"}, "charge": 0}) as writer:
        for i in range(10):
            values = row(i)
            if i == 7:
                del values["dipole"]
            writer.append(values)
    return path
