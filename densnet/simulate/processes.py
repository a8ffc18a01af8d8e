"""Starts i-PI and drivers, and keeps them alive."""

import contextlib
import logging
import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from densnet.errors import SimulationError
from densnet.programs import installed_program
from ipi_driver.connection import SOCKETS_PREFIX

logger = logging.getLogger(__name__)

SERVER_LOG = "i-pi.log"
DRIVER_LOG = "driver.log"
DRIVER_ERRORS = "driver.err"
# Drivers that die one after another before they have served a frame have a reason that another
# start does not cure.
MAX_EARLY_DEATHS = 5
SERVED = b"has been answered"
ERROR = " ERROR "
# i-PI's only thread that talks to drivers has ended with an exception; the rest waits for it.
HUNG = b"Exception in thread poll_"
# Statuses of densnet-driver that say: do not start me again (see ipi_driver.client.ExitCode).
FINAL_STATUSES = (2, 3, 5)
# i-PI looks for signals once a second, and finishes its step first.
STOP_TIMEOUT_S = 30.0


def remove_stale_socket(name: str, prefix: str = SOCKETS_PREFIX) -> None:
    """Remove the socket file of a server that was killed; i-PI would refuse to start.

    Raises
    ------
    SimulationError
        If a living server listens there.
    """
    path = prefix + name
    if not os.path.exists(path):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
    raise SimulationError(
        f"an i-PI server already listens at {path}: is this run still going? Stop it, or give the "
        "run another directory"
    )


def quiet_environment() -> dict[str, str]:
    """The environment of the children: one thread each, or small molecules run ten times slower."""
    return {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", **os.environ}


def _terminate(process: subprocess.Popen[bytes] | None) -> None:
    """Ask a process to end, wait, and kill it if it does not."""
    if process is None or process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    end = time.monotonic() + STOP_TIMEOUT_S
    while process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    if process.poll() is None:
        logger.warning("process %d did not stop in %g s", process.pid, STOP_TIMEOUT_S)
        process.kill()
        process.wait()


def _launch(command: Sequence[str], directory: Path, log_name: str) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own: Ctrl-C in the terminal is for us to pass on."""
    with open(directory / log_name, "ab") as log:
        return subprocess.Popen(
            command,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=quiet_environment(),
            start_new_session=True,
        )


@dataclass
class Server:
    """An i-PI process.

    Parameters
    ----------
    directory : Path
        Where the input lies and i-PI runs.
    input_name : str
        ``input.xml``, or ``RESTART`` to continue.
    socket_name : str
        Of the unix socket.
    program : str
        What is given the input.
    """

    directory: Path
    input_name: str
    socket_name: str
    program: str = "i-pi"
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _log_read: int = field(default=0, repr=False)

    def start(self) -> None:
        """Start it, after removing the socket of a dead one."""
        remove_stale_socket(self.socket_name)
        log_path = self.directory / SERVER_LOG
        self._log_read = log_path.stat().st_size if log_path.is_file() else 0
        command = [installed_program(self.program), self.input_name]
        self._process = _launch(command, self.directory, SERVER_LOG)

    def is_running(self) -> bool:
        """Whether it is still running.

        Raises
        ------
        SimulationError
            If it failed, with the last line of its log.
        """
        if self._process is None:
            return False
        status = self._process.poll()
        log = self.directory / SERVER_LOG
        if status:
            raise SimulationError(
                f"i-PI stopped with status {status}: {last_line(log)} (whole log: {log})"
            )
        if status is None and self._log_holds(HUNG):
            self._process.kill()
            raise SimulationError(
                f"i-PI's polling thread died and the run would have hung for ever; see {log}; "
                "--resume continues from the last checkpoint"
            )
        return status is None

    def _log_holds(self, words: bytes) -> bool:
        """Whether the log holds these words; only what is new is read."""
        path = self.directory / SERVER_LOG
        with open(path, "rb") as log:
            log.seek(self._log_read)
            new = log.read()
        # Words may be cut in two by the end of what was read.
        self._log_read += max(len(new) - len(words), 0)
        return words in new

    def stop(self) -> None:
        """End it so that it writes RESTART."""
        _terminate(self._process)
        with contextlib.suppress(SimulationError):
            remove_stale_socket(self.socket_name)


@dataclass
class DriverProcess:
    """A driver that is replaced when it dies.

    Parameters
    ----------
    directory : Path
        Where it runs and logs.
    command : tuple of str
    restarts : int
        Drivers that were replaced so far.
    """

    directory: Path
    command: tuple[str, ...]
    restarts: int = 0
    _early_deaths: int = field(default=0, repr=False)
    _log_offset: int = field(default=0, repr=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start it."""
        log_path = self.directory / DRIVER_LOG
        self._log_offset = log_path.stat().st_size if log_path.is_file() else 0
        self._process = _launch(self.command, self.directory, DRIVER_ERRORS)

    def keep_alive(self) -> None:
        """Start another if it died.

        Raises
        ------
        SimulationError
            If it refused the run, or dies again and again before it has served a frame.
        """
        status = 0 if self._process is None else self._process.poll()
        if status is None or status == 0:
            return
        self._early_deaths = 0 if self._has_served() else self._early_deaths + 1
        if status in FINAL_STATUSES or self._early_deaths >= MAX_EARLY_DEATHS:
            raise SimulationError(f"the driver stopped with status {status}: {self._reason()}")
        self.restarts += 1
        logger.warning("the driver died (status %d); starting another", status)
        self.start()

    def _reason(self) -> str:
        """What it gave as its reason, which other lines may follow; else its last line."""
        log = self.directory / DRIVER_LOG
        if log.is_file():
            lines = log.read_bytes()[self._log_offset :].decode("utf-8", "replace").split("\n")
            reasons = [line for line in lines if ERROR in line]
            if reasons:
                return reasons[-1].partition(ERROR)[2].strip()
        return last_line(log, self.directory / DRIVER_ERRORS)

    def _has_served(self) -> bool:
        """Whether the last one has answered a frame."""
        path = self.directory / DRIVER_LOG
        return path.is_file() and SERVED in path.read_bytes()[self._log_offset :]

    def wait(self, timeout_s: float = 5.0) -> None:
        """Let it end by itself, since its server has ended."""
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout_s)
        self.stop()

    def stop(self) -> None:
        """End it."""
        _terminate(self._process)


def last_line(*paths: Path) -> str:
    """The last line that says something in the first file that has one."""
    for path in paths:
        if path.is_file():
            lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
            for line in reversed(lines):
                if line.strip():
                    return line.strip()
    return "no message"
