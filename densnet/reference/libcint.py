"""libcint through PySCF for functions of a density basis: the oracle and rival of the kernel."""

from collections.abc import Iterable

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import ArrayLike, NDArray
from pyscf import gto

from densnet.basis import DensityBasis, Shell

INTEGRALS = {"overlap": "int1e_ovlp", "coulomb": "int2c2e"}


def mole_of(basis: DensityBasis, numbers: ArrayLike, positions: ArrayLike) -> gto.Mole:
    """Return a Mole whose functions are those of the basis, in the same order.

    Parameters
    ----------
    basis : DensityBasis
    numbers : (n_atoms,) int
    positions : (n_atoms, 3) float64, bohr
    """
    z = np.asarray(numbers).tolist()
    # A label for every element keeps PySCF from taking equal shells of two elements for one.
    shells = {
        chemical_symbols[element]: [
            [shell.l, *([a, d] for a, d in zip(shell.exponents, shell.coefficients, strict=True))]
            for shell in basis.shells[element]
        ]
        for element in sorted(set(z))
    }
    atoms = [
        (chemical_symbols[element], tuple(map(float, position)))
        for element, position in zip(z, np.asarray(positions), strict=True)
    ]
    return gto.M(atom=atoms, basis=shells, unit="bohr", spin=sum(z) % 2, verbose=0)


def metric_matrix(metric: str, mole: gto.Mole, out: NDArray[np.float64] | None = None) -> ArrayLike:
    """Return the overlap or the Coulomb metric, by libcint's symmetric form (``hermi=1``)."""
    return mole.intor(INTEGRALS[metric], hermi=1, out=out)


def library_basis(name: str, numbers: Iterable[int]) -> DensityBasis:
    """Return a basis of PySCF's library as a density basis without a prior.

    Parameters
    ----------
    name : str
        As PySCF knows it, for example ``aug-cc-pvqz-jkfit``.
    numbers : iterable of int
        Nuclear charges to cover.
    """
    shells: dict[int, tuple[Shell, ...]] = {}
    for z in sorted({int(z) for z in numbers}):
        of_element = []
        for l, *primitives in gto.basis.load(name, chemical_symbols[z]):
            exponents = tuple(float(p[0]) for p in primitives)
            for column in range(1, len(primitives[0])):
                of_element.append(Shell(l, exponents, tuple(float(p[column]) for p in primitives)))
        shells[z] = tuple(of_element)
    return DensityBasis(name, shells, {})
