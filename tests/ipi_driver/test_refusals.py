"""What the driver refuses, and that nothing of it reaches the wire."""

import socket
from pathlib import Path

import numpy as np
import pytest

from densnet.errors import InputError
from densnet.units import BOHR_ANGSTROM
from ipi_driver.__main__ import build_parser, check_arguments
from ipi_driver.client import ExitCode
from ipi_driver.connection import Endpoint
from tests.ipi_driver.elastic_ethanol import (
    POSITIONS,
    ElasticEthanol,
    ElasticPrediction,
)
from tests.ipi_driver.trial import Outcome, accept, build_driver, check, frames, greet


def test_a_model_without_response_refuses_to_be_asked_for_polarizabilities(
    listener: socket.socket, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Unresponsive(ElasticEthanol):
        offers_polarizability = False

    def script(listener: socket.socket) -> None:
        server = accept(listener)
        greet(server, " properties : polarizability , ")
        server.ask(frames(1))
        with pytest.raises(ConnectionError):
            server.answer(1, 9)
        server.socket.close()

    outcome = Outcome(script, listener)
    assert build_driver(listener, tmp_path, Unresponsive()).run() == ExitCode.BAD_INPUT
    assert "no response to a field" in caplog.text
    outcome.join()


WRONG_FIRST_FRAMES = {
    "angstrom": (POSITIONS * BOHR_ANGSTROM, None, ""),
    "permuted": (POSITIONS[[1, 0, 2, 3, 4, 5, 6, 7, 8]], None, ""),
    "count": (POSITIONS[:8], None, ""),
    "transposed cell": (POSITIONS, np.eye(3) * 20.0 + np.tril(np.ones((3, 3)), -1), ""),
    "unseen element": (POSITIONS, None, "elements : C C S H H H H H H"),
    "charge": (POSITIONS, None, "charge : -1"),
}


@pytest.mark.parametrize("wrong", WRONG_FIRST_FRAMES)
def test_a_wrong_first_frame_never_gets_forces(
    listener: socket.socket, tmp_path: Path, wrong: str, caplog: pytest.LogCaptureFixture
) -> None:
    positions, cell, text = WRONG_FIRST_FRAMES[wrong]

    def script(listener: socket.socket) -> None:
        server = accept(listener)
        greet(server, text)
        server.ask(positions[None], cell=cell)
        with pytest.raises(ConnectionError):
            server.answer(1, len(positions))
        server.socket.close()

    outcome = Outcome(script, listener)
    assert build_driver(listener, tmp_path).run() == ExitCode.BAD_INPUT
    outcome.join()
    assert "refused" in caplog.text


def test_a_poisoned_result_never_reaches_the_wire(listener: socket.socket, tmp_path: Path) -> None:
    class Poisoned(ElasticEthanol):
        def evaluate(
            self, numbers: np.ndarray, positions: np.ndarray, cell: np.ndarray | None = None
        ) -> ElasticPrediction:
            prediction = super().evaluate(numbers, positions, cell)
            if len(self.batch_sizes) > 1:
                prediction.forces[0, 0, 0] = np.nan
            return prediction

    def script(listener: socket.socket) -> None:
        server = accept(listener)
        greet(server)
        server.ask(frames(1))
        check(server.answer(1, 9), frames(1))
        server.ask(frames(1, 1))
        with pytest.raises(ConnectionError):
            server.answer(1, 9)
        server.socket.close()

    outcome = Outcome(script, listener)
    assert build_driver(listener, tmp_path, Poisoned()).run() == ExitCode.GUARD
    outcome.join()
    assert len(list((tmp_path / "refused").glob("*.xyz"))) == 1


def test_a_foreign_server_is_a_protocol_error(listener: socket.socket, tmp_path: Path) -> None:
    def script(listener: socket.socket) -> None:
        with listener.accept()[0] as sock:
            sock.sendall(b"HTTP/1.1 400 Bad Request\r\n")
            sock.recv(1)

    outcome = Outcome(script, listener)
    assert build_driver(listener, tmp_path).run() == ExitCode.PROTOCOL
    outcome.join()


@pytest.mark.parametrize("text", ["localhost", "localhost:", "localhost:0", "localhost:99999"])
def test_an_address_without_a_port_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="host:port"):
        Endpoint.tcp(text)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("-n 0", "--connections must be at least 1"),
        ("--max-force -1", "--max-force must be positive"),
        ("--domain-stop -1", "--domain-stop must be positive"),
        ("--spread-stop 0.3", "one model has no spread"),
        ("--dump nowhere", "is not a folder"),
    ],
)
def test_options_that_would_switch_off_a_guard_are_refused(options: str, message: str) -> None:
    arguments = build_parser().parse_args(["ethanol", "-u", "x", *options.split()])
    with pytest.raises(InputError, match=message):
        check_arguments(arguments)
