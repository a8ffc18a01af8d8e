"""The loop against a scripted server: order of messages, endings, signals, reconnection."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from densnet.errors import InputError
from densnet.units import BOHR_ANGSTROM
from ipi_driver.__main__ import main
from ipi_driver.checks import Template
from ipi_driver.client import Driver, ExitCode
from ipi_driver.connection import Endpoint
from ipi_driver.evaluate import Evaluator
from ipi_driver.guard import Guard, Limits
from tests.ipi_driver.elastic_ethanol import (
    CHARGES,
    NUMBERS,
    POSITIONS,
    ElasticEthanol,
    ElasticPrediction,
)
from tests.ipi_driver.scripted_server import Answer, ScriptedServer
from tests.tolerances import ROUNDING

Script = Callable[[socket.socket], None]


@pytest.fixture(params=["unix", "tcp"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[socket.socket]:
    if request.param == "unix":
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(tmp_path / "socket"))
    else:
        server = socket.socket(socket.AF_INET)
        server.bind(("localhost", 0))
    server.listen(4)
    server.settimeout(20.0)
    yield server
    server.close()


def endpoint_of(listener: socket.socket) -> Endpoint:
    name = listener.getsockname()
    return Endpoint.unix(name) if isinstance(name, str) else Endpoint.tcp(f"localhost:{name[1]}")


class Outcome:
    """Runs a server's script in a thread and keeps what it raised."""

    def __init__(self, script: Script, listener: socket.socket) -> None:
        self.error: BaseException | None = None
        self._script = script
        self._listener = listener
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._script(self._listener)
        except BaseException as error:
            self.error = error

    def join(self) -> None:
        self._thread.join(20.0)
        assert not self._thread.is_alive()
        if self.error is not None:
            raise self.error


def build_driver(
    listener: socket.socket,
    tmp_path: Path,
    model: ElasticEthanol | None = None,
    connections: int = 1,
    reconnect_s: float = 0.0,
    wait_s: float = 10.0,
) -> Driver:
    model = model or ElasticEthanol()
    template = Template.from_manifest(model.manifest)
    return Driver(
        Evaluator(model, NUMBERS),
        template,
        Guard(template, Limits(), tmp_path / "refused"),
        [endpoint_of(listener)] * connections,
        wait_s=wait_s,
        reconnect_s=reconnect_s,
    )


def accept(listener: socket.socket) -> ScriptedServer:
    return ScriptedServer(listener.accept()[0])


def greet(server: ScriptedServer, text: str = "") -> None:
    assert server.status() == "NEEDINIT"
    server.init(text)
    assert server.status() == "READY"


def check(answer: Answer, positions: np.ndarray) -> None:
    expected = ElasticEthanol().evaluate(NUMBERS, positions)
    np.testing.assert_allclose(answer.energies, expected.energy, atol=ROUNDING)
    np.testing.assert_allclose(answer.forces, expected.forces, atol=ROUNDING)
    np.testing.assert_allclose(answer.virials, expected.virial, atol=ROUNDING)
    dipoles = [extras["dipole"] for extras in answer.extras]
    np.testing.assert_allclose(dipoles, expected.dipole, atol=ROUNDING)


def frames(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return POSITIONS + rng.normal(scale=0.05, size=(n, 9, 3))


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
