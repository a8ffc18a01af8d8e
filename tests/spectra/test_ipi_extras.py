"""i-PI's extras files as they come, broken ones included."""

from pathlib import Path

import numpy as np
import pytest

from densnet.errors import DataError
from densnet.spectra.ipi_extras import load_extras, load_polarizability

FRAME = " #EXTRAS(dipole)# Step:  {step:10d} \n {x:24.16e} {y:24.16e} {z:24.16e}\n"


def write(path: Path, steps: range) -> str:
    text = "".join(FRAME.format(step=s, x=s + 0.5, y=-1.0, z=2.0) for s in steps)
    path.write_text(text)
    return text


def test_steps_and_values_are_read(tmp_path: Path) -> None:
    write(tmp_path / "a", range(0, 40, 4))
    rows = load_extras(tmp_path / "a", "dipole", (3,))
    assert rows.steps.tolist() == list(range(0, 40, 4))
    np.testing.assert_array_equal(rows.values[:, 0], rows.steps + 0.5)


def test_a_single_component_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(
        " #EXTRAS_COMPONENT_RAW(dipole)# Step:           8  Bead:      0  \n 1.0 2.0 3.0\n"
    )
    assert load_extras(tmp_path / "a", "dipole", (3,)).values.tolist() == [[1.0, 2.0, 3.0]]


@pytest.mark.parametrize("cut", range(1, 106, 4))
def test_a_truncated_tail_loses_only_its_last_frame(tmp_path: Path, cut: int) -> None:
    text = write(tmp_path / "a", range(10))
    (tmp_path / "a").write_text(text[:-cut])
    assert load_extras(tmp_path / "a", "dipole", (3,)).steps.tolist() == list(range(9))


@pytest.mark.parametrize("cut", range(1, 106, 4))
def test_a_frame_cut_in_the_middle_and_appended_to_is_dropped(tmp_path: Path, cut: int) -> None:
    text = write(tmp_path / "a", range(10))
    (tmp_path / "a").write_text(text[:-cut] + text)
    rows = load_extras(tmp_path / "a", "dipole", (3,))
    assert rows.steps.tolist() == [*range(9), *range(10)]


def test_numbers_over_several_lines_make_one_frame(tmp_path: Path) -> None:
    tensor = "1 2 3\n2 4 5\n3 5 6\n"
    header = " #EXTRAS(polarizability)# Step: {} \n"
    (tmp_path / "a").write_text(header.format(0) + tensor + header.format(1) + tensor)
    rows = load_polarizability(tmp_path / "a")
    assert rows.values.shape == (2, 3, 3)
    assert rows.values[1].tolist() == [[1, 2, 3], [2, 4, 5], [3, 5, 6]]


def test_six_numbers_make_a_symmetric_polarizability(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(" #EXTRAS(polarizability)# Step: 0 \n 1 4 6 2 3 5\n")
    full = load_polarizability(tmp_path / "a").values[0]
    assert full.tolist() == [[1, 2, 3], [2, 4, 5], [3, 5, 6]]


def test_another_extra_is_refused_by_name(tmp_path: Path) -> None:
    write(tmp_path / "a", range(3))
    with pytest.raises(DataError, match=r"line 1: holds the extra 'dipole', not 'charges'"):
        load_extras(tmp_path / "a", "charges", (3,))


def test_a_frame_with_too_many_numbers_is_refused_with_its_step(tmp_path: Path) -> None:
    text = write(tmp_path / "a", range(3))
    (tmp_path / "a").write_text(text.replace("2.0000000000000000e+00\n", "2.0 7.0\n", 1))
    with pytest.raises(DataError, match="step 0: 4 values"):
        load_extras(tmp_path / "a", "dipole", (3,))


def test_a_whole_frame_with_too_few_numbers_is_refused_with_its_step(tmp_path: Path) -> None:
    text = write(tmp_path / "a", range(3))
    (tmp_path / "a").write_text(text.replace(" 2.0000000000000000e+00\n", "\n", 1))
    with pytest.raises(DataError, match="step 0: 2 values"):
        load_extras(tmp_path / "a", "dipole", (3,))


def test_words_instead_of_numbers_are_refused_with_their_step(tmp_path: Path) -> None:
    text = write(tmp_path / "a", range(3))
    (tmp_path / "a").write_text(text.replace("5.0000000000000000e-01", "much", 1))
    with pytest.raises(DataError, match="step 0: not a row of numbers"):
        load_extras(tmp_path / "a", "dipole", (3,))


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("3\ncomment\nH 0 0 0\n")
    with pytest.raises(DataError, match="is this an i-PI extras file"):
        load_extras(tmp_path / "a", "dipole", (3,))


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(DataError, match="no complete frame"):
        load_extras(tmp_path / "a", "dipole", (3,))
