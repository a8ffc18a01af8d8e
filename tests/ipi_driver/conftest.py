"""A socket on which a test plays i-PI: a unix one and a TCP one in turn."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest


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
