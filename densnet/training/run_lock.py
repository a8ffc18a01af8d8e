"""One training at a time in a folder."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from densnet.errors import InputError

LOCK: Final = "train.lock"


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Keep other trainings out of a folder, which is made if it does not exist.

    The lock belongs to the open file and goes with the process, however that ends; the file, which
    names the process, stays.

    Raises
    ------
    InputError
        If another process trains there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / LOCK, "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            owner = file.read().strip() or "another process"
            raise InputError(
                f"{folder}: {owner} is training there; wait for it, stop it, or give another "
                "output folder"
            ) from error
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield
