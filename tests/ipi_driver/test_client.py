"""The loop against a scripted server: order of messages, batches, several connections, extras."""

import socket
import threading
from pathlib import Path

import numpy as np

from ipi_driver.client import ExitCode
from tests.ipi_driver.elastic_ethanol import (
    CHARGES,
    ElasticEthanol,
    ElasticPrediction,
)
from tests.ipi_driver.trial import Outcome, accept, build_driver, check, frames, greet


def test_a_run_from_handshake_to_exit(listener: socket.socket, tmp_path: Path) -> None:
    def script(listener: socket.socket) -> None:
        server = accept(listener)
        greet(server)
        for seed in range(50):
            positions = frames(1, seed)
            server.ask(positions)
            check(server.answer(1, 9), positions)
            assert server.status() == "READY"
        server.exit()

    outcome = Outcome(script, listener)
    assert build_driver(listener, tmp_path).run() == ExitCode.FINISHED
    outcome.join()


def test_a_server_that_asks_status_after_positions_hears_havedata(
    listener: socket.socket, tmp_path: Path
) -> None:
    def script(listener: socket.socket) -> None:
        server = accept(listener)
        greet(server)
        positions = frames(1)
        server.socket.sendall(server.positions_message(positions))
        assert server.status() == "HAVEDATA"
        server.socket.sendall(server.header("GETFORCE"))
        check(server.answer(1, 9), positions)
        server.exit()

    outcome = Outcome(script, listener)
    assert build_driver(listener, tmp_path).run() == ExitCode.FINISHED
    outcome.join()


def test_a_padded_batch_is_answered_whole(listener: socket.socket, tmp_path: Path) -> None:
    model = ElasticEthanol()

    def script(listener: socket.socket) -> None:
        server = accept(listener)
        greet(server, " charge : 0 ,  batch_size:8")
        positions = np.concatenate([frames(5), np.repeat(frames(1, 7), 3, axis=0)])
        server.ask(positions, batched=True)
        check(server.answer(8, 9), positions)
        server.exit()

    outcome = Outcome(script, listener)
    assert build_driver(listener, tmp_path, model).run() == ExitCode.FINISHED
    outcome.join()
    assert model.batch_sizes == [6]


def test_everything_is_read_before_the_model_is_called(
    listener: socket.socket, tmp_path: Path
) -> None:
    evaluated = threading.Event()

    class Watched(ElasticEthanol):
        def evaluate(
            self, numbers: np.ndarray, positions: np.ndarray, cell: np.ndarray | None = None
        ) -> ElasticPrediction:
            evaluated.set()
            return super().evaluate(numbers, positions, cell)

    def script(listener: socket.socket) -> None:
        server = accept(listener)
        greet(server)
        positions = frames(1)
        server.socket.sendall(server.positions_message(positions) + b"GETFOR")
        assert not evaluated.wait(0.2)
        server.socket.sendall(b"CE    ")
        check(server.answer(1, 9), positions)
        server.exit()

    outcome = Outcome(script, listener)
    assert build_driver(listener, tmp_path, Watched()).run() == ExitCode.FINISHED
    outcome.join()


def test_several_connections_are_answered_by_one_model_call(
    listener: socket.socket, tmp_path: Path
) -> None:
    model = ElasticEthanol()

    def script(listener: socket.socket) -> None:
        servers = []
        for _ in range(4):
            server = accept(listener)
            greet(server)
            servers.append(server)
        for step in range(20):
            requests = [frames(1, 10 * step + k) for k in range(4)]
            for server, positions in zip(servers, requests, strict=True):
                server.ask(positions)
            for server, positions in zip(servers, requests, strict=True):
                check(server.answer(1, 9), positions)
        for server in servers:
            server.exit()

    outcome = Outcome(script, listener)
    assert build_driver(listener, tmp_path, model, connections=4).run() == ExitCode.FINISHED
    outcome.join()
    # A loaded machine may split a step; most calls answer all four.
    assert np.mean(model.batch_sizes) > 2.0


def test_a_server_that_asks_for_polar_tensors_gets_them(
    listener: socket.socket, tmp_path: Path
) -> None:
    def script(listener: socket.socket) -> None:
        server = accept(listener)
        greet(server, " properties : polar_tensors , ")
        server.ask(frames(1))
        (extras,) = server.answer(1, 9).extras
        assert set(extras) == {"dipole", "polar_tensors"}
        tensors = np.array(extras["polar_tensors"]).reshape(9, 3, 3)
        np.testing.assert_allclose(tensors[:, 1, 1], CHARGES, atol=1e-12)
        server.exit()

    outcome = Outcome(script, listener)
    assert build_driver(listener, tmp_path).run() == ExitCode.FINISHED
    outcome.join()


def test_only_the_server_that_asks_for_polarizabilities_gets_them(
    listener: socket.socket, tmp_path: Path
) -> None:
    def script(listener: socket.socket) -> None:
        one = accept(listener)
        greet(one)
        other = accept(listener)
        greet(other, " properties : polarizability , batch_size:2")
        for seed in range(3):
            positions = frames(2, seed)
            one.ask(positions[:1])
            other.ask(positions, batched=True)
            check(one.answer(1, 9), positions[:1])
            answer = other.answer(2, 9)
            check(answer, positions)
            found = [extras["polarizability"] for extras in answer.extras]
            expected = np.einsum("bix,biy->bxy", positions, positions)
            np.testing.assert_allclose(found, expected, atol=1e-12)
            assert all(set(extras) == {"dipole", "polarizability"} for extras in answer.extras)
        one.exit()
        other.exit()

    outcome = Outcome(script, listener)
    assert build_driver(listener, tmp_path, connections=2).run() == ExitCode.FINISHED
    outcome.join()
