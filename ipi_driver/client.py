"""The driver's loop: connect, gather requests, evaluate them in one model call, reply, report."""

import logging
import select
import signal
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from types import FrameType

import numpy as np
from numpy.typing import NDArray

from densnet.errors import InputError, ProtocolError
from ipi_driver.checks import Template, check_cell, check_parameters, check_structure
from ipi_driver.connection import Connection, Endpoint, ServerClosedError
from ipi_driver.evaluate import Evaluation, Evaluator
from ipi_driver.extras import (
    COEFFICIENTS,
    POLAR_TENSORS,
    POLARIZABILITY,
    CoefficientFile,
    encode_extras,
    requested_properties,
)
from ipi_driver.guard import Guard, GuardError
from ipi_driver.protocol import PositionData
from ipi_driver.report import Report
from ipi_driver.witness import Witness

logger = logging.getLogger(__name__)

FIRST_RETRY_S = 0.02
LAST_RETRY_S = 1.0
# After the first request of several connections: how long the others may take to follow. i-PI
# dispatches a bead in about 0.05 ms.
GATHER_S = 0.0005
# Whoever took no part in this many model calls asks rarely, as the socket of a force of weight 0
# does, and is not waited for. One call may go without a late one of many.
GATHER_CALLS = 2
# i-PI dispatches the next step within milliseconds of the last.
GOODBYE_S = 0.8


class ExitCode(IntEnum):
    """Exit statuses of ``densnet-driver``."""

    FINISHED = 0
    FAILED = 1
    BAD_INPUT = 2
    GUARD = 3
    NO_SERVER = 4
    PROTOCOL = 5
    INTERRUPTED = 130
    TERMINATED = 143


@dataclass
class Place:
    """One connection that is wanted: open, to be opened, or finished."""

    endpoint: Endpoint
    connection: Connection | None = None
    finished: bool = False
    met_before: bool = False
    retry_s: float = FIRST_RETRY_S
    next_try: float = 0.0
    give_up: float = field(default=float("inf"))


class Driver:
    """Serves a model to one or several i-PI servers.

    Parameters
    ----------
    evaluator : Evaluator
    template : Template
        The molecule that every server must send.
    guard : Guard
    endpoints : sequence of Endpoint
        The servers; the same one several times opens several connections to it.
    wait_s : float
        How long to wait for a server that is not there at the start.
    directory : Path
        For files of the driver's own.
    reconnect_s : float
        How long to look for a server that vanished without EXIT; 0 gives up at once.
    stay : bool
        After EXIT, wait for the next server at the same address, until a signal comes.
    log_every : int
        Frames between two lines of the log.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        template: Template,
        guard: Guard,
        endpoints: Sequence[Endpoint],
        *,
        directory: Path = Path(),
        wait_s: float = 600.0,
        reconnect_s: float = 0.0,
        stay: bool = False,
        log_every: int = 1000,
    ) -> None:
        if not endpoints:
            raise InputError("no server to connect to: give --unix NAME or --tcp HOST:PORT")
        self._evaluator = evaluator
        self._template = template
        self._guard = guard
        self._directory = directory
        self._coefficients: CoefficientFile | None = None
        self._reconnect_s = float("inf") if stay else reconnect_s
        self._stay = stay
        self._report = Report(log_every, evaluator)
        now = time.monotonic()
        patience_s = float("inf") if stay else wait_s
        self._places = [Place(endpoint, give_up=now + patience_s) for endpoint in endpoints]
        self._witness = Witness()
        self._signal_number = 0
        self._wake_receive, self._wake_send = socket.socketpair()
        self._wake_send.setblocking(False)
        self._poller = select.poll()
        self._poller.register(self._wake_receive, select.POLLIN)
        self._by_descriptor: dict[int, Connection] = {}
        self._calls = 0

    def run(self) -> ExitCode:
        """Serve until every server has said EXIT, a signal arrives, or something is wrong."""
        previous = {
            number: signal.signal(number, self._on_signal)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        previous_wakeup = signal.set_wakeup_fd(self._wake_send.fileno())
        patience_s = 0.0
        try:
            code = self._serve()
            if code in (ExitCode.INTERRUPTED, ExitCode.TERMINATED):
                patience_s = GOODBYE_S
            return code
        except GuardError as error:
            logger.error("stopped: %s", error)
            return ExitCode.GUARD
        except ProtocolError as error:
            logger.error("protocol error: %s", error)
            return ExitCode.PROTOCOL
        except InputError as error:
            logger.error("refused: %s", error)
            return ExitCode.BAD_INPUT
        finally:
            for place in self._places:
                if place.connection is not None:
                    place.connection.close(patience_s=patience_s)
            signal.set_wakeup_fd(previous_wakeup)
            for number, handler in previous.items():
                signal.signal(number, handler)
            self._wake_receive.close()
            self._wake_send.close()
            self._witness.close()
            if self._coefficients is not None:
                self._coefficients.close()
            if self._guard.outside:
                logger.warning("%d frames lay outside the training set", self._guard.outside)
            if self._guard.disputed:
                logger.warning("the committee disagreed on %d frames", self._guard.disputed)
            self._report.finish()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signal_number = number

    def _serve(self) -> ExitCode:
        while True:
            self._connect()
            connections = self._connections()
            if not connections and all(place.finished for place in self._places):
                return ExitCode.FINISHED
            lost = [p for p in self._places if not p.finished and time.monotonic() > p.give_up]
            if lost and not connections:
                self._explain_missing(lost[0])
                return ExitCode.NO_SERVER
            self._poll(self._idle_s())
            if any(connection.wants_forces for connection in connections):
                self._gather()
                self._answer([c for c in self._connections() if c.wants_forces])
            if self._signal_number:
                logger.info("signal %d: the last frame has been answered", self._signal_number)
                interrupted = self._signal_number == signal.SIGINT
                return ExitCode.INTERRUPTED if interrupted else ExitCode.TERMINATED

    def _connections(self) -> list[Connection]:
        return [place.connection for place in self._places if place.connection is not None]

    def _connect(self) -> None:
        """Open what is due. i-PI greets one client at a time: the next waits for that."""
        greeting = {c.endpoint for c in self._connections() if not c.greeted}
        for place in self._places:
            if place.connection is not None or place.finished or place.endpoint in greeting:
                continue
            if time.monotonic() < place.next_try:
                continue
            try:
                place.connection = Connection(place.endpoint, len(self._template.numbers))
            except OSError:
                place.next_try = time.monotonic() + place.retry_s
                place.retry_s = min(2.0 * place.retry_s, LAST_RETRY_S)
                continue
            self._witness.watch(place.connection.socket)
            self._poller.register(place.connection, select.POLLIN)
            self._by_descriptor[place.connection.fileno()] = place.connection
            place.connection.last_call = self._calls
            place.retry_s = FIRST_RETRY_S
            place.met_before = True
            greeting.add(place.endpoint)
            logger.info("connected to %s", place.endpoint)

    def _idle_s(self) -> float:
        """Longest time to sleep: until the next attempt to connect."""
        greeting = {c.endpoint for c in self._connections() if not c.greeted}
        waiting = [
            place.next_try
            for place in self._places
            if place.connection is None and not place.finished and place.endpoint not in greeting
        ]
        if not waiting:
            return 60.0
        return max(0.0, min(waiting) - time.monotonic())

    def _poll(self, timeout_s: float) -> bool:
        """Receive from every connection that has something to say; whether any had."""
        start = time.perf_counter()
        events = self._poller.poll(timeout_s * 1e3)
        self._report.waiting_s += time.perf_counter() - start
        for descriptor, _ in events:
            if descriptor == self._wake_receive.fileno():
                self._wake_receive.recv(64)
                continue
            connection = self._by_descriptor[descriptor]
            try:
                connection.receive()
            except ServerClosedError as error:
                self._lose(connection, error)
            if connection.ended:
                logger.info("%s said EXIT", connection.endpoint)
                place = self._place_of(connection)
                place.finished = not self._stay
                place.next_try = time.monotonic() + FIRST_RETRY_S
                self._drop(connection)
        return bool(events)

    def _gather(self) -> None:
        """Give the connections that ask at every step the moment they need to ask as well."""
        while any(
            not c.wants_forces and c.last_call > self._calls - GATHER_CALLS
            for c in self._connections()
        ):
            if not self._poll(GATHER_S):
                return

    def _answer(self, connections: Sequence[Connection]) -> None:
        """Check, evaluate in one call, guard, reply."""
        requests = []
        for connection in connections:
            request = connection.request
            if request is None:
                raise ProtocolError(f"{connection.endpoint} asked for forces before positions")
            if not connection.checked:
                self._check_first(connection, request)
            requests.append(request.positions)
        if not requests:
            return
        polarizability = any(POLARIZABILITY in c.wanted for c in connections)
        results = self._evaluator.evaluate(requests, polarizability=polarizability)
        self._calls += 1
        for connection in connections:
            connection.last_call = self._calls
        domains = []
        for positions, result in zip(requests, results, strict=True):
            self._guard.check(positions, result)
            domains.append(self._guard.measure(positions))
        for connection, result, domain in zip(connections, results, domains, strict=True):
            try:
                connection.reply(result, self._encode_extras(connection, result, domain))
            except ServerClosedError as error:
                self._lose(connection, error)
                continue
            if not connection.served:
                connection.served = True
                # Whoever restarts drivers looks for these words: this one got somewhere.
                logger.info(
                    "the first frame of %s is the model's molecule and has been answered",
                    connection.endpoint,
                )
        self._report.count(results)

    def _encode_extras(
        self, connection: Connection, result: Evaluation, domain: NDArray[np.float64] | None
    ) -> list[bytes]:
        """The JSON of every structure, with what the server's ``<parameters>`` ask for."""
        wanted = connection.wanted
        identities = None
        if COEFFICIENTS in wanted:
            if self._coefficients is None:
                self._coefficients = CoefficientFile(self._directory)
                logger.info("density coefficients go to %s", self._coefficients.path)
            identities = self._coefficients.append(result)
        tensors = None
        if POLAR_TENSORS in wanted and connection.request is not None:
            tensors = self._evaluator.polar_tensors(connection.request.positions)
        return encode_extras(
            result, identities, domain, tensors, polarizability=POLARIZABILITY in wanted
        )

    def _check_first(self, connection: Connection, request: PositionData) -> None:
        if connection.init is not None:
            check_parameters(self._template, connection.init.parameters)
            connection.wanted = requested_properties(connection.init.parameters)
            if POLARIZABILITY in connection.wanted and not self._evaluator.offers_polarizability:
                raise InputError(
                    "the i-PI input asks for the polarizability; this model has no response to a "
                    "field: serve one trained with it, or take it out of `properties`"
                )
        for cell, inverse in zip(request.cells, request.inverse_cells, strict=True):
            check_cell(cell, inverse)
        for positions in request.positions:
            check_structure(self._template, positions)
        connection.checked = True

    def _place_of(self, connection: Connection) -> Place:
        return next(place for place in self._places if place.connection is connection)

    def _drop(self, connection: Connection) -> None:
        self._place_of(connection).connection = None
        self._poller.unregister(connection)
        del self._by_descriptor[connection.fileno()]
        connection.close()

    def _lose(self, connection: Connection, error: ServerClosedError) -> None:
        place = self._place_of(connection)
        logger.warning("lost %s: %s", connection.endpoint, error)
        place.next_try = time.monotonic()
        place.give_up = time.monotonic() + self._reconnect_s
        self._drop(connection)

    def _explain_missing(self, place: Place) -> None:
        if place.met_before:
            logger.error(
                "%s vanished without EXIT and did not come back within %g s (--reconnect)",
                place.endpoint,
                self._reconnect_s,
            )
        else:
            logger.error(
                "nobody listens at %s: start `i-pi input.xml`, and compare its <address> (and "
                "<port>) with this one; a socket file left by a killed server must be removed",
                place.endpoint,
            )
