"""Conversion constants between Hartree atomic units and the units met at the edges.

Everything inside DenSNet is in atomic units (hartree, bohr, elementary charge, electron mass).
The values are CODATA 2018 (https://doi.org/10.1103/RevModPhys.93.025010), the set PySCF uses;
the tests compare them with ASE, PySCF and i-PI.
"""

from math import pi
from typing import Final

CODATA_YEAR: Final = 2018

# Defining constants of the SI (exact) and the measured atomic units.
SPEED_OF_LIGHT_M_S: Final = 299792458.0
ELEMENTARY_CHARGE_C: Final = 1.602176634e-19
BOLTZMANN_J_K: Final = 1.380649e-23
AVOGADRO: Final = 6.02214076e23
BOHR_M: Final = 5.29177210903e-11
HARTREE_J: Final = 4.3597447222071e-18
ELECTRON_MASS_KG: Final = 9.1093837015e-31
ATOMIC_MASS_KG: Final = 1.66053906660e-27
AU_TIME_S: Final = 2.4188843265857e-17
VACUUM_PERMITTIVITY_F_M: Final = 8.8541878128e-12

BOHR_ANGSTROM: Final = BOHR_M * 1e10
HARTREE_EV: Final = HARTREE_J / ELEMENTARY_CHARGE_C
HARTREE_MEV: Final = HARTREE_EV * 1e3
HARTREE_BOHR_MEV_ANGSTROM: Final = HARTREE_MEV / BOHR_ANGSTROM
HARTREE_KCAL_MOL: Final = HARTREE_J * AVOGADRO / 4184.0
KELVIN_HARTREE: Final = BOLTZMANN_J_K / HARTREE_J
AU_FS: Final = AU_TIME_S * 1e15
AU_PS: Final = AU_TIME_S * 1e12
DALTON_AU: Final = ATOMIC_MASS_KG / ELECTRON_MASS_KG
# 1 e·bohr in debye (1 D = 1e-21 C·m²/s divided by c).
AU_DEBYE: Final = ELEMENTARY_CHARGE_C * BOHR_M * SPEED_OF_LIGHT_M_S / 1e-21
# Angular frequency in atomic units (1/atomic time) to wavenumber in cm⁻¹.
AU_WAVENUMBER_CM1: Final = 1.0 / (2.0 * pi * AU_TIME_S * SPEED_OF_LIGHT_M_S * 100.0)
