"""Replace whole columns of a file of frames, in one step."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from densnet.data.journal import Journal
from densnet.data.schema import column_named
from densnet.data.store import open_file
from densnet.data.writer import create_column, encode_attribute, replace_file
from densnet.errors import InputError


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
