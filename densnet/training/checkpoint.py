"""Checkpoints: written beside the old one and moved over it, so that a kill leaves one whole."""

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from densnet.errors import DataError


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write atomically: complete on disk under another name first, then renamed."""
    temporary = path.with_name(path.name + ".part")
    with temporary.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint; nothing in it is executed.

    Raises
    ------
    DataError
        If the file is truncated or not a checkpoint.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile, OSError) as error:
        raise DataError(
            f"{path} is not a readable checkpoint ({error}); delete it to start this training anew"
        ) from error
    if not isinstance(content, dict):
        raise DataError(f"{path} holds a {type(content).__name__}, not a checkpoint")
    return content
