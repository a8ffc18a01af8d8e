"""An i-PI server of a few lines, written against the description of the wire in protocol.py's head.

It shares no code with the driver: headers and layouts are spelled out again.
"""

import json
import socket
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Answer:
    energies: NDArray[np.float64]
    forces: NDArray[np.float64]
    virials: NDArray[np.float64]
    extras: list[dict[str, Any]]


class ScriptedServer:
    """The server's end of one connection."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(20.0)
        self.socket = sock

    def header(self, text: str) -> bytes:
        return text.ljust(12).encode()

    def read(self, n_bytes: int) -> bytes:
        data = b""
        while len(data) < n_bytes:
            part = self.socket.recv(n_bytes - len(data))
            if not part:
                raise ConnectionError("the driver closed the connection")
            data += part
        return data

    def status(self) -> str:
        self.socket.sendall(self.header("STATUS"))
        return self.read(12).decode().strip()

    def init(self, text: str = "", replica: int = 0) -> None:
        data = text.encode()
        self.socket.sendall(self.header("INIT") + struct.pack("ii", replica, len(data)) + data)

    def positions_message(
        self,
        positions: NDArray[np.float64],
        cell: NDArray[np.float64] | None = None,
        *,
        batched: bool = False,
    ) -> bytes:
        """POSDATA for (n_batch, n_atoms, 3) bohr; `cell` has its vectors in columns."""
        h = np.eye(3) * 100.0 if cell is None else np.asarray(cell, dtype=float)
        cells = h.tobytes() + np.linalg.inv(h).tobytes()
        n_atoms = struct.pack("i", positions.shape[1])
        if batched:
            return self.header("POSDATA") + n_atoms + cells * len(positions) + positions.tobytes()
        return self.header("POSDATA") + cells + n_atoms + positions.tobytes()

    def ask(self, positions: NDArray[np.float64], **options: Any) -> None:
        """POSDATA and GETFORCE in one message, as i-PI 3.2 and later."""
        message = self.positions_message(positions, **options)
        self.socket.sendall(message + self.header("GETFORCE"))

    def answer(self, n_batch: int, n_atoms: int) -> Answer:
        assert self.read(12) == self.header("FORCEREADY")
        energies = np.frombuffer(self.read(8 * n_batch))
        assert struct.unpack("i", self.read(4)) == (n_atoms,)
        forces = np.frombuffer(self.read(24 * n_batch * n_atoms)).reshape(n_batch, n_atoms, 3)
        virials = np.frombuffer(self.read(72 * n_batch)).reshape(n_batch, 3, 3)
        extras = []
        for _ in range(n_batch):
            (length,) = struct.unpack("i", self.read(4))
            extras.append(json.loads(self.read(length).decode("utf-8")))
        return Answer(energies, forces, virials, extras)

    def exit(self) -> None:
        self.socket.sendall(self.header("EXIT"))
        self.socket.close()
