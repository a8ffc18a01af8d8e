"""PySCF's molecule and method objects at a level."""

import warnings
from typing import Any

from pyscf import df, dft, gto

from densnet.errors import InputError
from densnet.reference.kept_grid import KeptGridIntegrator
from densnet.reference.level import Level
from densnet.structure import Structure


def build_molecule(structure: Structure, level: Level) -> gto.Mole:
    """PySCF's molecule for a structure and a level."""
    if structure.cell is not None:
        raise InputError("labelling is for molecules: the structure has a cell, remove it")
    if structure.n_electrons % 2:
        raise InputError(
            f"restricted Kohn–Sham needs an even number of electrons, got {structure.n_electrons}; "
            "check numbers and charge"
        )
    try:
        with warnings.catch_warnings():
            # PySCF advises another package for an unknown basis; the error below says enough.
            warnings.simplefilter("ignore", UserWarning)
            return gto.M(
                atom=[
                    (int(z), r) for z, r in zip(structure.numbers, structure.positions, strict=True)
                ],
                unit="Bohr",
                basis=level.basis,
                charge=structure.charge,
                verbose=0,
            )
    except (KeyError, RuntimeError, ValueError) as error:
        raise InputError(f"level.basis: PySCF cannot use {level.basis!r}: {error}") from error


def check_level(structure: Structure, level: Level) -> None:
    """Refuse a level that PySCF cannot run for a molecule, before anything is computed.

    Raises
    ------
    InputError
        If the functional, a basis or the grid level is unknown, or a threshold is not positive.
    """
    molecule = build_molecule(structure, level)
    try:
        dft.libxc.parse_xc(level.xc)
    except (KeyError, ValueError) as error:
        raise InputError(f"level.xc: PySCF has no functional {level.xc!r}: {error}") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            df.addons.make_auxmol(molecule, level.auxiliary_basis)
    except (KeyError, RuntimeError, ValueError) as error:
        raise InputError(
            f"level.auxiliary_basis: PySCF cannot use {level.auxiliary_basis!r}: {error}"
        ) from error
    if not 0 <= level.grid_level <= 9:
        raise InputError(f"level.grid_level must lie between 0 and 9, got {level.grid_level}")
    for name in ("convergence_hartree", "convergence_gradient", "max_cycles", "max_corrections"):
        if getattr(level, name) <= 0:
            raise InputError(f"level.{name} must be positive, got {getattr(level, name)}")


def build_method(mol: gto.Mole, level: Level, integrator: KeptGridIntegrator) -> Any:
    """Density-fitted restricted Kohn–Sham at a level, with the given integrator."""
    method = dft.RKS(mol, xc=level.xc).density_fit(auxbasis=level.auxiliary_basis)
    method.grids.level = level.grid_level
    method.conv_tol = level.convergence_hartree
    method.conv_tol_grad = level.convergence_gradient
    method.max_cycle = level.max_cycles
    method._numint = integrator
    write_no_checkpoint(method)
    # Without this PySCF computes four-index integrals of the density anew in every cycle.
    method.with_df.build()
    return method


def write_no_checkpoint(method: Any) -> None:
    """Close PySCF's checkpoint file, which it would otherwise rewrite in every cycle."""
    if getattr(method, "_chkfile", None) is not None:
        method._chkfile.close()
    method.chkfile = None


def gap_of(method: Any) -> float:
    """Energy between the highest occupied and the lowest empty orbital, hartree."""
    filled = method.mo_occ > 0.0
    if filled.all():
        return float("inf")
    return float(method.mo_energy[~filled].min() - method.mo_energy[filled].max())
