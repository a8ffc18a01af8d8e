"""Tables of i-PI while they grow, after restarts, and cut in the middle."""

from pathlib import Path

import numpy as np
import pytest

from densnet.errors import DataError
from densnet.simulate.follow import Follower, column_names, read_properties

HEAD = (
    "# column   1     --> step : The current simulation time step.\n"
    "# column   2     --> time{picosecond} : The elapsed simulation time.\n"
    "# column   3     --> conserved : The conserved energy quantity per bead.\n"
    "# column   4     --> temperature{kelvin} : The temperature.\n"
)


def row(step: int) -> str:
    return f"  {step:.16e}  {step * 5e-4:.16e}  {-1.0 + step * 1e-6:.16e}  {300.0 + step:.16e}\n"


def test_columns_are_named_without_units(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text(HEAD)
    assert column_names(path) == ["step", "time", "conserved", "temperature"]


def test_a_growing_table_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "out"
    follower = Follower(path)
    assert follower.state() is None
    path.write_text(HEAD)
    assert follower.state() is None
    path.write_text(HEAD + row(0) + row(20) + row(40)[:30])
    state = follower.state()
    assert state is not None
    assert state.step == 20
    assert state.temperature_kelvin == 320.0
    assert state.conserved_change == pytest.approx(20e-6, rel=1e-9)


def test_rows_repeated_by_a_restart_are_kept_once(tmp_path: Path) -> None:
    path = tmp_path / "out"
    again = row(20).replace("3.2000", "9.9000")
    path.write_text(HEAD + row(0) + row(20) + row(40) + again + row(40) + row(60)[:-9])
    table = read_properties(path)
    np.testing.assert_array_equal(table["step"], [0, 20, 40])
    assert table["temperature"][1] == 990.0


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("1 2 3\n")
    with pytest.raises(DataError, match="not a table of i-PI"):
        read_properties(path)
    path.write_text(HEAD)
    with pytest.raises(DataError, match="no rows"):
        read_properties(path)
