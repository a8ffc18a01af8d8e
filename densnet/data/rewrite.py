"""Replace whole columns of a file of frames, in one step, and write compact copies."""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from densnet.data.journal import Journal
from densnet.data.schema import REQUIRED, column_named
from densnet.data.store import open_file
from densnet.data.writer import create_column, encode_attribute, replace_file
from densnet.errors import InputError

# What a compact copy rounds.
SINGLE_PRECISION = ("coefficients", "coefficient_response", "forces", "orbitals")


def replace_columns(
    path: str | Path,
    frames: NDArray[np.int64],
    columns: Mapping[str, NDArray[np.float64]],
    attributes: Mapping[str, object],
) -> None:
    """Set columns of some frames and blank them in all others.

    Parameters
    ----------
    path : str or Path
    frames : (n,) int64
        Identities of the frames, in the order of the values.
    columns : mapping of name to (n, ...) float64
    attributes : mapping
        Attributes to set at the same time, such as the basis of the coefficients.

    Raises
    ------
    InputError
        If a frame is not in the file, or another process is writing it.
    """
    path = Path(path)
    journal = Journal(path.with_name(path.name + ".journal"))
    try:
        temporary = path.with_name(path.name + ".new")
        with open_file(path):
            shutil.copyfile(path, temporary)
        with h5py.File(temporary, "r+") as file:
            row_of = {int(identity): row for row, identity in enumerate(file["frame"][:])}
            unknown = [int(i) for i in frames if int(i) not in row_of]
            if unknown:
                raise InputError(f"{path} has no frame {unknown[0]}")
            rows = np.array([row_of[int(i)] for i in frames], dtype=np.int64)
            for name, values in columns.items():
                if name in file:
                    del file[name]
                dataset = create_column(file, column_named(name), len(row_of), values.shape[1:])
                block = dataset[:]
                block[rows] = values
                dataset[:] = block
            for key, value in attributes.items():
                file.attrs[key] = encode_attribute(value)
        replace_file(temporary, path)
    finally:
        journal.close()


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
                compression="gzip",
                compression_opts=9,
                shuffle=True,
            )
            for key, value in source[name].attrs.items():
                dataset.attrs[key] = value
    replace_file(temporary, output)
    return output.stat().st_size
