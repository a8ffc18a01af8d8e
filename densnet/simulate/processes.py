"""Starts i-PI and the driver, and keeps the pair alive."""

import contextlib
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from densnet.errors import SimulationError

logger = logging.getLogger(__name__)

SOCKETS_PREFIX = "/tmp/ipi_"
DRIVER_LOG = "driver.log"
DRIVER_ERRORS = "driver.err"
# Drivers that die one after another before they have served a frame have a reason that another
# start does not cure.
MAX_EARLY_DEATHS = 5
SERVED = b"the first frame of"
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


def find_program(name: str) -> str:
    """Path of an installed program, looked for beside this Python first.

    Raises
    ------
    SimulationError
        If it is not installed.
    """
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.is_file() else shutil.which(name)
    if found is None:
        raise SimulationError(f"the program {name} is not installed: pip install densnet")
    return found


@dataclass
class Pair:
    """i-PI in a stage directory and the driver that serves it.

    Parameters
    ----------
    directory : Path
        Where the input lies and i-PI runs.
    input_name : str
        ``input.xml``, or ``RESTART`` to continue.
    driver_command : tuple of str
    socket_name : str
        Of the unix socket; empty for TCP.
    server_program : str
        What is given the input.
    restarts : int
        Drivers that were replaced so far.
    """

    directory: Path
    input_name: str
    driver_command: tuple[str, ...]
    socket_name: str
    server_program: str = "i-pi"
    restarts: int = 0
    _early_deaths: int = field(default=0, repr=False)
    _log_offset: int = field(default=0, repr=False)
    _server: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _driver: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start both. Ctrl-C in the terminal does not reach them: they are told by us."""
        if self.socket_name:
            remove_stale_socket(self.socket_name)
        with open(self.directory / "i-pi.log", "ab") as log:
            self._server = subprocess.Popen(
                [find_program(self.server_program), self.input_name],
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=quiet_environment(),
                start_new_session=True,
            )
        self._start_driver()

    def _start_driver(self) -> None:
        log_path = self.directory / DRIVER_LOG
        self._log_offset = log_path.stat().st_size if log_path.is_file() else 0
        with open(self.directory / DRIVER_ERRORS, "ab") as log:
            self._driver = subprocess.Popen(
                self.driver_command,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=quiet_environment(),
                start_new_session=True,
            )

    def poll(self) -> bool:
        """Look after the pair; whether i-PI is still running.

        Raises
        ------
        SimulationError
            If i-PI failed, or the driver refused the run, with the line that says why.
        """
        if self._server is None or self._driver is None:
            return False
        status = self._server.poll()
        if status is not None:
            self._wait_for_driver()
            if status != 0:
                raise SimulationError(
                    f"i-PI stopped with status {status}: {last_line(self.directory / 'i-pi.log')} "
                    f"(whole log: {self.directory / 'i-pi.log'})"
                )
            return False
        driver_status = self._driver.poll()
        if driver_status is None or driver_status == 0:
            return True
        self._early_deaths = 0 if self._driver_has_served() else self._early_deaths + 1
        if driver_status in FINAL_STATUSES or self._early_deaths >= MAX_EARLY_DEATHS:
            self.stop()
            raise SimulationError(
                f"the driver stopped with status {driver_status}: "
                f"{last_line(self.directory / DRIVER_LOG, self.directory / DRIVER_ERRORS)}"
            )
        self.restarts += 1
        logger.warning("the driver died (status %d); starting another", driver_status)
        self._start_driver()
        return True

    def _driver_has_served(self) -> bool:
        """Whether the last driver got as far as checking a first frame."""
        path = self.directory / DRIVER_LOG
        return path.is_file() and SERVED in path.read_bytes()[self._log_offset :]

    def _wait_for_driver(self) -> None:
        if self._driver is None:
            return
        try:
            self._driver.wait(5.0)
        except subprocess.TimeoutExpired:
            self._driver.terminate()
            self._driver.wait(5.0)

    def stop(self) -> None:
        """End i-PI so that it writes RESTART, then the driver."""
        for process in (self._server, self._driver):
            if process is None or process.poll() is not None:
                continue
            process.send_signal(signal.SIGTERM)
            end = time.monotonic() + STOP_TIMEOUT_S
            while process.poll() is None and time.monotonic() < end:
                time.sleep(0.05)
            if process.poll() is None:
                logger.warning("process %d did not stop in %g s", process.pid, STOP_TIMEOUT_S)
                process.kill()
                process.wait()
        if self.socket_name:
            with contextlib.suppress(SimulationError):
                remove_stale_socket(self.socket_name)


def last_line(*paths: Path) -> str:
    """The last line that says something in the first file that has one."""
    for path in paths:
        if path.is_file():
            lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
            for line in reversed(lines):
                if line.strip():
                    return line.strip()
    return "no message"
