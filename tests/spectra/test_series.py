"""Rows of trajectory files: repeats, gaps, beads, broken numbers."""

import logging

import numpy as np
import pytest

from densnet.errors import DataError, NonFiniteError
from densnet.spectra.series import (
    Rows,
    average_beads,
    concatenate,
    keep_last_of_each_step,
    split_at_gaps,
)


def rows(steps: list[int], values: list[float] | None = None) -> Rows:
    numbers = steps if values is None else values
    return Rows(np.array(steps), np.array(numbers, dtype=float)[:, None], "run.dipole_0")


def test_the_last_row_of_a_repeated_step_is_kept() -> None:
    clean = keep_last_of_each_step(rows([0, 2, 4, 2, 4, 6], [0, 1, 2, 10, 20, 30]))
    assert clean.steps.tolist() == [0, 2, 4, 6]
    assert clean.values[:, 0].tolist() == [0, 10, 20, 30]


def test_a_nan_is_refused_with_its_step() -> None:
    with pytest.raises(NonFiniteError, match=r"run\.dipole_0: step 4 "):
        keep_last_of_each_step(rows([0, 2, 4, 6], [0, 1, np.nan, 3]))


def test_a_nan_that_a_restart_overwrote_is_no_concern() -> None:
    clean = keep_last_of_each_step(rows([0, 2, 4, 4, 6], [0, 1, np.nan, 2, 3]))
    assert np.isfinite(clean.values).all()


def test_a_gap_splits_a_trajectory_and_is_named(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        first, second = split_at_gaps(rows([0, 4, 8, 12, 40, 44, 48]))
    assert first.steps.tolist() == [0, 4, 8, 12]
    assert second.steps.tolist() == [40, 44, 48]
    assert (first.stride, second.stride) == (4, 4)
    assert "gap between steps 12 and 40" in caplog.text


def test_a_lonely_row_between_gaps_is_dropped() -> None:
    parts = split_at_gaps(rows([0, 2, 4, 100, 200, 202, 204]))
    assert [part.steps.tolist() for part in parts] == [[0, 2, 4], [200, 202, 204]]


def test_a_single_row_is_no_trajectory() -> None:
    with pytest.raises(DataError, match=r"1 row\(s\), no trajectory"):
        split_at_gaps(rows([0]))


def test_pieces_of_a_trajectory_join_to_the_whole() -> None:
    joined = keep_last_of_each_step(concatenate([rows([0, 2, 4]), rows([4, 6, 8])]))
    assert joined.steps.tolist() == [0, 2, 4, 6, 8]


def test_pieces_of_different_shape_do_not_join() -> None:
    other = Rows(np.array([6]), np.zeros((1, 3)), "other")
    with pytest.raises(DataError, match="not one trajectory"):
        concatenate([rows([0, 2, 4]), other])


def test_beads_are_averaged_on_the_steps_they_share() -> None:
    mean = average_beads([rows([0, 2, 4], [1, 2, 3]), rows([2, 4], [4, 7])])
    assert mean.steps.tolist() == [2, 4]
    assert mean.values[:, 0].tolist() == [3.0, 5.0]
