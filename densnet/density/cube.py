"""Regular grids around a molecule, and Gaussian cube files on them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from densnet.errors import InputError
from densnet.structure import Structure
from densnet.units import BOHR_ANGSTROM


@dataclass(frozen=True, eq=False)
class CubeGrid:
    """A rectangular grid of points.

    Parameters
    ----------
    origin : (3,) float64, bohr
        First point.
    spacing : float, bohr
        Between neighbours, along x, y and z.
    shape : tuple of three int
        Points along x, y and z.
    """

    origin: NDArray[np.float64]
    spacing: float
    shape: tuple[int, int, int]

    @property
    def points(self) -> NDArray[np.float64]:
        """(nx · ny · nz, 3) float64, bohr; z runs fastest, as in a cube file."""
        index = np.indices(self.shape).reshape(3, -1).T
        return np.asarray(self.origin + self.spacing * index)

    @property
    def volume_element(self) -> float:
        """Volume of one point, bohr³."""
        return self.spacing**3


def grid_around(positions: ArrayLike, *, spacing: float, margin: float) -> CubeGrid:
    """Return the smallest grid that leaves a margin around all nuclei.

    Parameters
    ----------
    positions : (n_atoms, 3) float64, bohr
    spacing, margin : float, bohr

    Raises
    ------
    InputError
        If the spacing is not positive or the margin is negative.
    """
    if not spacing > 0.0 or not margin >= 0.0:
        raise InputError(f"spacing must be positive and margin not negative: {spacing}, {margin}")
    r = np.asarray(positions, dtype=np.float64)
    low, high = r.min(axis=0) - margin, r.max(axis=0) + margin
    steps = np.ceil((high - low) / spacing).astype(int)
    # The grid is a little longer than asked for; share the excess between both sides.
    origin = 0.5 * (low + high) - 0.5 * spacing * steps
    nx, ny, nz = (steps + 1).tolist()
    return CubeGrid(origin, float(spacing), (nx, ny, nz))


def write_cube(
    path: str | Path, structure: Structure, grid: CubeGrid, values: ArrayLike, *, comment: str
) -> None:
    """Write values on a grid as a Gaussian cube file.

    Parameters
    ----------
    path : str or Path
    structure : Structure
    grid : CubeGrid
    values : (nx · ny · nz,) or (nx, ny, nz) float64, atomic units
    comment : str
        First line of the file: what the values are, and their unit.

    Raises
    ------
    InputError
        If the number of values is not that of the points, or the file cannot be written.
    """
    from ase import Atoms
    from ase.io.cube import write_cube as write_ase_cube

    data = np.asarray(values, dtype=np.float64)
    if data.size != np.prod(grid.shape):
        raise InputError(f"a grid of {grid.shape} points needs as many values, got {data.shape}")
    # ASE derives the voxels as cell / shape, and works in angstrom.
    cell = np.diag(grid.spacing * np.array(grid.shape)) * BOHR_ANGSTROM
    atoms = Atoms(structure.numbers, structure.positions * BOHR_ANGSTROM, cell=cell)
    try:
        with open(path, "w", encoding="utf-8") as file:
            write_ase_cube(
                file,
                atoms,
                data=data.reshape(grid.shape),
                origin=grid.origin * BOHR_ANGSTROM,
                comment=comment.replace("\n", " "),
            )
    except OSError as error:
        raise InputError(f"cannot write the cube file {path}: {error.strerror}") from error
