from pathlib import Path

import numpy as np
import pytest

from densnet.data.journal import Journal
from densnet.data.rewrite import replace_columns
from densnet.data.store import FrameFile
from densnet.errors import InputError


def test_a_replaced_column_has_the_given_values_and_no_old_ones(water_file: Path) -> None:
    old = np.ones((10, 4))
    replace_columns(water_file, np.arange(10), {"coefficients": old}, {"basis_name": "a"})
    new = np.arange(6.0).reshape(2, 3)
    replace_columns(water_file, np.array([8, 2]), {"coefficients": new}, {"basis_name": "b"})
    frames = FrameFile.read(water_file)
    assert frames.attributes["basis_name"] == "b"
    assert np.array_equal(frames.coefficients[8], new[0])
    assert np.array_equal(frames.coefficients[2], new[1])
    assert np.isnan(frames.coefficients).sum() == 8 * 3


def test_an_unknown_frame_is_refused_and_the_file_stays(water_file: Path) -> None:
    before = water_file.read_bytes()
    with pytest.raises(InputError, match="no frame 77"):
        replace_columns(water_file, np.array([77]), {"coefficients": np.ones((1, 2))}, {})
    assert water_file.read_bytes() == before


def test_a_file_that_is_being_written_cannot_be_rewritten(water_file: Path) -> None:
    journal = Journal(water_file.with_name(water_file.name + ".journal"))
    with pytest.raises(InputError, match="another process"):
        replace_columns(water_file, np.array([0]), {"coefficients": np.ones((1, 2))}, {})
    journal.close()
