"""Checkpoints: written beside the old one and moved over it, so that a kill leaves one whole."""

import json
import os
import pickle
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from densnet.errors import DataError, InputError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

RESTART = "delete it to start this training anew"
# Where files lie may change between a kill and the continuation; what they hold may not, see
# :func:`check_same_foundation`.
PLACES = ("output", "data", "basis", "initial_model", "runs")


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write atomically: complete on disk under another name first, then renamed."""
    temporary = path.with_name(path.name + ".part")
    with temporary.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def load_checkpoint(path: Path, advice: str = RESTART) -> dict[str, Any]:
    """Read a checkpoint; nothing in it is executed.

    Parameters
    ----------
    path : Path
    advice : str
        What to do if it cannot be read.

    Raises
    ------
    DataError
        If the file is truncated or not a checkpoint.
    """
    try:
        # Torch itself does not compare the checksums.
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise zipfile.BadZipFile(f"{damaged} is damaged")
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (
        RuntimeError,
        EOFError,
        pickle.UnpicklingError,
        zipfile.BadZipFile,
        zlib.error,
        OSError,
        ValueError,
    ) as error:
        # Torch's own message on a file of another kind advises to execute what is in it.
        reason = "it is none" if isinstance(error, pickle.UnpicklingError) else str(error)
        raise DataError(f"{path} is not a readable checkpoint: {reason}; {advice}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} holds a {type(content).__name__}, not a checkpoint")
    return content


def check_same_config(
    saved: dict[str, Any],
    config: "DataclassInstance",
    path: Path,
) -> None:
    """Refuse to continue a training under another configuration, wherever its files lie.

    A setting that the checkpoint does not know came with a later version; it counts as its default.

    Raises
    ------
    InputError
        If a setting other than the place of a file differs.
    """
    now = without(plain(config), PLACES)
    before = without(completed(saved, config), PLACES)
    changed = sorted(name for name in now if now[name] != before.get(name))
    if changed:
        raise InputError(
            f"{path} was written with other settings of {', '.join(changed)}; give another output "
            "folder, or delete the checkpoint"
        )


def check_same_foundation(
    saved: Mapping[str, str], foundation: Mapping[str, str], path: Path
) -> None:
    """Refuse to continue a training on other data, another basis or another initial model.

    Parameters
    ----------
    saved, foundation : mapping of str to str
        What the checkpoint was written with, and what there is now: a hash of each thing. Things
        that only one of them names are not compared: checkpoints of earlier versions name fewer.
    path : Path
        Of the checkpoint.

    Raises
    ------
    InputError
        If a hash differs.
    """
    changed = [name for name in foundation if saved.get(name, foundation[name]) != foundation[name]]
    if changed:
        raise InputError(
            f"{path} was written with {' and '.join(f'another {name}' for name in changed)}; give "
            "another output folder, or delete the checkpoint"
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
