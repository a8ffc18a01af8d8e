"""Dipoles, velocities and positions from trajectories that ASE reads."""

from pathlib import Path

import numpy as np
from ase.io import iread
from numpy.typing import NDArray

from densnet.errors import DataError, InputError, NonFiniteError
from densnet.spectra.signals import Signal
from densnet.units import AU_FS, BOHR_ANGSTROM, DALTON_AU, HARTREE_EV

Array = NDArray[np.float64]

# ASE's velocities are Å·√(eV/amu); one such unit in bohr per atomic time.
_ASE_VELOCITY_AU = float(np.sqrt(1.0 / (HARTREE_EV * DALTON_AU)))


def load_ase_signal(
    path: Path, quantity: str, *, interval_fs: float, temperature_kelvin: float
) -> tuple[Signal, Array]:
    """Read one segment from a file that ASE understands (``.traj``, ``.extxyz``, …).

    Parameters
    ----------
    path : Path
    quantity : str
        ``dipole`` (a calculator's result or ``info['dipole']``, e·Å as in ASE), ``velocities`` or
        ``positions``.
    interval_fs : float
        Time between frames; ASE's files do not hold it.
    temperature_kelvin : float

    Returns
    -------
    Signal
        Atomic units.
    (n_atoms,) float64
        Masses, electron masses.

    Raises
    ------
    DataError
        If the file is empty.
    InputError
        If the quantity is not in the file.
    NonFiniteError
        If a frame holds NaN or an infinity.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist")
    values = []
    masses = np.zeros(0)
    for frame, atoms in enumerate(iread(path, index=":")):
        masses = atoms.get_masses() * DALTON_AU
        if quantity == "dipole":
            results = atoms.calc.results if atoms.calc is not None else {}
            dipole = results.get("dipole", atoms.info.get("dipole"))
            if dipole is None:
                raise InputError(
                    f"{path}, frame {frame}: no dipole; write frames with a calculator that has "
                    "one, or put it into atoms.info['dipole'] (e·Å)"
                )
            value = np.asarray(dipole, dtype=np.float64) / BOHR_ANGSTROM
        elif quantity == "velocities":
            if not atoms.has("momenta"):
                raise InputError(f"{path}, frame {frame}: no momenta, so no velocities")
            value = atoms.get_velocities() * _ASE_VELOCITY_AU
        elif quantity == "positions":
            value = atoms.get_positions() / BOHR_ANGSTROM
        else:
            raise InputError(f"{quantity} cannot be read from an ASE trajectory")
        if not np.isfinite(value).all():
            raise NonFiniteError(f"{path}, frame {frame}: {quantity} is not a finite number")
        values.append(value)
    if len(values) < 2:
        raise DataError(f"{path}: {len(values)} frame(s), no trajectory")
    signal = Signal(str(path), np.array(values), interval_fs / AU_FS, temperature_kelvin)
    return signal, masses
