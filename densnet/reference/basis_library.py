"""Any auxiliary basis that PySCF knows, as a density basis with an exact prior."""

import warnings
from collections.abc import Iterable, Mapping

from pyscf import gto

from densnet.basis import AtomicPrior, DensityBasis, Shell
from densnet.errors import InputError


def load_pyscf_basis(
    name: str, elements: Iterable[int], prior: Mapping[int, AtomicPrior]
) -> DensityBasis:
    """Return an auxiliary basis of PySCF's library as a density basis.

    A general contraction (several columns over the same primitives) becomes several shells.

    Parameters
    ----------
    name : str
        In PySCF's notation, such as ``def2-universal-jfit``; ``name`` of the result.
    elements : iterable of int
        Nuclear charges.
    prior : mapping from Z to AtomicPrior
        Free-atom densities, from :func:`densnet.reference.atomic_prior.fit_atomic_prior` or from a
        basis of the library; those of other elements are left out.

    Raises
    ------
    InputError
        If PySCF does not know the basis for an element, or the element has no prior.
    """
    wanted = sorted({int(z) for z in elements})
    missing = [z for z in wanted if z not in prior]
    if missing:
        raise InputError(f"basis {name!r}: no free-atom prior for Z = {missing}")
    return DensityBasis(
        name, {z: load_shells(name, z) for z in wanted}, {z: prior[z] for z in wanted}
    )


def load_shells(name: str, number: int) -> tuple[Shell, ...]:
    """Shells of one element."""
    symbol = gto.elements.ELEMENTS[number]
    try:
        with warnings.catch_warnings():
            # PySCF advises another package for an unknown basis; the error below says enough.
            warnings.simplefilter("ignore", UserWarning)
            entries = gto.basis.load(name, symbol)
    except (KeyError, RuntimeError, ValueError) as error:
        raise InputError(f"PySCF has no basis {name!r} for {symbol}: {error}") from error
    shells = []
    for l, *primitives in entries:
        exponents = tuple(float(row[0]) for row in primitives)
        for column in range(1, len(primitives[0])):
            used = [(a, float(row[column])) for a, row in zip(exponents, primitives, strict=True)]
            nonzero = [(a, d) for a, d in used if d != 0.0]
            shells.append(Shell(int(l), *map(tuple, zip(*nonzero, strict=True))))
    return tuple(shells)
