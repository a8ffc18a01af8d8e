"""Stale sockets are removed, living ones respected; programs that fail say why."""

import os
import socket
import sys
import time
from pathlib import Path

import pytest

from densnet.errors import SimulationError
from densnet.simulate.processes import (
    MAX_EARLY_DEATHS,
    Pair,
    find_program,
    last_line,
    remove_stale_socket,
)


@pytest.fixture
def prefix(tmp_path: Path) -> str:
    return str(tmp_path / "ipi_")


def test_the_socket_of_a_killed_server_is_removed(prefix: str) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(prefix + "dead")
    remove_stale_socket("dead", prefix)
    assert not os.path.exists(prefix + "dead")
    remove_stale_socket("never was", prefix)


def test_the_socket_of_a_living_server_is_kept(prefix: str) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(prefix + "alive")
        server.listen()
        with pytest.raises(SimulationError, match="already listens"):
            remove_stale_socket("alive", prefix)
    assert os.path.exists(prefix + "alive")


def test_a_missing_program_is_named() -> None:
    assert Path(find_program("i-pi")).is_file()
    with pytest.raises(SimulationError, match="no-such-program"):
        find_program("no-such-program")


def test_the_last_line_that_says_something_is_found(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("first\nlast words\n\n")
    assert last_line(tmp_path / "absent", tmp_path / "log") == "last words"
    assert last_line(tmp_path / "absent") == "no message"


def poll_until_error(pair: Pair) -> None:
    pair.start()
    end = time.monotonic() + 30.0
    while pair.poll() and time.monotonic() < end:
        time.sleep(0.02)


def test_an_input_that_ipi_cannot_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "input.xml").write_text("<simulation><nonsense/></simulation>")
    driver = (sys.executable, "-c", "import time; time.sleep(2)")
    with pytest.raises(SimulationError, match=r"i-PI stopped with status 1.*nonsense"):
        poll_until_error(Pair(tmp_path, "input.xml", driver, ""))


def test_a_driver_that_refuses_ends_the_run_with_its_words(
    tmp_path: Path,
) -> None:
    driver = (sys.executable, "-c", "import sys; print('refused: angstrom'); sys.exit(2)")
    with pytest.raises(SimulationError, match="status 2: refused: angstrom"):
        poll_until_error(Pair(tmp_path, "60", driver, "", server_program="sleep"))


def test_a_driver_that_dies_at_once_is_not_started_for_ever(
    tmp_path: Path,
) -> None:
    driver = (sys.executable, "-S", "-c", "import os; os.abort()")
    pair = Pair(tmp_path, "60", driver, "", server_program="sleep")
    with pytest.raises(SimulationError, match="status -6"):
        poll_until_error(pair)
    assert pair.restarts == MAX_EARLY_DEATHS - 1
