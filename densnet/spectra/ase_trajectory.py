"""Dipoles, velocities and positions from trajectories that ASE reads."""

from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import iread
from numpy.typing import NDArray

from densnet.errors import DataError, InputError
from densnet.spectra.series import Rows
from densnet.units import BOHR_ANGSTROM, DALTON_AU, HARTREE_EV

Array = NDArray[np.float64]

# ASE's velocities are Å·√(eV/amu)/Å; one such unit in bohr per atomic time.
_ASE_VELOCITY_AU = float(np.sqrt(1.0 / (HARTREE_EV * DALTON_AU)))


def load_ase_rows(path: Path, quantity: str) -> tuple[Rows, Array]:
    """Read one segment from a file that ASE understands (``.traj``, ``.extxyz``, …).

    Parameters
    ----------
    path : Path
    quantity : str
        ``dipole`` (a calculator's result or ``info['dipole']``, e·Å as in ASE), ``velocities`` or
        ``positions``.

    Returns
    -------
    Rows
        Atomic units; the steps count the frames.
    (n_atoms,) float64
        Masses, electron masses.

    Raises
    ------
    DataError
        If the file is empty.
    InputError
        If the quantity is not in the file.
    """
    values = []
    masses = np.zeros(0)
    for frame, atoms in enumerate(iread(path, index=":")):
        masses = atoms.get_masses() * DALTON_AU
        values.append(_value(f"{path}, frame {frame}", atoms, quantity))
    if not values:
        raise DataError(f"{path}: no frame")
    return Rows(np.arange(len(values)), np.array(values, dtype=np.float64), str(path)), masses


def _value(where: str, atoms: Atoms, quantity: str) -> Array:
    if quantity == "dipole":
        results = atoms.calc.results if atoms.calc is not None else {}
        dipole = results.get("dipole", atoms.info.get("dipole"))
        if dipole is None:
            raise InputError(
                f"{where}: no dipole; write frames with a calculator that has one, "
                "or put it into atoms.info['dipole'] (e·Å)"
            )
        return np.asarray(dipole, dtype=np.float64) / BOHR_ANGSTROM
    if quantity == "velocities":
        if not atoms.has("momenta"):
            raise InputError(f"{where}: no momenta, so no velocities")
        return np.asarray(atoms.get_velocities(), dtype=np.float64) * _ASE_VELOCITY_AU
    if quantity == "positions":
        return np.asarray(atoms.get_positions(), dtype=np.float64) / BOHR_ANGSTROM
    raise InputError(f"{where}: {quantity} cannot be read from an ASE trajectory")
