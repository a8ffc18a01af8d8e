"""Which function of the density basis a coefficient belongs to."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Layout:
    """The order of the density coefficients of one structure.

    Atoms in the order of the structure; the shells of an atom in the order of the basis (l
    ascending, exponents ascending within an l); m in PySCF's order: p as x, y, z, from l = 2 on
    m = −l … l.

    Parameters
    ----------
    atom, shell, l, m : (n_functions,) int64
        For each function: the atom, the shell within its element's list, the angular momentum and
        m (for p: 1, −1, 0, that is x, y, z).
    monopole : (n_functions,) float64
        ∫φ, zero beyond s.
    first_moment : (n_functions,) float64, bohr
        ∫(x − X_A) φ of the p function's own direction, zero otherwise.
    atom_offset : (n_atoms + 1,) int64
        First function of each atom; the last entry is the number of functions.
    """

    atom: NDArray[np.int64]
    shell: NDArray[np.int64]
    l: NDArray[np.int64]
    m: NDArray[np.int64]
    monopole: NDArray[np.float64]
    first_moment: NDArray[np.float64]
    atom_offset: NDArray[np.int64]

    @property
    def n_functions(self) -> int:
        """Number of functions, the length of a coefficient vector."""
        return int(self.atom.size)

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return int(self.atom_offset.size) - 1


def m_order(l: int) -> tuple[int, ...]:
    """Return the values of m in PySCF's order: (1, −1, 0) for p, −l … l otherwise."""
    return (1, -1, 0) if l == 1 else tuple(range(-l, l + 1))
