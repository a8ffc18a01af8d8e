"""Read files of frames, strictly: what was asked for is there and finite, or it is an error."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from densnet.data.schema import COLUMNS, FORMAT_NAME, FORMAT_VERSION, REQUIRED, column_named
from densnet.errors import DataError, InputError, MissingLabelError


@dataclass(frozen=True, eq=False)
class Frames:
    """Frames of one molecule at one level, in atomic units.

    Parameters
    ----------
    path : Path
        Where they were read from.
    numbers : (n_atoms,) int64
    columns : mapping of name to array
        First axis is the frame; see :mod:`densnet.data.schema`. Only the columns of the file.
    attributes : mapping
        Level and provenance; `basis_name` and `basis_sha256` belong to `coefficients`.
    """

    path: Path
    numbers: NDArray[np.int64]
    columns: Mapping[str, NDArray[Any]]
    attributes: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.columns["positions"])

    def __getitem__(self, name: str) -> NDArray[Any]:
        """One column; MissingLabelError if the file does not hold it."""
        column_named(name)
        if name not in self.columns:
            raise MissingLabelError(
                f"{self.path} has no {name}; it holds {', '.join(self.columns)}"
            )
        return self.columns[name]

    @property
    def positions(self) -> NDArray[np.float64]:
        """(n_frames, n_atoms, 3) float64, bohr."""
        return self["positions"]

    @property
    def energy(self) -> NDArray[np.float64]:
        """(n_frames,) float64, hartree."""
        return self["energy"]

    @property
    def forces(self) -> NDArray[np.float64]:
        """(n_frames, n_atoms, 3) float64, hartree/bohr."""
        return self["forces"]

    @property
    def dipole(self) -> NDArray[np.float64]:
        """(n_frames, 3) float64, e·bohr."""
        return self["dipole"]

    @property
    def polarizability(self) -> NDArray[np.float64]:
        """(n_frames, 3, 3) float64, bohr³."""
        return self["polarizability"]

    @property
    def coefficients(self) -> NDArray[np.float64]:
        """(n_frames, n_functions) float64: Δρ in the basis named in `attributes`."""
        return self["coefficients"]

    @property
    def temperature(self) -> NDArray[np.float64]:
        """(n_frames,) float64, kelvin, of the sampling."""
        return self["temperature"]

    @property
    def tag(self) -> NDArray[np.str_]:
        """(n_frames,) text: train, validation or test."""
        return self["tag"].astype("U")

    def subset(self, index: NDArray[Any]) -> "Frames":
        """The frames that `index` (integers or booleans) picks, in its order."""
        columns = MappingProxyType({name: values[index] for name, values in self.columns.items()})
        return Frames(self.path, self.numbers, columns, self.attributes)


class FrameFile:
    """Entry points for reading a file of frames."""

    @staticmethod
    def read(
        path: str | Path,
        *,
        require: Iterable[str] = (),
        select: Mapping[str, object] | None = None,
    ) -> Frames:
        """Read frames, refusing any selected frame that lacks a required column.

        Parameters
        ----------
        path : str or Path
        require : iterable of str
            Columns that every selected frame must have, such as ``("energy", "coefficients")``.
        select : mapping
            Keeps the frames whose column equals the value, or one of the values if it is a list or
            tuple: ``{"tag": ("train", "validation"), "temperature": 300.0}``.

        Raises
        ------
        InputError
            If the file does not exist, or a column name is unknown.
        DataError
            If the file is truncated, corrupted or of another format.
        MissingLabelError
            If a required column is absent, or not finite in some selected frame, or no frame fits.
        """
        path = Path(path)
        required = tuple(require)
        for name in (*required, *(select or {})):
            column_named(name)
        with open_file(path) as file:
            numbers, columns, attributes = load_columns(path, file)
        frames = Frames(path, numbers, MappingProxyType(columns), MappingProxyType(attributes))
        for name in (*required, *(select or {})):
            frames[name]
        frames = frames.subset(np.flatnonzero(selection_mask(frames, select or {})))
        if not len(frames):
            raise MissingLabelError(f"{path} has no frames{describe(select)}")
        for name in required:
            check_present(frames, name, describe(select))
        return frames

    @staticmethod
    def failures(path: str | Path) -> dict[int, str]:
        """Frames that could not be labelled, with the reason."""
        with open_file(Path(path)) as file:
            return read_failures(file)


def read_failures(file: h5py.File) -> dict[int, str]:
    """Frames of an open file that could not be computed, with the reason."""
    if "failures" not in file:
        return {}
    frames = file["failures/frame"][:].tolist()
    messages = file["failures/message"].asstr()[:].tolist()
    return dict(zip(frames, messages, strict=True))


def open_file(path: Path) -> h5py.File:
    """Open a file of frames for reading, checking its format.

    Raises
    ------
    InputError
        If it does not exist.
    DataError
        If it is not a whole HDF5 file, or not one of frames, or of a later version.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file of frames")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise DataError(
            f"{path} is truncated or not HDF5 ({error}); restore it, or make it again with "
            "densnet label"
        ) from error
    if file.attrs.get("format") != FORMAT_NAME:
        file.close()
        raise DataError(f"{path} is HDF5, but not a file of frames of DenSNet")
    version = int(file.attrs.get("version", -1))
    if version != FORMAT_VERSION:
        file.close()
        raise DataError(
            f"{path} has format version {version}; this DenSNet reads version {FORMAT_VERSION}"
        )
    return file


def load_columns(
    path: Path, file: h5py.File
) -> tuple[NDArray[np.int64], dict[str, NDArray[Any]], dict[str, Any]]:
    """Numbers, columns in schema order and decoded attributes of an open file."""
    try:
        numbers = file["numbers"][:].astype(np.int64)
        n_frames = int(file.attrs["n_frames"])
        columns = {}
        for name, column in COLUMNS.items():
            if name not in file:
                continue
            values = file[name][:]
            if len(values) != n_frames:
                raise DataError(f"{path}: {name} has {len(values)} frames, not {n_frames}")
            if column.kind == "float":
                values = values.astype(np.float64)
            columns[name] = values
        attributes = {key: decode_attribute(value) for key, value in file.attrs.items()}
    except (KeyError, OSError, RuntimeError, ValueError, TypeError) as error:
        raise DataError(f"{path} is corrupted: {error}") from error
    missing = [name for name in REQUIRED if name not in columns and n_frames]
    if missing:
        raise DataError(f"{path} lacks {', '.join(missing)}")
    return numbers, columns, attributes


def decode_attribute(value: Any) -> Any:
    """Attribute as it was given to the writer: what was written as JSON becomes a structure."""
    if isinstance(value, str) and looks_like_json(value):
        return json.loads(value)
    return value.item() if isinstance(value, np.generic) else value


def looks_like_json(text: str) -> bool:
    """Whether an attribute is read as JSON: an object, a list, quoted text or null."""
    return text[:1] in ("{", "[", '"') or text == "null"


def selection_mask(frames: Frames, select: Mapping[str, object]) -> NDArray[np.bool_]:
    """Which frames fit every entry of `select`, (n_frames,) bool."""
    mask = np.ones(len(frames), dtype=bool)
    for name, wanted in select.items():
        values = wanted if isinstance(wanted, (tuple, list, set, frozenset)) else (wanted,)
        column = frames[name]
        if column.ndim != 1:
            raise InputError(f"frames cannot be selected by {name}: it is not one value a frame")
        if COLUMNS[name].kind == "text":
            column = column.astype("U")
        mask &= np.isin(column, list(values))
    return mask


def check_present(frames: Frames, name: str, where: str) -> None:
    """Raise MissingLabelError if a selected frame lacks a column."""
    absent = np.flatnonzero(COLUMNS[name].absent(frames.columns[name]))
    if len(absent):
        raise MissingLabelError(
            f"{frames.path}: {name} is missing or not finite in {len(absent)} of {len(frames)} "
            f"frames{where}, first in frame {int(frames.columns['frame'][absent[0]])}; label them, "
            "or leave the column out of what is asked for"
        )


def describe(select: Mapping[str, object] | None) -> str:
    """The selection in words, for messages."""
    if not select:
        return ""
    return " with " + ", ".join(f"{name} = {value}" for name, value in select.items())
