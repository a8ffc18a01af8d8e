"""Append frames to an HDF5 file so that no crash can lose, double or corrupt one.

HDF5 cannot be updated in place safely: a process killed in the middle of a flush leaves a file that
nothing opens. So a new frame goes to a journal beside the file first. Every `commit_every` frames
the journal is added to a copy of the file, which then replaces the file in one step. The file on
disk is therefore whole at any moment and can be read while the run goes on; opening the writer
again after a crash picks up the journal.
"""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from densnet.data.journal import Journal, Record
from densnet.data.schema import (
    COLUMNS,
    FORMAT_NAME,
    FORMAT_VERSION,
    Column,
    check_row,
)
from densnet.data.store import looks_like_json, open_file, read_failures
from densnet.errors import InputError

CHUNK_FRAMES = 16
FAILURE = "failure"


class FrameWriter:
    """Crash-safe writer of one file of frames; a context manager.

    Parameters
    ----------
    path : Path
        The HDF5 file. If it exists, frames are added to it, after a check that it holds the same
        atoms and the same attributes.
    numbers : (n_atoms,) int
    attributes : mapping
        What all frames share, such as the level; values are numbers, text or JSON-able structures.
    provenance : mapping
        How the file came about (versions, seeds, sources): kept from the first writer, not
        compared.
    commit_every : int
        Frames in the journal before it is merged into the file.

    Raises
    ------
    InputError
        If the existing file is of another molecule or level, or another process is writing it.
    """

    def __init__(
        self,
        path: str | Path,
        numbers: ArrayLike,
        attributes: Mapping[str, object],
        *,
        provenance: Mapping[str, object] | None = None,
        commit_every: int = 32,
    ) -> None:
        self.path = Path(path)
        self.numbers = np.asarray(numbers, dtype=np.int64)
        self.attributes = {key: encode_attribute(value) for key, value in attributes.items()}
        self.provenance = encode_attribute(dict(provenance or {}))
        self.commit_every = commit_every
        self.journal = Journal(self.path.with_name(self.path.name + ".journal"))
        try:
            if self.path.exists():
                self._check_existing()
            else:
                self._create()
            self.frames, self.failures, self.shapes = self._known()
            self.commit()
        except BaseException:
            self.journal.close()
            raise

    def __enter__(self) -> "FrameWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def sources(self) -> dict[str, int]:
        """Smallest frame of each source in the file, for numbering imports."""
        self.commit()
        with open_file(self.path) as file:
            if "source" not in file:
                return {}
            names = file["source"].asstr()[:].tolist()
            frames = file["frame"][:].tolist()
        smallest: dict[str, int] = {}
        for name, frame in zip(names, frames, strict=True):
            smallest[name] = min(frame, smallest.get(name, frame))
        return smallest

    def stored_positions(self) -> dict[int, NDArray[np.float64]]:
        """Positions (n_atoms, 3), bohr, of every frame that the file holds, by its identity."""
        self.commit()
        with open_file(self.path) as file:
            return dict(zip(file["frame"][:].tolist(), file["positions"][:], strict=True))

    def append(self, values: Mapping[str, object]) -> None:
        """Add one frame; columns are those of :data:`densnet.data.schema.COLUMNS`.

        Raises
        ------
        InputError
            If a column is unknown, missing or misshapen, or the frame is in the file already.
            Nothing is written then.
        """
        row = check_row(values, len(self.numbers))
        identity = int(row["frame"])
        if identity in self.frames:
            raise InputError(f"{self.path}: frame {identity} is already there")
        for name, value in row.items():
            if value.shape != self.shapes.get(name, value.shape):
                raise InputError(
                    f"{self.path}: {name} of frame {identity} has shape {value.shape}, of the "
                    f"frames before {self.shapes[name]}; one file holds one molecule in one basis"
                )
        self.journal.append(row)
        self.shapes |= {name: value.shape for name, value in row.items()}
        self.frames.add(identity)
        self.failures.pop(identity, None)
        if len(self.journal.records) >= self.commit_every:
            self.commit()

    def record_failure(self, frame: int, message: str) -> None:
        """Keep the identity of a frame that could not be computed, and why."""
        note = np.frombuffer(message.encode(), dtype=np.uint8)
        self.journal.append({"frame": np.int64(frame), FAILURE: note})  # type: ignore[dict-item]
        self.failures[frame] = message

    def commit(self) -> None:
        """Merge the journal into the file."""
        if not self.journal.records:
            return
        temporary = self.path.with_name(self.path.name + ".new")
        shutil.copyfile(self.path, temporary)
        with h5py.File(temporary, "r+") as file:
            known = set(file["frame"][:].tolist())
            rows = [
                row
                for row in self.journal.records
                if FAILURE not in row and int(row["frame"]) not in known
            ]
            append_rows(file, rows, len(self.numbers))
            write_failures(file, self.failures)
        replace_file(temporary, self.path)
        self.journal.clear()

    def close(self) -> None:
        """Commit and release the lock."""
        try:
            self.journal.reload()
            self.commit()
        finally:
            self.journal.close()

    def _create(self) -> None:
        temporary = self.path.with_name(self.path.name + ".new")
        with h5py.File(temporary, "w") as file:
            file.attrs["format"] = FORMAT_NAME
            file.attrs["version"] = FORMAT_VERSION
            file.attrs["provenance"] = self.provenance
            for key, value in self.attributes.items():
                file.attrs[key] = value
            file["numbers"] = self.numbers
            append_rows(file, [], len(self.numbers))
            write_failures(file, {})
        replace_file(temporary, self.path)

    def _check_existing(self) -> None:
        with open_file(self.path) as file:
            if not np.array_equal(file["numbers"][:], self.numbers):
                raise InputError(
                    f"{self.path} holds atoms {file['numbers'][:].tolist()}, not "
                    f"{self.numbers.tolist()}; give another output file"
                )
            for key, value in self.attributes.items():
                if key in file.attrs and file.attrs[key] != value:
                    raise InputError(
                        f"{self.path} was made with {key} = {file.attrs[key]}, now it is {value}; "
                        "give another output file"
                    )

    def _known(self) -> tuple[set[int], dict[int, str], dict[str, tuple[int, ...]]]:
        """Frames, failures and shapes of the file and of the journal that a crash left behind."""
        with open_file(self.path) as file:
            frames = set(file["frame"][:].tolist())
            failures = read_failures(file)
            shapes = {name: file[name].shape[1:] for name in COLUMNS if name in file}
        for row in self.journal.records:
            identity = int(row["frame"])
            if FAILURE in row:
                failures[identity] = np.asarray(row[FAILURE], dtype=np.uint8).tobytes().decode()
            else:
                frames.add(identity)
                failures.pop(identity, None)
                shapes = {name: value.shape for name, value in row.items()} | shapes
        return frames, failures, shapes


def append_rows(file: h5py.File, rows: list[Record], n_atoms: int) -> None:
    """Add rows to every column; a column that a row lacks is filled with its absent value."""
    before = int(file.attrs.get("n_frames", 0))
    names = set(file) & set(COLUMNS)
    names |= {name for row in rows for name in row} | {"frame", "positions"}
    for name in COLUMNS:
        if name not in names:
            continue
        column = COLUMNS[name]
        present = [row[name] for row in rows if name in row]
        if name not in file:
            shape = present[0].shape if present else sizes_of(column, n_atoms)
            create_column(file, column, before, shape)
        dataset = file[name]
        for value in present:
            if value.shape != dataset.shape[1:]:
                raise InputError(
                    f"{name} of a frame has shape {value.shape}; the file holds {dataset.shape[1:]}"
                )
        if not rows:
            continue
        block = absent_values(column, (len(rows), *dataset.shape[1:]))
        for i, row in enumerate(rows):
            if name in row:
                block[i] = row[name]
        dataset.resize(before + len(rows), axis=0)
        dataset[before:] = block
    file.attrs["n_frames"] = before + len(rows)


def create_column(
    file: h5py.File, column: Column, n_frames: int, shape: tuple[int, ...]
) -> h5py.Dataset:
    """Add a dataset for a column, filled with its absent value for the frames already there."""
    dataset = file.create_dataset(
        column.name,
        data=absent_values(column, (n_frames, *shape)),
        maxshape=(None, *shape),
        chunks=(CHUNK_FRAMES, *shape),
        compression="gzip",
        compression_opts=4,
        shuffle=True,
    )
    dataset.attrs["unit"] = column.unit
    dataset.attrs["meaning"] = column.meaning
    return dataset


def absent_values(column: Column, shape: tuple[int, ...]) -> NDArray[np.generic]:
    """Array of a column's absent value."""
    if column.kind == "text":
        return np.zeros(shape, dtype=column.dtype)
    return np.full(shape, -1 if column.kind == "integer" else np.nan, dtype=column.dtype)


def sizes_of(column: Column, n_atoms: int) -> tuple[int, ...]:
    """Shape of a column whose sizes are all known from the number of atoms."""
    return tuple(n_atoms if size == "atoms" else int(size) for size in column.shape)


def write_failures(file: h5py.File, failures: Mapping[int, str]) -> None:
    """Replace the table of failed frames."""
    if "failures" in file:
        del file["failures"]
    group = file.create_group("failures")
    group["frame"] = np.array(sorted(failures), dtype=np.int64)
    group.create_dataset(
        "message", data=[failures[i] for i in sorted(failures)], dtype=h5py.string_dtype()
    )


def encode_attribute(value: object) -> str | int | float:
    """Numbers and text as they are, structures as JSON, and text that looks like JSON, too."""
    if isinstance(value, (int, float)) or (isinstance(value, str) and not looks_like_json(value)):
        return value
    return json.dumps(value, sort_keys=True)


def replace_file(temporary: Path, path: Path) -> None:
    """Put a finished file in place of another, in one step that a crash cannot split."""
    descriptor = os.open(temporary, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(temporary, path)
