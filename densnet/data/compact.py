"""Compact copies of files of frames, small enough for git."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import h5py
import numpy as np

from densnet.data.schema import REQUIRED, column_named
from densnet.data.store import open_file, read_failures
from densnet.data.writer import replace_file, write_failures
from densnet.errors import InputError

# What a compact copy rounds.
SINGLE_PRECISION = ("coefficients", "coefficient_response", "forces", "orbitals")


def write_compact_copy(
    path: str | Path,
    output: str | Path,
    names: Iterable[str],
    *,
    single_precision: Iterable[str] = SINGLE_PRECISION,
    only_tag: Mapping[str, str] | None = None,
) -> int:
    """Write a small copy with only some columns; return its size in bytes.

    Parameters
    ----------
    path, output : str or Path
    names : iterable of str
        Columns to keep, besides those that every file has.
    single_precision : iterable of str
        Columns stored as float32: relative rounding 6e-8. Energies and positions stay in float64,
        where that would be 1e-5 hartree.
    only_tag : mapping of column to tag
        Columns that only frames of one tag keep, such as ``{"orbitals": "test"}``.

    Raises
    ------
    InputError
        If the file lacks a column.
    """
    path, output = Path(path), Path(output)
    rounded = set(single_precision)
    temporary = output.with_name(output.name + ".new")
    with open_file(path) as source, h5py.File(temporary, "w") as target:
        for key, value in source.attrs.items():
            target.attrs[key] = value
        target["numbers"] = source["numbers"][:]
        order = np.argsort(source["frame"][:])
        tags = source["tag"][:][order]
        for name in dict.fromkeys((*REQUIRED, *names)):
            if name not in source:
                raise InputError(f"{path} has no {column_named(name).name} to copy")
            values = source[name][:][order]
            if only_tag is not None and name in only_tag:
                values[tags != only_tag[name].encode()] = np.nan
            dataset = target.create_dataset(
                name,
                data=values.astype(np.float32) if name in rounded else values,
                maxshape=(None, *values.shape[1:]),
                compression="gzip",
                compression_opts=9,
                shuffle=True,
            )
            for key, value in source[name].attrs.items():
                dataset.attrs[key] = value
        write_failures(target, read_failures(source))
    replace_file(temporary, output)
    return output.stat().st_size
