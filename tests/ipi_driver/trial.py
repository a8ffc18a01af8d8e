"""One driver against one scripted server: the server in a thread, the driver in the test."""

import socket
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ipi_driver.checks import Template
from ipi_driver.client import Driver
from ipi_driver.connection import Endpoint
from ipi_driver.evaluate import Evaluator
from ipi_driver.guard import Guard, Limits
from tests.ipi_driver.elastic_ethanol import NUMBERS, POSITIONS, ElasticEthanol
from tests.ipi_driver.scripted_server import Answer, ScriptedServer
from tests.tolerances import ROUNDING

Script = Callable[[socket.socket], None]


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
