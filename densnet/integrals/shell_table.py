"""A density basis as flat arrays: what the C++ kernel and the torch twin both read."""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from densnet.basis import DensityBasis, Shell
from densnet.errors import InputError


@dataclass(frozen=True, eq=False)
class ShellTable:
    """All shells of a basis, elements ascending, shells in basis order, primitives in shell order.

    Parameters
    ----------
    elements : (n_elements,) int64
        Nuclear charges.
    shell_offset : (n_elements + 1,) int64
        First shell of each element.
    l : (n_shells,) int64
    primitive_offset : (n_shells + 1,) int64
        First primitive of each shell.
    exponents : (n_primitives,) float64, bohr⁻²
    coefficients : (n_primitives,) float64
        Contraction coefficients of the normalised primitives.
    weights : (n_primitives,) float64
        w with φ = Σ_k w_k r^l exp(−a_k r²) Y_lm and ∫φ² = 1.
    """

    elements: NDArray[np.int64]
    shell_offset: NDArray[np.int64]
    l: NDArray[np.int64]
    primitive_offset: NDArray[np.int64]
    exponents: NDArray[np.float64]
    coefficients: NDArray[np.float64]
    weights: NDArray[np.float64]

    @cached_property
    def functions_of_element(self) -> NDArray[np.int64]:
        """Number of functions on one atom of each element, (n_elements,)."""
        ends = np.concatenate([[0], np.cumsum(2 * self.l + 1)])[self.shell_offset]
        return np.diff(ends)

    def species(self, numbers: ArrayLike) -> NDArray[np.int64]:
        """Return the row of ``elements`` of each atom; the elements must have been checked."""
        return np.searchsorted(self.elements, np.asarray(numbers, dtype=np.int64))


def _build(basis: DensityBasis) -> ShellTable:
    shells = [s for z in basis.elements for s in basis.shells[z]]
    counts = [len(basis.shells[z]) for z in basis.elements]
    lengths = [len(s.exponents) for s in shells]
    return ShellTable(
        elements=np.array(basis.elements, dtype=np.int64),
        shell_offset=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        l=np.array([s.l for s in shells], dtype=np.int64),
        primitive_offset=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        exponents=np.concatenate([s.exponents for s in shells]),
        coefficients=np.concatenate([s.coefficients for s in shells]),
        weights=np.concatenate([s.radial_weights() for s in shells]),
    )


class _ByContent:
    """A basis that lru_cache takes for equal to any other of the same content."""

    def __init__(self, basis: DensityBasis) -> None:
        self.basis = basis

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ByContent) and other.basis.sha256 == self.basis.sha256

    def __hash__(self) -> int:
        return hash(self.basis.sha256)


@lru_cache(maxsize=64)
def _cached(key: _ByContent) -> ShellTable:
    return _build(key.basis)


def shell_table(basis: DensityBasis) -> ShellTable:
    """Return the flat arrays of a basis, cached by the content of the basis."""
    return _cached(_ByContent(basis))


def flat_exponents(basis: DensityBasis) -> NDArray[np.float64]:
    """Return every primitive exponent, in the order in which gradients with respect to them come.

    Returns
    -------
    (n_primitives,) float64, bohr⁻²
        Elements ascending, shells in basis order, primitives in shell order.
    """
    return shell_table(basis).exponents.copy()


def with_exponents(basis: DensityBasis, exponents: ArrayLike) -> DensityBasis:
    """Return the same basis with other exponents; the order of the shells must not change.

    Parameters
    ----------
    basis : DensityBasis
    exponents : (n_primitives,) float64, bohr⁻²
        In the order of :func:`flat_exponents`.

    Raises
    ------
    InputError
        If the number of exponents differs, or they would reorder the shells of an element.
    """
    table = shell_table(basis)
    flat = np.asarray(exponents, dtype=np.float64)
    if flat.shape != table.exponents.shape:
        raise InputError(f"exponents must have shape {table.exponents.shape}, got {flat.shape}")
    shells: dict[int, tuple[Shell, ...]] = {}
    start = 0
    for z in basis.elements:
        changed = []
        for shell in basis.shells[z]:
            stop = start + len(shell.exponents)
            changed.append(Shell(shell.l, tuple(flat[start:stop].tolist()), shell.coefficients))
            start = stop
        shells[z] = tuple(changed)
    result = DensityBasis(basis.name, shells, basis.prior)
    if any(result.shells[z] != shells[z] for z in basis.elements):
        raise InputError("the new exponents change the order of the shells within an element and l")
    return result
