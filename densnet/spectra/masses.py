"""Standard atomic masses of the elements that molecules are made of.

i-PI's trajectories name elements but no masses; ASE's carry their own. Isotopes other than the
natural mixture need explicit masses.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from densnet.errors import UnknownElementError
from densnet.units import DALTON_AU

# IUPAC standard atomic weights (2013, conventional values), dalton.
MASSES_DALTON: Final[dict[str, float]] = {
    "H": 1.008, "D": 2.014101778, "He": 4.002602, "Li": 6.94, "Be": 9.0121831, "B": 10.81,
    "C": 12.011, "N": 14.007, "O": 15.999, "F": 18.998403163, "Ne": 20.1797, "Na": 22.98976928,
    "Mg": 24.305, "Al": 26.9815385, "Si": 28.085, "P": 30.973761998, "S": 32.06, "Cl": 35.45,
    "Ar": 39.948, "K": 39.0983, "Ca": 40.078, "Ti": 47.867, "Cr": 51.9961, "Mn": 54.938044,
    "Fe": 55.845, "Co": 58.933194, "Ni": 58.6934, "Cu": 63.546, "Zn": 65.38, "Ge": 72.630,
    "As": 74.921595, "Se": 78.971, "Br": 79.904, "Kr": 83.798, "Ru": 101.07, "Pd": 106.42,
    "Ag": 107.8682, "Sn": 118.710, "Te": 127.60, "I": 126.90447, "Xe": 131.293,
}  # fmt: skip


def standard_masses(symbols: Sequence[str]) -> NDArray[np.float64]:
    """Masses of elements, electron masses: (n_atoms,) str → (n_atoms,) float64."""
    unknown = sorted(set(symbols) - set(MASSES_DALTON))
    if unknown:
        raise UnknownElementError(
            f"no standard mass for {', '.join(unknown)}; give the masses explicitly"
        )
    return np.array([MASSES_DALTON[symbol] for symbol in symbols]) * DALTON_AU
