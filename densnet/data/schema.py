"""What a file of frames holds: the columns, their shapes, types and units.

A file is HDF5 and holds one molecule at one level of theory. Per-frame columns are datasets whose
first axis is the frame; shapes below leave that axis out. ``numbers`` is a dataset of its own. The
level, provenance and, for ``coefficients``, the name and SHA-256 of the density basis are
attributes. Values that a frame lacks are NaN (-1 in integer columns, empty in text).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from densnet.errors import InputError

FORMAT_NAME: Final = "densnet-frames"
FORMAT_VERSION: Final = 1
TEXT_BYTES: Final = 32


@dataclass(frozen=True)
class Column:
    """One per-frame quantity.

    Parameters
    ----------
    name : str
    shape : tuple of int or str
        "atoms" stands for the number of atoms; any other word is a size that the first frame sets
        and every later frame must repeat.
    kind : {"float", "integer", "text"}
    unit : str
    meaning : str
    """

    name: str
    shape: tuple[int | str, ...]
    kind: str
    unit: str
    meaning: str

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Type of the dataset."""
        return np.dtype({"float": "f8", "integer": "i8", "text": f"S{TEXT_BYTES}"}[self.kind])

    def absent(self, values: NDArray[np.generic]) -> NDArray[np.bool_]:
        """Which frames lack this quantity, (n_frames,) bool."""
        flat = values.reshape(len(values), -1)
        if self.kind == "text":
            return np.array([not any(row) for row in flat.tolist()], dtype=bool)
        if self.kind == "integer":
            return np.any(flat.astype(np.int64) == -1, axis=1)
        return np.any(~np.isfinite(flat.astype(np.float64)), axis=1)


COLUMNS: Final[Mapping[str, Column]] = {
    column.name: column
    for column in (
        Column("frame", (), "integer", "1", "identity of the frame, unique in the file"),
        Column("positions", ("atoms", 3), "float", "bohr", "nuclear positions"),
        Column("tag", (), "text", "1", "train, validation or test"),
        Column("temperature", (), "float", "kelvin", "temperature of the sampling"),
        Column("trajectory", (), "integer", "1", "sampling trajectory, unique in the file"),
        Column("time", (), "float", "fs", "time in the trajectory after equilibration"),
        Column("source", (), "text", "1", "where the frame comes from"),
        Column("energy", (), "float", "hartree", "total energy"),
        Column("forces", ("atoms", 3), "float", "hartree/bohr", "forces on the nuclei"),
        Column("dipole", (3,), "float", "e*bohr", "dipole, electrons negative, origin at zero"),
        Column("polarizability", (3, 3), "float", "bohr^3", "static dipole polarizability"),
        Column("coefficients", ("functions",), "float", "1", "fitted density minus prior"),
        Column(
            "coefficient_response",
            (3, "functions"),
            "float",
            "e*bohr/hartree",
            "derivative of the fitted density with respect to a uniform electric field",
        ),
        Column("orbitals", ("basis", "occupied"), "float", "1", "doubly occupied orbitals"),
        Column(
            "orbital_response",
            (3, "basis", "occupied"),
            "float",
            "e*bohr/hartree",
            "derivative of the orbitals with respect to a uniform electric field",
        ),
        Column("gap", (), "float", "hartree", "HOMO-LUMO gap"),
        Column("cycles", (), "integer", "1", "SCF cycles"),
        Column("attempt", (), "integer", "1", "0 for a plain SCF, else number of the fallback"),
        Column("cpu_seconds", (), "float", "s", "processor time of the label"),
    )
}

REQUIRED: Final = ("frame", "positions", "tag", "temperature", "trajectory")


def column_named(name: str) -> Column:
    """The column of that name; InputError lists the known ones."""
    if name not in COLUMNS:
        raise InputError(f"there is no column {name!r}; columns are {', '.join(COLUMNS)}")
    return COLUMNS[name]


def check_row(values: Mapping[str, object], n_atoms: int) -> dict[str, NDArray[np.generic]]:
    """Turn one frame into arrays of the declared types.

    Raises
    ------
    InputError
        If a column is unknown, a required one is missing, or a shape is wrong.
    """
    missing = [name for name in REQUIRED if name not in values]
    if missing:
        raise InputError(f"a frame lacks {', '.join(missing)}")
    row: dict[str, NDArray[np.generic]] = {}
    for name, value in values.items():
        column = column_named(name)
        if column.kind == "text":
            value = str(value).encode()
            if len(value) > TEXT_BYTES:
                raise InputError(f"{name} {value!r} is longer than {TEXT_BYTES} bytes")
        array = np.asarray(value, dtype=column.dtype)
        expected = tuple(n_atoms if size == "atoms" else size for size in column.shape)
        fits = array.ndim == len(expected) and all(
            isinstance(size, str) or size == actual
            for size, actual in zip(expected, array.shape, strict=True)
        )
        if not fits:
            raise InputError(f"{name} of a frame must have shape {expected}, got {array.shape}")
        row[name] = array
    if not np.isfinite(np.asarray(row["positions"], dtype=np.float64)).all():
        raise InputError("positions of a frame are not finite")
    return row
