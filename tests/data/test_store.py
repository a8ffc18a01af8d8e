from pathlib import Path

import h5py
import numpy as np
import pytest

from densnet.data.store import FrameFile
from densnet.errors import DataError, InputError, MissingLabelError


def test_a_column_that_is_asked_for_and_absent_is_a_missing_label(water_file: Path) -> None:
    with pytest.raises(MissingLabelError, match="has no coefficients; it holds"):
        FrameFile.read(water_file, require=("energy", "coefficients"))


def test_one_frame_without_a_required_label_is_named(water_file: Path) -> None:
    with pytest.raises(MissingLabelError, match=r"dipole is missing.* 1 of 10 .*first in frame 7"):
        FrameFile.read(water_file, require=("dipole",))


def test_a_missing_label_outside_of_the_selection_does_not_matter(water_file: Path) -> None:
    frames = FrameFile.read(water_file, require=("dipole",), select={"tag": "test"})
    assert frames["frame"].tolist() == [0, 3, 6, 9]


def test_selections_combine(water_file: Path) -> None:
    frames = FrameFile.read(
        water_file, select={"tag": ("train", "test"), "temperature": 300.0, "trajectory": [0, 1]}
    )
    assert frames["frame"].tolist() == [1, 3, 5, 7]


def test_an_empty_selection_is_an_error(water_file: Path) -> None:
    with pytest.raises(MissingLabelError, match="no frames with tag = validation"):
        FrameFile.read(water_file, select={"tag": "validation"})


def test_an_unknown_column_is_refused_with_the_known_ones(water_file: Path) -> None:
    with pytest.raises(InputError, match=r"no column 'energies'; columns are frame, positions"):
        FrameFile.read(water_file, require=("energies",))


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9])
def test_a_truncated_file_is_refused(water_file: Path, kept: float) -> None:
    data = water_file.read_bytes()
    water_file.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(DataError, match=r"truncated or not HDF5|corrupted"):
        FrameFile.read(water_file)


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        FrameFile.read(tmp_path / "absent.h5")
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(DataError, match="not HDF5"):
        FrameFile.read(tmp_path / "text.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(DataError, match="not a file of frames"):
        FrameFile.read(tmp_path / "other.h5")


def test_a_later_format_is_refused(water_file: Path) -> None:
    with h5py.File(water_file, "r+") as file:
        file.attrs["version"] = 99
    with pytest.raises(DataError, match="format version 99"):
        FrameFile.read(water_file)


def test_columns_of_unequal_length_are_refused(water_file: Path) -> None:
    with h5py.File(water_file, "r+") as file:
        file["energy"].resize(9, axis=0)
    with pytest.raises(DataError, match="energy has 9 frames, not 10"):
        FrameFile.read(water_file)


def test_a_subset_keeps_its_order(water_file: Path) -> None:
    frames = FrameFile.read(water_file).subset(np.array([4, 1]))
    assert frames["frame"].tolist() == [4, 1]
    assert frames.energy.tolist() == [-80.0, -77.0]
