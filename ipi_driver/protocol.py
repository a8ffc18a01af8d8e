"""The bytes of the i-PI socket protocol, without any input or output.

A :class:`Decoder` is fed whatever a socket delivered and yields whole messages; the ``encode_*``
functions build whole replies. Nothing here knows a socket, so any byte stream can be tried on it.

Layout (native int32 and float64, atomic units; headers are 12 ASCII characters, blank-padded)::

    STATUS                                  -> NEEDINIT | READY | HAVEDATA
    INIT     replica:i4 length:i4 text
    POSDATA  h:9f8 h_inverse:9f8 n:i4 positions:3n f8                 (one structure)
    POSDATA  n:i4 batch x (h:9f8 h_inverse:9f8) batch x positions     (after INIT batch_size:N)
    POSDATA  n:i4 [6 x (length:i4 name), first time only]             (shared memory)
    GETFORCE                                -> FORCEREADY ...
    EXIT

Lattice vectors travel as the columns of ``h``; :class:`PositionData` holds them as rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from densnet.errors import AtomOrderError, ProtocolError

HEADER_LENGTH = 12
# Names of the shared-memory segments of i-PI, in the order in which they are announced.
SEGMENT_KINDS = ("pos", "h", "ih", "pot", "force", "vir")

# An INIT text holds a few options; a segment name a few words. More is not i-PI.
MAX_INIT_BYTES = 1 << 20
MAX_SEGMENT_NAME_BYTES = 255
# Nothing larger is buffered for one message: 32 MiB are 1024 beads of 1365 atoms.
MAX_POSITION_BYTES = 32 << 20


class Signal(Enum):
    """Messages that carry no data."""

    STATUS = "STATUS"
    GETFORCE = "GETFORCE"
    EXIT = "EXIT"


@dataclass(frozen=True)
class Init:
    """The options that the server sends once after connecting.

    Parameters
    ----------
    replica : int
        Index of the bead that the first request is for.
    text : str
        The ``<parameters>`` of the force field as i-PI writes them, ``key : value , ...``.
    """

    replica: int
    text: str

    @property
    def parameters(self) -> dict[str, str]:
        """The options of the text, blanks trimmed, keys as written."""
        pairs = (token.partition(":") for token in self.text.split(","))
        return {key.strip(): value.strip() for key, colon, value in pairs if colon and key.strip()}

    @property
    def batch_size(self) -> int:
        """Number of structures in each POSDATA, 1 unless announced.

        Raises
        ------
        ProtocolError
            If the announced size is not a positive integer.
        """
        written = self.parameters.get("batch_size", "1")
        if not written.isdecimal() or not 1 <= int(written) <= 1 << 16:
            raise ProtocolError(
                f"INIT announces batch_size {written!r}; expected an integer from 1 to 65536"
            )
        return int(written)


@dataclass(frozen=True)
class PositionData:
    """Structures to evaluate, in atomic units.

    Parameters
    ----------
    cells : (n_batch, 3, 3) float64, bohr
        Rows are the lattice vectors.
    inverse_cells : (n_batch, 3, 3) float64, 1/bohr
        The inverse of the cell whose columns are the vectors, as sent, transposed like `cells`.
    positions : (n_batch, n_atoms, 3) float64, bohr
    """

    cells: NDArray[np.float64]
    inverse_cells: NDArray[np.float64]
    positions: NDArray[np.float64]


@dataclass(frozen=True)
class SegmentData:
    """A request whose numbers lie in shared memory; `names` only the first time."""

    names: dict[str, str] | None


Message = Signal | Init | PositionData | SegmentData

_HEADERS = {
    name: name.ljust(HEADER_LENGTH).encode()
    for name in ("STATUS", "INIT", "POSDATA", "GETFORCE", "EXIT")
    + ("NEEDINIT", "READY", "HAVEDATA", "FORCEREADY")
}
_SIGNALS = {_HEADERS[signal.value]: signal for signal in Signal}


def encode_header(name: str) -> bytes:
    """Return the 12 bytes of a header such as ``READY``."""
    return _HEADERS[name]


def encode_forces(
    energies: NDArray[np.float64],
    forces: NDArray[np.float64],
    virials: NDArray[np.float64],
    extras: Sequence[bytes],
    *,
    batched: bool,
) -> bytes:
    """Build the answer to GETFORCE, header included.

    Parameters
    ----------
    energies : (n_batch,) float64, hartree
    forces : (n_batch, n_atoms, 3) float64, hartree/bohr
    virials : (n_batch, 3, 3) float64, hartree
        −dE/dε for a strain ε of positions and cell.
    extras : n_batch byte strings
        One JSON object a structure.
    batched : bool
        Whether INIT announced a batch size above 1: the layouts differ.
    """
    n_atoms = np.int32(forces.shape[1]).tobytes()
    parts = [_HEADERS["FORCEREADY"], energies.tobytes(), n_atoms]
    parts += [forces.tobytes(), virials.tobytes()]
    if not batched and len(extras) != 1:
        raise ProtocolError(f"{len(extras)} results for a request of one structure")
    return b"".join(parts) + frame_extras(extras)


def frame_extras(extras: Sequence[bytes]) -> bytes:
    """Join extras, each behind its length in bytes (int32)."""
    return b"".join(np.int32(len(text)).tobytes() + text for text in extras)


class Decoder:
    """Turns a stream of bytes into messages, checking every length before it is believed.

    Parameters
    ----------
    n_atoms : int or None
        Atoms of the model's molecule; POSDATA of another size is refused before it is read. None
        takes the size of the first POSDATA.
    shared_memory : bool
        Whether positions travel through shared memory (``mode='shm'`` of i-PI).
    """

    def __init__(self, n_atoms: int | None, *, shared_memory: bool = False) -> None:
        self.n_atoms = n_atoms
        self.batch_size = 1
        self._shared_memory = shared_memory
        self._segments_named = False
        self._buffer = bytearray()

    @property
    def waiting_bytes(self) -> int:
        """Bytes of an unfinished message."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Append bytes that the socket delivered."""
        self._buffer += data

    def next_message(self) -> Message | None:
        """Return the next whole message, or None until more bytes have been fed.

        Raises
        ------
        ProtocolError
            If the bytes cannot be an i-PI message.
        AtomOrderError
            If the server has another number of atoms than the model.
        """
        if len(self._buffer) < HEADER_LENGTH:
            return None
        header = bytes(self._buffer[:HEADER_LENGTH])
        if header in _SIGNALS:
            del self._buffer[:HEADER_LENGTH]
            return _SIGNALS[header]
        if header == _HEADERS["INIT"]:
            return self._next_init()
        if header == _HEADERS["POSDATA"]:
            if self._shared_memory:
                return self._next_segments()
            return self._next_batch() if self.batch_size > 1 else self._next_structure()
        raise ProtocolError(
            f"the server sent {header!r}, which is not a message of the i-PI protocol; is "
            "another program listening at this address?"
        )

    def _integer(self, offset: int) -> int | None:
        """The int32 at `offset`, or None while it has not arrived."""
        if len(self._buffer) < offset + 4:
            return None
        return int(np.frombuffer(self._buffer, np.int32, 1, offset)[0])

    def _take(self, n_bytes: int) -> bytes | None:
        """Remove and return the first `n_bytes`, or None while they have not all arrived."""
        if len(self._buffer) < n_bytes:
            return None
        taken = bytes(self._buffer[:n_bytes])
        del self._buffer[:n_bytes]
        return taken

    def _next_init(self) -> Init | None:
        length = self._integer(HEADER_LENGTH + 4)
        if length is None:
            return None
        if not 0 <= length <= MAX_INIT_BYTES:
            raise ProtocolError(
                f"INIT announces {length} bytes of options; expected at most {MAX_INIT_BYTES}"
            )
        data = self._take(HEADER_LENGTH + 8 + length)
        if data is None:
            return None
        replica = int(np.frombuffer(data, np.int32, 1, HEADER_LENGTH)[0])
        try:
            text = data[HEADER_LENGTH + 8 :].decode("utf-8")
        except UnicodeDecodeError as error:
            raise ProtocolError(f"the options of INIT are not UTF-8: {error}") from error
        init = Init(replica, text)
        self.batch_size = init.batch_size
        if self.n_atoms is not None:
            self._check_size(self.n_atoms)
        return init

    def _check_size(self, n_atoms: int) -> None:
        n_bytes = self.batch_size * (18 + 3 * n_atoms) * 8
        if n_atoms < 1 or n_bytes > MAX_POSITION_BYTES:
            raise ProtocolError(
                f"{self.batch_size} structures of {n_atoms} atoms would be {n_bytes} bytes a "
                f"message; at most {MAX_POSITION_BYTES} are accepted: lower batch_size"
            )

    def _check_atoms(self, n_atoms: int) -> None:
        if self.n_atoms is None:
            self._check_size(n_atoms)
            self.n_atoms = n_atoms
        if n_atoms != self.n_atoms:
            raise AtomOrderError(
                f"i-PI sends {n_atoms} atoms, the model is of a molecule of {self.n_atoms}: "
                "use the structure file of this molecule, or another model"
            )

    def _next_structure(self) -> PositionData | None:
        n_atoms = self._integer(HEADER_LENGTH + 144)
        if n_atoms is None:
            return None
        self._check_atoms(n_atoms)
        data = self._take(HEADER_LENGTH + 148 + 24 * n_atoms)
        if data is None:
            return None
        cells = np.frombuffer(data, np.float64, 18, HEADER_LENGTH)
        positions = np.frombuffer(data, np.float64, 3 * n_atoms, HEADER_LENGTH + 148)
        return _as_positions(cells, positions, 1, n_atoms)

    def _next_batch(self) -> PositionData | None:
        n_atoms = self._integer(HEADER_LENGTH)
        if n_atoms is None:
            return None
        self._check_atoms(n_atoms)
        n_batch = self.batch_size
        start = HEADER_LENGTH + 4
        data = self._take(start + n_batch * (18 + 3 * n_atoms) * 8)
        if data is None:
            return None
        cells = np.frombuffer(data, np.float64, 18 * n_batch, start)
        positions = np.frombuffer(data, np.float64, 3 * n_atoms * n_batch, start + 144 * n_batch)
        return _as_positions(cells, positions, n_batch, n_atoms)

    def _next_segments(self) -> SegmentData | None:
        n_atoms = self._integer(HEADER_LENGTH)
        if n_atoms is None:
            return None
        self._check_atoms(n_atoms)
        offset = HEADER_LENGTH + 4
        if self._segments_named:
            self._take(offset)
            return SegmentData(None)
        names = {}
        for kind in SEGMENT_KINDS:
            length = self._integer(offset)
            if length is None:
                return None
            if not 0 < length <= MAX_SEGMENT_NAME_BYTES:
                raise ProtocolError(f"the name of the shared segment {kind!r} has {length} bytes")
            name = bytes(self._buffer[offset + 4 : offset + 4 + length])
            if not name.isascii():
                raise ProtocolError(f"the name of the shared segment {kind!r} is {name!r}")
            names[kind] = name.decode("ascii")
            offset += 4 + length
        if self._take(offset) is None:
            return None
        self._segments_named = True
        return SegmentData(names)


def _as_positions(
    cells: NDArray[np.float64], positions: NDArray[np.float64], n_batch: int, n_atoms: int
) -> PositionData:
    """Shape the numbers of POSDATA, lattice vectors from columns to rows."""
    both = cells.reshape(n_batch, 2, 3, 3).transpose(0, 1, 3, 2)
    return PositionData(both[:, 0], both[:, 1], positions.reshape(n_batch, n_atoms, 3))
