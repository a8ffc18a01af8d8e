from pathlib import Path

import numpy as np
import pytest

from densnet.data.compact import write_compact_copy
from densnet.data.rewrite import replace_columns
from densnet.data.store import FrameFile
from densnet.data.writer import FrameWriter
from densnet.errors import InputError
from tests.data.conftest import Row


def test_a_compact_copy_rounds_only_what_may_be_rounded(water_file: Path, tmp_path: Path) -> None:
    coefficients = np.random.default_rng(1).normal(size=(10, 50))
    replace_columns(water_file, np.arange(10), {"coefficients": coefficients}, {"basis_name": "b"})
    small = tmp_path / "small.h5"
    size = write_compact_copy(water_file, small, ("energy", "forces", "coefficients"))
    assert size == small.stat().st_size
    full, copy = FrameFile.read(water_file), FrameFile.read(small)
    assert np.array_equal(copy.energy, full.energy)
    assert np.array_equal(copy.positions, full.positions)
    assert np.array_equal(copy.coefficients, coefficients.astype(np.float32).astype(float))
    assert "dipole" not in copy.columns
    assert copy.attributes["basis_name"] == "b"
    write_compact_copy(water_file, small, ("forces",), only_tag={"forces": "test"})
    of_test = np.isfinite(FrameFile.read(small).forces).all(axis=(1, 2))
    assert np.array_equal(of_test, copy.tag == "test")
    with pytest.raises(InputError, match="has no orbitals to copy"):
        write_compact_copy(water_file, small, ("orbitals",))


def test_a_compact_copy_keeps_failures_and_takes_more_frames(
    water_file: Path, tmp_path: Path, row: Row
) -> None:
    with FrameWriter(water_file, [8, 1, 1], {}) as writer:
        writer.record_failure(20, "SCF did not converge")
    small = tmp_path / "small.h5"
    write_compact_copy(water_file, small, ("energy", "forces"))
    assert FrameFile.failures(small) == {20: "SCF did not converge"}
    with FrameWriter(small, [8, 1, 1], {}) as writer:
        writer.append(row(30))
    assert FrameFile.read(small)["frame"].tolist() == [*range(10), 30]
