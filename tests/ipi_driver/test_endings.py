"""How a driver ends: servers that vanish or come back, signals, defects."""

import os
import signal
import socket
import time
from pathlib import Path

import numpy as np
import pytest

from ipi_driver.__main__ import main
from ipi_driver.checks import Template
from ipi_driver.client import Driver, ExitCode
from ipi_driver.connection import Endpoint
from ipi_driver.evaluate import Evaluator
from ipi_driver.guard import Guard, Limits
from tests.ipi_driver.elastic_ethanol import (
    NUMBERS,
    ElasticEthanol,
    ElasticPrediction,
)
from tests.ipi_driver.trial import Outcome, accept, build_driver, check, frames, greet


def test_a_server_that_vanishes_ends_the_driver(listener: socket.socket, tmp_path: Path) -> None:
    ended: list[float] = []

    def script(listener: socket.socket) -> None:
        server = accept(listener)
        greet(server)
        listener.close()
        server.socket.close()
        ended.append(time.monotonic())

    outcome = Outcome(script, listener)
    assert build_driver(listener, tmp_path).run() == ExitCode.NO_SERVER
    outcome.join()
    assert time.monotonic() - ended[0] < 1.0


def test_a_server_that_comes_back_is_served_again(listener: socket.socket, tmp_path: Path) -> None:
    def script(listener: socket.socket) -> None:
        first = accept(listener)
        greet(first)
        first.ask(frames(1))
        first.socket.close()
        second = accept(listener)
        greet(second)
        second.ask(frames(1, 3))
        check(second.answer(1, 9), frames(1, 3))
        second.exit()

    outcome = Outcome(script, listener)
    assert build_driver(listener, tmp_path, reconnect_s=10.0).run() == ExitCode.FINISHED
    outcome.join()


def test_nobody_listening_is_reported(tmp_path: Path) -> None:
    template = Template.from_manifest(ElasticEthanol().manifest)
    driver = Driver(
        Evaluator(ElasticEthanol(), NUMBERS),
        template,
        Guard(template, Limits(), tmp_path),
        [Endpoint.unix(str(tmp_path / "nobody"))],
        wait_s=0.2,
    )
    assert driver.run() == ExitCode.NO_SERVER


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_finishes_the_frame(
    listener: socket.socket, tmp_path: Path, number: signal.Signals
) -> None:
    class Interrupted(ElasticEthanol):
        def evaluate(
            self, numbers: np.ndarray, positions: np.ndarray, cell: np.ndarray | None = None
        ) -> ElasticPrediction:
            os.kill(os.getpid(), number)
            return super().evaluate(numbers, positions, cell)

    def script(listener: socket.socket) -> None:
        server = accept(listener)
        greet(server)
        server.ask(frames(1))
        check(server.answer(1, 9), frames(1))
        assert server.socket.recv(12) == b""
        server.socket.close()

    outcome = Outcome(script, listener)
    code = build_driver(listener, tmp_path, Interrupted()).run()
    outcome.join()
    assert code == 128 + number
    assert signal.getsignal(number) not in (None, signal.SIG_IGN)


def test_a_defect_is_logged_and_has_a_status_of_its_own(
    listener: socket.socket, tmp_path: Path
) -> None:
    class Broken(ElasticEthanol):
        def evaluate(
            self, numbers: np.ndarray, positions: np.ndarray, cell: np.ndarray | None = None
        ) -> ElasticPrediction:
            if self.batch_sizes:
                raise RuntimeError("a defect")
            return super().evaluate(numbers, positions, cell)

    def script(listener: socket.socket) -> None:
        server = accept(listener)
        greet(server)
        server.ask(frames(1))
        with pytest.raises(ConnectionError):
            server.answer(1, 9)
        server.socket.close()

    outcome = Outcome(script, listener)
    name = listener.getsockname()
    where = ["--unix", name] if isinstance(name, str) else ["--tcp", f"localhost:{name[1]}"]
    log = tmp_path / "driver.log"
    assert main(["broken", *where, "--log", str(log)], lambda args: Broken()) == ExitCode.FAILED
    outcome.join()
