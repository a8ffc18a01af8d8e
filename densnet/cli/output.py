"""``--json FILE``: the numbers a verb prints, written for programs."""

import argparse
import json
import math
import os
import tempfile
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from densnet.errors import InputError


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """Give a verb the option ``--json FILE`` (``args.json``, a Path or None)."""
    parser.add_argument(
        "--json",
        type=Path,
        default=None,
        metavar="FILE",
        help="also write the numbers to FILE as JSON",
    )


def write_json(path: str | Path | None, payload: Any) -> None:
    """Write a report as JSON: the whole file or nothing, also when the program is killed.

    Parameters
    ----------
    path : str, Path or None
        None (the option was not given) writes nothing.
    payload
        Mappings, sequences, dataclasses, NumPy arrays and scalars, paths, numbers, strings. JSON
        has no NaN or infinity: they are written as ``null``.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    if path is None:
        return
    path = Path(path)
    text = json.dumps(_to_plain(payload), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        try:
            with open(handle, "w", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            # mkstemp makes the file private; a report is as readable as any other new file.
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InputError(f"cannot write the JSON report {path}: {error.strerror}") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _to_plain(value: Any) -> Any:
    """Reduce a value to what the json module writes."""
    if isinstance(value, np.generic | np.ndarray):
        return _to_plain(value.tolist())
    if isinstance(value, bool | int | str) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Path):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return _to_plain(asdict(value))
    if isinstance(value, dict):
        return {str(key): _to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_to_plain(item) for item in value]
    raise TypeError(f"a report cannot hold a {type(value).__name__}")
