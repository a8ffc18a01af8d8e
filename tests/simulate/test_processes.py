"""Stale sockets are removed, living ones respected; programs that fail say why."""

import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from densnet.errors import SimulationError
from densnet.simulate.processes import (
    MAX_EARLY_DEATHS,
    DriverProcess,
    Server,
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


def test_the_last_line_that_says_something_is_found(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("first\nlast words\n\n")
    assert last_line(tmp_path / "absent", tmp_path / "log") == "last words"
    assert last_line(tmp_path / "absent") == "no message"


def wait_for_error(check: Callable[[], object]) -> None:
    end = time.monotonic() + 30.0
    while time.monotonic() < end:
        check()
        time.sleep(0.02)


def test_an_input_that_ipi_cannot_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "input.xml").write_text("<simulation><nonsense/></simulation>")
    server = Server(tmp_path, "input.xml", "densnet-test-nonsense")
    server.start()
    with pytest.raises(SimulationError, match=r"i-PI stopped with status 1.*nonsense"):
        wait_for_error(server.is_running)


def test_a_server_is_stopped(tmp_path: Path) -> None:
    server = Server(tmp_path, "60", "densnet-test-sleep", program="sleep")
    assert not server.is_running()
    server.start()
    assert server.is_running()
    server.stop()
    with pytest.raises(SimulationError, match="status -15"):
        server.is_running()


def test_a_server_whose_polling_thread_died_is_ended(tmp_path: Path) -> None:
    program = tmp_path / "server"
    program.write_text("#!/bin/sh\necho 'Exception in thread poll_densnet:'\nexec sleep 60\n")
    program.chmod(0o755)
    server = Server(tmp_path, "input.xml", "densnet-test-hung", program=str(program))
    server.start()
    with pytest.raises(SimulationError, match="polling thread died"):
        wait_for_error(server.is_running)
    server.stop()


def test_a_driver_that_refuses_ends_the_run_with_its_words(tmp_path: Path) -> None:
    command = (sys.executable, "-c", "import sys; print('refused: angstrom'); sys.exit(2)")
    driver = DriverProcess(tmp_path, command)
    driver.start()
    with pytest.raises(SimulationError, match="status 2: refused: angstrom"):
        wait_for_error(driver.keep_alive)


def test_the_reason_of_a_driver_is_told_whatever_it_says_after_it(tmp_path: Path) -> None:
    (tmp_path / "driver.log").write_text("2026-11-21 15:40:18 ERROR of an earlier driver\n")
    words = "now ERROR stopped: a force of 73.6 eV/Å\nnow INFO end: 16128 frames\n"
    code = f"import sys; open('driver.log', 'a').write({words!r}); sys.exit(3)"
    driver = DriverProcess(tmp_path, (sys.executable, "-S", "-c", code))
    driver.start()
    with pytest.raises(SimulationError, match=r"status 3: stopped: a force of 73\.6 eV/Å$"):
        wait_for_error(driver.keep_alive)


def test_a_driver_that_dies_at_once_is_not_started_for_ever(tmp_path: Path) -> None:
    driver = DriverProcess(tmp_path, (sys.executable, "-S", "-c", "import os; os.abort()"))
    driver.start()
    with pytest.raises(SimulationError, match="status -6"):
        wait_for_error(driver.keep_alive)
    assert driver.restarts == MAX_EARLY_DEATHS - 1


def test_a_driver_that_has_served_may_die_often(tmp_path: Path) -> None:
    code = "import os; open('driver.log', 'a').write('x has been answered'); os.abort()"
    driver = DriverProcess(tmp_path, (sys.executable, "-S", "-c", code))
    driver.start()
    end = time.monotonic() + 30.0
    while driver.restarts < 2 * MAX_EARLY_DEATHS and time.monotonic() < end:
        driver.keep_alive()
        time.sleep(0.01)
    assert driver.restarts >= 2 * MAX_EARLY_DEATHS
    driver.stop()
