"""Checks of everything a caller hands to the integrals, once, with the offending argument named."""

from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from densnet.basis import DensityBasis
from densnet.errors import InputError, NonFiniteError
from densnet.integrals.shell_table import ShellTable, shell_table
from densnet.integrals.twin import Metric

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Geometry:
    """Atoms and their functions, ready for the kernel.

    Parameters
    ----------
    table : ShellTable
    species : (n_atoms,) int64
        Row of ``table.elements`` of each atom.
    positions : (n_batch, n_atoms, 3) float64, bohr, C-contiguous
    n_functions : int
    batched : bool
        Whether the caller gave a batch; results lose the first axis otherwise.
    """

    table: ShellTable
    species: NDArray[np.int64]
    positions: Array
    n_functions: int
    batched: bool

    @property
    def n_batch(self) -> int:
        """Number of structures."""
        return int(self.positions.shape[0])

    def unbatch(self, result: Array) -> Array:
        """Return the result as the caller shaped the positions."""
        return result if self.batched else result[0]


def check_geometry(
    basis: DensityBasis, numbers: ArrayLike, positions: ArrayLike, prefix: str = ""
) -> Geometry:
    """Return the geometry of one structure, (n_atoms, 3), or of a batch, (n_batch, n_atoms, 3)."""
    z = np.asarray(numbers)
    if z.ndim != 1 or z.size == 0 or z.dtype.kind not in "iu":
        raise InputError(
            f"{prefix}numbers must be a non-empty list of nuclear charges (n_atoms,), got shape "
            f"{z.shape} of {z.dtype}"
        )
    basis.check_elements(z)
    r = check_array(f"{prefix}positions", positions)
    if r.ndim not in (2, 3) or r.shape[-2:] != (z.size, 3):
        raise InputError(
            f"{prefix}positions must have shape ({z.size}, 3) or (n_batch, {z.size}, 3) to go with "
            f"{z.size} numbers, got {r.shape}"
        )
    table = shell_table(basis)
    species = table.species(z)
    return Geometry(
        table=table,
        species=species,
        positions=np.ascontiguousarray(r.reshape(-1, z.size, 3)),
        n_functions=int(table.functions_of_element[species].sum()),
        batched=r.ndim == 3,
    )


def check_array(name: str, values: ArrayLike) -> Array:
    """Return a finite C-contiguous float64 array."""
    try:
        array = np.ascontiguousarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must be an array of numbers: {error}") from error
    if not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise NonFiniteError(f"{name} must be finite, element {where} is {array[where]}")
    return array


def check_coefficients(geometry: Geometry, values: ArrayLike, name: str = "coefficients") -> Array:
    """Return coefficients as (n_batch, n_functions)."""
    c = check_array(name, values)
    expected: tuple[int, ...] = (geometry.n_functions,)
    if geometry.batched:
        expected = (geometry.n_batch, geometry.n_functions)
    if c.shape != expected:
        raise InputError(f"{name} must have shape {expected} for these atoms, got {c.shape}")
    return c.reshape(geometry.n_batch, geometry.n_functions)


def check_out(geometry: Geometry, out: Array | None) -> Array | None:
    """Return memory for a matrix as (n_batch, n_functions, n_functions), sharing that of out."""
    if out is None:
        return None
    n = geometry.n_functions
    expected = (geometry.n_batch, n, n) if geometry.batched else (n, n)
    if not isinstance(out, np.ndarray) or out.shape != expected or out.dtype != np.float64:
        raise InputError(f"out must be a float64 array of shape {expected} for these atoms")
    if not (out.flags.c_contiguous and out.flags.writeable):
        raise InputError("out must be C-contiguous and writeable")
    return out.reshape(geometry.n_batch, n, n)


def check_points(points: ArrayLike) -> Array:
    """Return points as (n_points, 3)."""
    r = check_array("points", points)
    if r.ndim != 2 or r.shape[1] != 3:
        raise InputError(f"points must have shape (n_points, 3), got {r.shape}")
    return r


def check_metric(metric: str) -> Metric:
    """Return the metric if it is one."""
    if metric not in get_args(Metric):
        raise InputError(f"metric must be one of {get_args(Metric)}, got {metric!r}")
    return metric  # type: ignore[return-value]


def check_threads(n_threads: int) -> int:
    """Return the number of threads, 1 to 1024."""
    if not isinstance(n_threads, (int, np.integer)) or not 1 <= n_threads <= 1024:
        raise InputError(f"n_threads must be a whole number from 1 to 1024, got {n_threads!r}")
    return int(n_threads)
