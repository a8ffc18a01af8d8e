"""A small process that closes the sockets of a driver that was killed, as the driver would have.

When a process dies with unread bytes in a socket, the other end gets a reset instead of an end of
stream; i-PI (up to 3.3) does not catch it, its polling thread dies, and the run hangs for good. The
witness holds a duplicate of every connection. While the driver lives it does nothing. When the
driver dies, by whatever signal, the witness says end of stream, reads what i-PI still sends and
throws it away: i-PI drops the client and gives its work to the next.

Run as a program, with the descriptor of the control socket as its argument, it uses only the
standard library and some 10 MB of memory.
"""

import contextlib
import select
import signal
import socket
import subprocess
import sys
import time

# i-PI notices an end of stream when it next looks at the client: within one step.
PATIENCE_S = 600.0
RECEIVE_BYTES = 1 << 16


class Witness:
    """The driver's end: starts the process and hands it every connection.

    Raises
    ------
    OSError
        If the process cannot be started.
    """

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            # A session of its own: a Ctrl-C in the terminal must not take the witness first.
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", __file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def watch(self, connection: socket.socket) -> None:
        """Hold a duplicate of a connection from now on."""
        socket.send_fds(self._control, [b"w"], [connection.fileno()])

    def close(self) -> None:
        """Let go of everything; the driver has closed its connections itself."""
        with contextlib.suppress(OSError):
            self._control.send(b"q")
        self._control.close()
        self._process.wait(10.0)


def main(control: socket.socket) -> None:
    """Collect descriptors until the driver ends, then close them gently if it was killed."""
    held: list[socket.socket] = []
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 1, 8)
        held += [socket.socket(fileno=descriptor) for descriptor in descriptors]
        if message == b"q":
            return
        if not message:
            break
        held = [sock for sock in held if not is_over(sock)]
    drain(held)


def is_over(sock: socket.socket) -> bool:
    """Whether both ends have closed a connection; forget it then."""
    poller = select.poll()
    poller.register(sock, 0)
    over = any(event & (select.POLLHUP | select.POLLERR) for _, event in poller.poll(0))
    if over:
        sock.close()
    return over


def drain(held: list[socket.socket]) -> None:
    """Say end of stream on every connection and read until the server has understood."""
    for sock in held:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_WR)
    end = time.monotonic() + PATIENCE_S
    while held and time.monotonic() < end:
        readable, _, _ = select.select(held, [], [], end - time.monotonic())
        for sock in readable:
            try:
                alive = bool(sock.recv(RECEIVE_BYTES))
            except OSError:
                alive = False
            if not alive:
                held.remove(sock)
                sock.close()


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    main(socket.socket(fileno=int(sys.argv[1])))
