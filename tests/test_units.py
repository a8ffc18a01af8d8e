"""The constants against three independent tables: ASE, PySCF and i-PI."""

import ase.units
import pytest
from ipi.utils.units import unit_to_internal
from pyscf.data import nist

from densnet import units
from tests.tolerances import (
    CODATA_BOLTZMANN_RELATIVE,
    CODATA_RELATIVE,
    IPI_RELATIVE,
    ROUNDING_RELATIVE,
)

ASE_2018 = ase.units.create_units("2018")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (units.BOHR_ANGSTROM, ASE_2018["Bohr"]),
        (units.HARTREE_EV, ASE_2018["Hartree"]),
        (units.HARTREE_KCAL_MOL, ASE_2018["Hartree"] * ASE_2018["mol"] / ASE_2018["kcal"]),
        (units.KELVIN_HARTREE, ASE_2018["kB"] / ASE_2018["Hartree"]),
        (units.AU_FS, ASE_2018["AUT"] / ASE_2018["fs"]),
        (units.AU_DEBYE, ASE_2018["Bohr"] / ASE_2018["Debye"]),
        (units.DALTON_AU, 1.0 / ASE_2018["_me"] * ASE_2018["_amu"]),
    ],
    ids=["bohr", "hartree", "kcal/mol", "kelvin", "time", "debye", "dalton"],
)
def test_constants_agree_with_ase_of_the_same_codata_year(ours: float, theirs: float) -> None:
    # ASE derives Bohr and Hartree from the SI constants; CODATA adjusts them together, so they
    # agree to CODATA's own uncertainty only.
    assert ours == pytest.approx(theirs, rel=1e-9)


def test_constants_agree_with_ase_default_units() -> None:
    """The units that ASE's readers and calculators use today, whichever year they are from."""
    assert pytest.approx(ase.units.Bohr, rel=CODATA_RELATIVE) == units.BOHR_ANGSTROM
    assert pytest.approx(ase.units.Hartree, rel=CODATA_RELATIVE) == units.HARTREE_EV


def test_constants_agree_with_pyscf() -> None:
    assert pytest.approx(nist.BOHR, rel=CODATA_RELATIVE) == units.BOHR_ANGSTROM
    assert pytest.approx(nist.HARTREE2EV, rel=CODATA_RELATIVE) == units.HARTREE_EV
    assert pytest.approx(nist.AU2DEBYE, rel=CODATA_RELATIVE) == units.AU_DEBYE
    assert pytest.approx(nist.HARTREE2WAVENUMBER, rel=CODATA_RELATIVE) == units.AU_WAVENUMBER_CM1
    assert pytest.approx(nist.AMU2AU, rel=CODATA_RELATIVE) == units.DALTON_AU


def test_constants_agree_with_ipi() -> None:
    assert unit_to_internal("energy", "electronvolt", units.HARTREE_EV) == pytest.approx(
        1.0, rel=IPI_RELATIVE
    )
    assert unit_to_internal("length", "angstrom", units.BOHR_ANGSTROM) == pytest.approx(
        1.0, rel=IPI_RELATIVE
    )
    assert unit_to_internal("time", "femtosecond", units.AU_FS) == pytest.approx(
        1.0, rel=IPI_RELATIVE
    )
    assert unit_to_internal("frequency", "inversecm", units.AU_WAVENUMBER_CM1) == pytest.approx(
        1.0, rel=IPI_RELATIVE
    )
    assert unit_to_internal("mass", "dalton", 1.0) == pytest.approx(
        units.DALTON_AU, rel=IPI_RELATIVE
    )
    assert unit_to_internal("temperature", "kelvin", 1.0) == pytest.approx(
        units.KELVIN_HARTREE, rel=CODATA_BOLTZMANN_RELATIVE
    )


def test_time_unit_follows_from_energy_and_hbar() -> None:
    hbar = 6.62607015e-34 / (2.0 * units.pi)
    assert hbar / units.HARTREE_J == pytest.approx(units.AU_TIME_S, rel=1e-11)


def test_derived_units_are_consistent() -> None:
    assert pytest.approx(1e3 * units.HARTREE_EV, rel=ROUNDING_RELATIVE) == units.HARTREE_MEV
    assert pytest.approx(51422.067, rel=1e-7) == units.HARTREE_BOHR_MEV_ANGSTROM
    assert pytest.approx(1e-3 * units.AU_FS, rel=ROUNDING_RELATIVE) == units.AU_PS
