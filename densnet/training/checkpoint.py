"""Checkpoints: written beside the old one and moved over it, so that a kill leaves one whole."""

import json
import os
import pickle
import zipfile
from dataclasses import MISSING, asdict, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from densnet.errors import DataError, InputError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

# Where files lie may change between a kill and the continuation.
PLACES = ("output", "data")


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


def check_same_config(
    saved: dict[str, Any],
    config: "DataclassInstance",
    path: Path,
    *,
    ignored: tuple[str, ...] = PLACES,
) -> None:
    """Refuse to continue a training under another configuration.

    A setting that the checkpoint does not know came with a later version; it counts as its default.

    Raises
    ------
    InputError
        If a setting that is not ignored differs.
    """
    now = without(plain(config), ignored)
    before = without(completed(saved, config), ignored)
    changed = sorted(name for name in now if now[name] != before.get(name))
    if changed:
        raise InputError(
            f"{path} was written with other settings of {', '.join(changed)}; give another output "
            "folder, or delete the checkpoint"
        )


def without(content: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Return a nested dictionary without some keys, at any depth."""
    return {
        name: without(value, names) if isinstance(value, dict) else value
        for name, value in content.items()
        if name not in names
    }


def completed(saved: dict[str, Any], config: "DataclassInstance") -> dict[str, Any]:
    """Return saved settings with the defaults of those that are not among them, at any depth."""
    result = dict(saved)
    for field in fields(config):
        value = getattr(config, field.name)
        if field.name in saved:
            if is_dataclass(value) and isinstance(saved[field.name], dict):
                result[field.name] = completed(saved[field.name], value)  # type: ignore[arg-type]
        elif field.default is not MISSING:
            result[field.name] = plain(field.default)
        elif field.default_factory is not MISSING:
            result[field.name] = plain(field.default_factory())
    return result


def plain(value: Any) -> Any:
    """Return settings as JSON gives them back."""
    content = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
    return json.loads(json.dumps(content, default=str, sort_keys=True))
