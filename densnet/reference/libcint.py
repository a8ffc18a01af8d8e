"""libcint through PySCF for functions of a density basis: the oracle and rival of the kernel."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import ArrayLike, NDArray
from pyscf import gto, lib

from densnet.basis import DensityBasis, Shell

INTEGRALS = {"overlap": "int1e_ovlp", "coulomb": "int2c2e"}
POINTS_BLOCK = 2048


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


def metric_derivative(metric: str, mole: gto.Mole) -> NDArray[np.float64]:
    """Return (3, n, n): the derivative of the first function of every pair."""
    return np.asarray(mole.intor({"overlap": "int1e_ipovlp", "coulomb": "int2c2e_ip1"}[metric]))


def density_on_points(
    mole: gto.Mole,
    coefficients: NDArray[np.float64],
    points: NDArray[np.float64],
    with_gradient: bool = False,
) -> NDArray[np.float64]:
    """Return Σ_i c_i φ_i, and its gradient, on points by ``eval_gto``, in blocks that fit a cache.

    Returns
    -------
    (n_points,) or (4, n_points) float64
        The density; the gradient in rows 1 to 3.
    """
    name = "GTOval_sph_deriv1" if with_gradient else "GTOval_sph"
    blocks = [points[i : i + POINTS_BLOCK] for i in range(0, len(points), POINTS_BLOCK)]
    return np.concatenate([mole.eval_gto(name, r) @ coefficients for r in blocks], axis=-1)


@contextmanager
def threads(n_threads: int) -> Iterator[None]:
    """Let PySCF use this many threads for a while."""
    before = lib.num_threads()
    lib.num_threads(n_threads)
    try:
        yield
    finally:
        lib.num_threads(before)
