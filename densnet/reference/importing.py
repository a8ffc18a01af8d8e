"""Bring labels made elsewhere (npz files of arrays) into a file of frames."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from densnet.data.writer import FrameWriter
from densnet.errors import DataError, InputError
from densnet.reference.level import Level
from densnet.reference.method import build_molecule
from densnet.structure import Structure

# Our column for each key of an npz file, all in atomic units.
KEYS: Mapping[str, str] = {
    "R": "positions",
    "E": "energy",
    "F": "forces",
    "mu": "dipole",
    "C": "orbitals",
    "alpha": "polarizability",
    "temperature": "temperature",
    "gap": "gap",
    "cycles": "cycles",
}
# A packed density matrix in single precision loses about 1e-7 of each element; its orbitals must
# still hold the electrons to this.
ELECTRON_TOLERANCE = 1e-4
IMPORT_STRIDE = 100_000


def import_npz(path: str | Path, writer: FrameWriter, level: Level, *, tag: str) -> int:
    """Append the frames of an npz file; return how many were new.

    The file holds ``Z`` (n_atoms,) and, per frame, ``R`` and any of ``E``, ``F``, ``mu``,
    ``alpha``, ``temperature``, ``gap``, ``cycles``, and either occupied orbitals ``C`` or the
    packed lower triangle ``D`` of the density matrix, in the orbital basis of `level`. The level is
    taken on trust: nothing in such a file says it.

    Raises
    ------
    InputError
        If there is no such file, or its atoms are not those of the writer.
    DataError
        If it is not an npz file, an array is missing or misshapen, or the density matrix does not
        hold the electrons of the molecule.
    """
    path = Path(path)
    arrays = load_arrays(path)
    if not np.array_equal(arrays["Z"], writer.numbers):
        raise InputError(
            f"{path} has atoms {arrays['Z'].tolist()}, {writer.path} has "
            f"{writer.numbers.tolist()}: the order must agree too"
        )
    n_frames = len(arrays["R"])
    for key in (*KEYS, "D"):
        if key in arrays and len(arrays[key]) != n_frames:
            raise DataError(f"{path}: {key} has {len(arrays[key])} frames, R has {n_frames}")
    first = first_identity(path, writer)
    added = 0
    for i in range(n_frames):
        if first + i in writer.frames:
            continue
        row: dict[str, object] = {
            "frame": first + i,
            "tag": tag,
            "temperature": np.nan,
            "trajectory": -1,
            "source": path.name[:32],
        }
        row.update({name: arrays[key][i] for key, name in KEYS.items() if key in arrays})
        if "D" in arrays and "C" not in arrays:
            structure = Structure(writer.numbers, arrays["R"][i])
            row["orbitals"] = orbitals_of_density(path, i, arrays["D"][i], structure, level)
        writer.append(row)
        added += 1
    return added


def load_arrays(path: Path) -> dict[str, NDArray[np.float64]]:
    """Arrays of the npz file that are known here."""
    if not path.is_file():
        raise InputError(f"{path}: no such file to import")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in ("Z", "D", *KEYS) if key in archive.files}
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not a readable npz file: {error}") from error
    for key in ("Z", "R"):
        if key not in arrays:
            raise DataError(f"{path} has no array {key}; an import needs Z and R at least")
    return arrays


def first_identity(path: Path, writer: FrameWriter) -> int:
    """Identity of the first frame of an import: each source gets its own block of numbers."""
    sources = writer.sources()
    if path.name[:32] in sources:
        return sources[path.name[:32]] // IMPORT_STRIDE * IMPORT_STRIDE
    return (max(writer.frames, default=0) // IMPORT_STRIDE + 1) * IMPORT_STRIDE


def orbitals_of_density(
    path: Path, frame: int, packed: NDArray[np.float64], structure: Structure, level: Level
) -> NDArray[np.float64]:
    """Occupied orbitals (n_basis, n_occupied) of a packed density matrix.

    They are the natural orbitals of largest occupation, in the metric of the overlap, each made to
    hold two electrons exactly: this also removes most of the rounding of the stored matrix.
    """
    molecule = build_molecule(structure, level)
    n = molecule.nao
    if packed.shape != (n * (n + 1) // 2,):
        raise DataError(
            f"{path}: D of frame {frame} has {packed.shape} elements; {level.basis} has {n} "
            f"functions and needs {n * (n + 1) // 2}"
        )
    density = np.zeros((n, n))
    density[np.tril_indices(n)] = packed
    density += np.tril(density, -1).T
    values, vectors = np.linalg.eigh(molecule.intor("int1e_ovlp"))
    root = vectors * np.sqrt(values) @ vectors.T
    inverse_root = vectors / np.sqrt(values) @ vectors.T
    occupations, orbitals = np.linalg.eigh(root @ density @ root)
    n_occupied = structure.n_electrons // 2
    worst = float(np.abs(occupations[-n_occupied:] - 2.0).max())
    if worst > ELECTRON_TOLERANCE:
        raise DataError(
            f"{path}: D of frame {frame} is not a closed-shell density matrix in {level.basis}: an "
            f"occupation is off by {worst:.1e}; check the basis and the order of the atoms"
        )
    return np.asarray(inverse_root @ orbitals[:, -n_occupied:])
