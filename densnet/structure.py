"""A molecule as every layer passes it around: nuclear charges, positions, cell, total charge."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from densnet.errors import InputError, NonFiniteError, UnitsError
from densnet.units import BOHR_ANGSTROM

# No two nuclei of a molecule come closer than this, in bohr: the inner turning point of H2's ground
# state is 1.2; a C–H or O–H bond in angstrom, taken as bohr, is 0.95 to 1.1.
CLOSEST_PAIR_BOHR = 1.1


@dataclass(frozen=True, eq=False)
class Structure:
    """Nuclei in space, in atomic units.

    Parameters
    ----------
    numbers : (n_atoms,) int64
        Nuclear charges Z.
    positions : (n_atoms, 3) float64, bohr
    cell : (3, 3) float64, bohr, or None
        Rows are the lattice vectors; None for a molecule in vacuum.
    charge : int
        Total charge, in units of e.

    Raises
    ------
    InputError
        If a shape is wrong or a nuclear charge is not between 1 and 118.
    NonFiniteError
        If a position or a cell vector is NaN or infinite.
    UnitsError
        If two nuclei are so close that the positions must be in angstrom.
    """

    numbers: NDArray[np.int64]
    positions: NDArray[np.float64]
    cell: NDArray[np.float64] | None = None
    charge: int = 0

    def __post_init__(self) -> None:
        numbers = np.array(self.numbers, dtype=np.int64)
        positions = np.array(self.positions, dtype=np.float64)
        if numbers.ndim != 1 or numbers.size == 0:
            raise InputError(f"numbers must have shape (n_atoms,), got {numbers.shape}")
        if numbers.min() < 1 or numbers.max() > 118:
            raise InputError(f"numbers must lie between 1 and 118, got {numbers.tolist()}")
        if positions.shape != (numbers.size, 3):
            raise InputError(
                f"positions must have shape ({numbers.size}, 3) to match numbers, "
                f"got {positions.shape}"
            )
        if not np.isfinite(positions).all():
            atom = int(np.argwhere(~np.isfinite(positions))[0, 0])
            raise NonFiniteError(f"the position of atom {atom} is not finite: {positions[atom]}")
        object.__setattr__(self, "numbers", numbers)
        object.__setattr__(self, "positions", positions)
        if self.cell is not None:
            cell = np.array(self.cell, dtype=np.float64)
            if cell.shape != (3, 3):
                raise InputError(f"cell must have shape (3, 3), rows are vectors, got {cell.shape}")
            if not np.isfinite(cell).all():
                raise NonFiniteError(f"the cell is not finite: {cell.tolist()}")
            object.__setattr__(self, "cell", cell)
        check_closest_pair(positions)

    @property
    def n_atoms(self) -> int:
        """Number of nuclei."""
        return int(self.numbers.size)

    @property
    def n_electrons(self) -> int:
        """Number of electrons, Σ Z − charge."""
        return int(self.numbers.sum()) - self.charge


def check_closest_pair(positions: ArrayLike) -> None:
    """Refuse positions whose closest pair shows that they are not in bohr.

    Parameters
    ----------
    positions : (n_atoms, 3) float64, bohr

    Raises
    ------
    UnitsError
        If two nuclei are closer than 1.1 bohr.
    """
    r = np.asarray(positions, dtype=np.float64)
    if len(r) < 2:
        return
    i, j = np.triu_indices(len(r), k=1)
    distance = np.linalg.norm(r[i] - r[j], axis=1)
    closest = int(distance.argmin())
    if distance[closest] < CLOSEST_PAIR_BOHR:
        raise UnitsError(
            f"atoms {i[closest]} and {j[closest]} are {distance[closest]:.3f} bohr "
            f"({distance[closest] * BOHR_ANGSTROM:.3f} angstrom) apart: a clash, or positions in "
            "another unit (arrays are taken as bohr, files and objects of ASE as angstrom)"
        )


def read_geometries(path: Path) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Read nuclear charges and positions (bohr) of all structures in a file (angstrom).

    Raises
    ------
    InputError
        If there is no such file, or ASE cannot read it.
    """
    # Imported here: a molecule is wanted in many places that read no files.
    from ase.io import iread
    from ase.io.formats import UnknownFileTypeError

    if not path.is_file():
        raise InputError(f"{path}: no such geometry")
    try:
        frames = list(iread(path, index=":"))
    except (OSError, UnknownFileTypeError, ValueError, IndexError, KeyError) as error:
        raise InputError(f"{path}: ASE cannot read it as a geometry: {error}") from error
    if not frames:
        raise InputError(f"{path}: there is no structure in it")
    return [
        (np.asarray(atoms.numbers, dtype=np.int64), np.asarray(atoms.positions) / BOHR_ANGSTROM)
        for atoms in frames
    ]
