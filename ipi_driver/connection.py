"""One connection to an i-PI server: what it has sent, what it waits for, what it is told."""

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from densnet.errors import InputError, ProtocolError
from ipi_driver.evaluate import Evaluation
from ipi_driver.protocol import (
    Decoder,
    Init,
    PositionData,
    SegmentData,
    Signal,
    encode_forces,
    encode_header,
    frame_extras,
)
from ipi_driver.segments import Segments

RECEIVE_BYTES = 1 << 18
# Where i-PI opens its unix sockets, unless told otherwise (i-pi -S).
SOCKETS_PREFIX = "/tmp/ipi_"
# A server that takes nothing for this long is gone or stopped; the reply is one small message.
SEND_TIMEOUT_S = 120.0


class ServerClosedError(ConnectionError):
    """The server closed the connection, or died, without saying EXIT."""


@dataclass(frozen=True)
class Endpoint:
    """Where a server listens.

    Parameters
    ----------
    address : str or (str, int)
        Path of a unix socket, or host and port.
    shared_memory : bool
        Whether the numbers travel through shared memory; unix sockets only.
    """

    address: str | tuple[str, int]
    shared_memory: bool = False

    @classmethod
    def unix(
        cls, name: str, prefix: str = SOCKETS_PREFIX, *, shared_memory: bool = False
    ) -> "Endpoint":
        """The unix socket that i-PI opens for ``<address>name</address>``."""
        return cls(name if name.startswith("/") else prefix + name, shared_memory)

    @classmethod
    def tcp(cls, text: str) -> "Endpoint":
        """``host:port``; the port of i-PI's input."""
        host, colon, port = text.rpartition(":")
        if not colon or not port.isdecimal() or not 0 < int(port) < 65536:
            raise InputError(f"--tcp {text}: expected host:port, such as localhost:31415")
        return cls((host or "localhost", int(port)))

    def __str__(self) -> str:
        if isinstance(self.address, str):
            return f"unix:{self.address}"
        return f"tcp:{self.address[0]}:{self.address[1]}"

    def connect(self) -> socket.socket:
        """Open the connection.

        Raises
        ------
        OSError
            If nobody listens.
        """
        if isinstance(self.address, str):
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                sock.connect(os.fspath(Path(self.address)))
            except OSError:
                sock.close()
                raise
        else:
            sock = socket.create_connection(self.address, timeout=10.0)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(SEND_TIMEOUT_S)
        return sock


class Connection:
    """The state of one connection.

    POSDATA *and* GETFORCE are read to the last byte before anything is evaluated: i-PI hangs for
    good when a client dies with unread bytes in its socket.

    Parameters
    ----------
    endpoint : Endpoint
    n_atoms : int or None
        Atoms of the model's molecule; None accepts any number.

    Raises
    ------
    OSError
        If nobody listens.
    """

    def __init__(self, endpoint: Endpoint, n_atoms: int | None) -> None:
        self.endpoint = endpoint
        self.greeted = False
        self.ended = False
        self.wants_forces = False
        self.request: PositionData | None = None
        self.init: Init | None = None
        self.checked = False
        # Properties beside the dipole that the server's <parameters> ask for.
        self.wanted: frozenset[str] = frozenset()
        self.served = False
        # Of the driver's model calls, the last that answered this connection.
        self.last_call = 0
        self._decoder = Decoder(n_atoms, shared_memory=endpoint.shared_memory)
        self._segments: Segments | None = None
        self._socket = endpoint.connect()

    @property
    def socket(self) -> socket.socket:
        """The socket, for the witness to hold."""
        return self._socket

    def fileno(self) -> int:
        """The descriptor, for poll."""
        return self._socket.fileno()

    def receive(self) -> None:
        """Take what has arrived and answer STATUS.

        Raises
        ------
        ServerClosedError
            If the server closed the connection.
        ProtocolError
            If the bytes are not i-PI's.
        """
        try:
            data = self._socket.recv(RECEIVE_BYTES)
        except ConnectionError as error:
            raise ServerClosedError(str(error)) from error
        if not data:
            raise ServerClosedError(f"{self.endpoint} was closed without EXIT")
        self._decoder.feed(data)
        while not self.ended and (message := self._decoder.next_message()) is not None:
            if message is Signal.STATUS:
                self._answer_status()
            elif message is Signal.GETFORCE:
                if self.request is None:
                    raise ProtocolError(f"{self.endpoint} asked for forces before positions")
                self.wants_forces = True
            elif message is Signal.EXIT:
                self.ended = True
            elif isinstance(message, Init):
                self.init = message
            elif isinstance(message, SegmentData):
                self.request = self._read_segments(message)
            elif isinstance(message, PositionData):
                self.request = message

    def _read_segments(self, message: SegmentData) -> PositionData:
        if message.names is not None:
            self._segments = Segments(
                message.names, self._decoder.batch_size, self._decoder.n_atoms or 0
            )
        if self._segments is None:
            raise ProtocolError(f"{self.endpoint} sent positions without naming its shared memory")
        return self._segments.read_positions()

    def _answer_status(self) -> None:
        if self.request is not None:
            self._send(encode_header("HAVEDATA"))
        elif self.init is not None:
            self._send(encode_header("READY"))
        else:
            self._send(encode_header("NEEDINIT"))
        self.greeted = True

    def reply(self, evaluation: Evaluation, extras: Sequence[bytes]) -> None:
        """Send the results of the pending request in one message.

        Parameters
        ----------
        evaluation : Evaluation
        extras : sequence of bytes
            One JSON object a structure.

        Raises
        ------
        ServerClosedError
            If the server is no longer there.
        """
        if self._segments is not None:
            self._segments.write_results(evaluation)
            answer = encode_header("FORCEREADY") + frame_extras(extras)
        else:
            answer = encode_forces(
                evaluation.energies,
                evaluation.forces,
                evaluation.virials,
                extras,
                batched=self._decoder.batch_size > 1,
            )
        self.request = None
        self.wants_forces = False
        self._send(answer)

    def _send(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except (ConnectionError, TimeoutError) as error:
            raise ServerClosedError(f"{self.endpoint}: {error}") from error

    def close(self, *, patience_s: float = 0.0) -> None:
        """Say goodbye: end of stream first, then wait for the server to read it.

        A server that writes into a closed socket gets a reset, which i-PI does not survive; one
        that reads the end of the stream takes another client.

        Parameters
        ----------
        patience_s : float
            Longest time to keep the reading side open.
        """
        try:
            if patience_s > 0.0 and not self.ended:
                self._socket.shutdown(socket.SHUT_WR)
                self._socket.settimeout(patience_s)
                while self._socket.recv(RECEIVE_BYTES):
                    pass
            else:
                # Also for the duplicate that the witness holds.
                self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        finally:
            self._socket.close()
            if self._segments is not None:
                self._segments.close()
                self._segments = None
