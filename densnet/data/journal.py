"""An append-only journal that survives being killed in the middle of a write.

A record is a header (magic, length, CRC-32) and a payload of named arrays in NumPy's npz format.
A record counts when it is whole; a torn one at the end, which a killed process leaves, is cut off
the next time the journal is opened for writing.
"""

import fcntl
import io
import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from densnet.errors import InputError

MAGIC = b"DNSJ"
HEADER = struct.Struct("<4sQI")

Record = dict[str, NDArray[np.generic]]


class Journal:
    """A file of records, locked against a second writer while it is open.

    Raises
    ------
    InputError
        If another process has the journal open.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = open_locked(path)
        self._records: list[Record] = []
        self.reload()

    @property
    def records(self) -> list[Record]:
        """Whole records that were in the journal when it was opened, or appended since."""
        return list(self._records)

    def reload(self) -> None:
        """Read the records from the file again, cutting off a torn one.

        An append that an exception interrupted (Ctrl-C) may or may not have reached the file.
        """
        self._records, end = read_records(self.path)
        self._file.truncate(end)

    def append(self, record: Mapping[str, NDArray[np.generic]]) -> None:
        """Write one record and force it to the disk."""
        buffer = io.BytesIO()
        np.savez(buffer, **record)  # type: ignore[arg-type]
        payload = buffer.getvalue()
        self._file.write(HEADER.pack(MAGIC, len(payload), zlib.crc32(payload)) + payload)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._records.append(dict(record))

    def clear(self) -> None:
        """Empty the journal, once its records are safe elsewhere."""
        self._file.truncate(0)
        os.fsync(self._file.fileno())
        self._records = []

    def close(self) -> None:
        """Release the lock; an empty journal is removed."""
        if not self._records and not self._file.closed:
            self.path.unlink(missing_ok=True)
        self._file.close()


def open_locked(path: Path) -> BinaryIO:
    """Open a file for appending, alone; it may be removed by the process that held it before."""
    while True:
        file = open(path, "a+b")  # noqa: SIM115 (closed by Journal.close)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.close()
            raise InputError(
                f"{path}: another process is writing these frames; wait for it or stop it"
            ) from error
        if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
            return file
        file.close()


def read_records(path: Path) -> tuple[list[Record], int]:
    """Whole records of a journal, and the byte where the last one ends."""
    data = path.read_bytes() if path.exists() else b""
    records: list[Record] = []
    position = 0
    while position + HEADER.size <= len(data):
        magic, length, crc = HEADER.unpack_from(data, position)
        start = position + HEADER.size
        payload = data[start : start + length]
        if magic != MAGIC or len(payload) != length or zlib.crc32(payload) != crc:
            break
        with np.load(io.BytesIO(payload), allow_pickle=False) as arrays:
            records.append({name: arrays[name] for name in arrays.files})
        position = start + length
    return records, position
