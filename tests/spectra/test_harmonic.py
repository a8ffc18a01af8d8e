"""Harmonic modes against analytic molecules and against ASE's finite differences."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.optimize import BFGS
from ase.vibrations import Infrared
from pyscf import gto, scf
from pyscf.hessian import thermo
from tblite.ase import TBLite

from densnet.errors import InputError
from densnet.spectra.harmonic import (
    INTENSITY_KM_MOL,
    HarmonicModes,
    broadened,
    harmonic_modes,
    harmonic_spectrum,
    masses_from_dalton,
)
from densnet.spectra.masses import standard_masses
from densnet.spectra.output import load_csv, save_csv
from densnet.units import (
    AU_DEBYE,
    AU_WAVENUMBER_CM1,
    BOHR_ANGSTROM,
    DALTON_AU,
    HARTREE_EV,
)
from tests.tolerances import ASE_INTENSITY_RELATIVE, FINITE_DIFFERENCE_CM1, ROUNDING_RELATIVE


def diatomic(k: float, axis: np.ndarray) -> np.ndarray:
    block = k * np.outer(axis, axis)
    return np.block([[block, -block], [-block, block]])


def test_a_diatomic_has_one_mode_of_the_textbook_frequency_and_intensity() -> None:
    masses = standard_masses(["C", "O"])
    axis = np.array([2.0, -1.0, 2.0]) / 3.0
    reduced = masses.prod() / masses.sum()
    charge = 0.3
    tensors = np.array([charge * np.eye(3), -charge * np.eye(3)])
    positions = np.array([[0.1, 0.2, 0.3], [0.1, 0.2, 0.3] + 2.1 * axis])
    modes = harmonic_modes(diatomic(1.2, axis), masses, positions, tensors)
    assert len(modes.wavenumber_cm1) == 1
    assert modes.wavenumber_cm1[0] == pytest.approx(
        np.sqrt(1.2 / reduced) * AU_WAVENUMBER_CM1, rel=1e3 * ROUNDING_RELATIVE
    )
    assert modes.intensity_km_mol is not None
    assert modes.intensity_km_mol[0] == pytest.approx(
        INTENSITY_KM_MOL * charge**2 / reduced, rel=1e3 * ROUNDING_RELATIVE
    )


def test_a_diatomic_has_the_textbook_raman_activity() -> None:
    masses = standard_masses(["C", "O"])
    axis = np.array([2.0, -1.0, 2.0]) / 3.0
    reduced = masses.prod() / masses.sum()
    parallel, perpendicular = 7.0, 1.5
    slope = perpendicular * np.eye(3) + (parallel - perpendicular) * np.outer(axis, axis)
    tensors = np.stack([-np.multiply.outer(axis, slope), np.multiply.outer(axis, slope)])
    positions = np.array([[0.1, 0.2, 0.3], [0.1, 0.2, 0.3] + 2.1 * axis])
    modes = harmonic_modes(diatomic(1.2, axis), masses, positions, polarizability_tensors=tensors)
    mean, anisotropy = (parallel + 2.0 * perpendicular) / 3.0, parallel - perpendicular
    expected = (45.0 * mean**2 + 7.0 * anisotropy**2) * BOHR_ANGSTROM**4 / (reduced / DALTON_AU)
    assert modes.activity_angstrom4_amu is not None
    np.testing.assert_allclose(
        modes.activity_angstrom4_amu, [expected], rtol=1e3 * ROUNDING_RELATIVE
    )
    assert modes.intensity_km_mol is None
    with pytest.raises(InputError, match="polarizability_tensors must have shape"):
        harmonic_modes(diatomic(1.2, axis), masses, positions, polarizability_tensors=tensors[:1])


def test_one_debye_per_angstrom_squared_per_dalton_is_42_256_km_mol() -> None:
    debye_angstrom_au = BOHR_ANGSTROM / AU_DEBYE
    per_unit = INTENSITY_KM_MOL * debye_angstrom_au**2 / DALTON_AU
    assert per_unit == pytest.approx(42.2561, abs=1e-4)
    # ASE prints 42.255.
    assert per_unit == pytest.approx(42.255, rel=ASE_INTENSITY_RELATIVE)


def test_frequencies_agree_with_pyscf_for_water() -> None:
    mol = gto.M(atom="O 0 0 0; H 0.76 0.59 0; H -0.76 0.59 0", basis="sto-3g", verbose=0)
    mean_field = scf.RHF(mol).run()
    hessian = mean_field.Hessian().kernel()
    reference = thermo.harmonic_analysis(mol, hessian, imaginary_freq=False)
    modes = harmonic_modes(
        hessian.transpose(0, 2, 1, 3),
        masses_from_dalton(mol.atom_mass_list(isotope_avg=True)),
        mol.atom_coords(),
    )
    # Not at a minimum: PySCF projects in the same way; constants differ in the eighth digit.
    np.testing.assert_allclose(modes.wavenumber_cm1, reference["freq_wavenumber"], rtol=1e-6)


@pytest.fixture(scope="module")
def ethanol() -> Atoms:
    atoms = molecule("CH3CH2OH")
    atoms.calc = TBLite(method="GFN2-xTB", verbosity=0, accuracy=0.01)
    BFGS(atoms, logfile=None).run(fmax=1e-4, steps=300)
    return atoms


def test_frequencies_and_intensities_of_ethanol_agree_with_ase(
    ethanol: Atoms, tmp_path: Path
) -> None:
    step = 0.01
    oracle = Infrared(ethanol, name=str(tmp_path / "ir"), delta=step, nfree=2)
    oracle.run()
    oracle_frequencies = np.real(oracle.get_frequencies())[6:]
    oracle_intensities = np.asarray(oracle.intensities)[6:] * 42.255
    n = len(ethanol)
    hessian, tensors = np.zeros((n, 3, n, 3)), np.zeros((n, 3, 3))
    at = ethanol.copy()
    at.calc = ethanol.calc
    for atom in range(n):
        for axis in range(3):
            forces, dipoles = [], []
            for sign in (1, -1):
                at.positions = ethanol.positions
                at.positions[atom, axis] += sign * step
                forces.append(at.get_forces())
                dipoles.append(at.get_dipole_moment())
            hessian[atom, axis] = -(forces[0] - forces[1]) / (2 * step)
            tensors[atom, axis] = (dipoles[0] - dipoles[1]) / (2 * step)
    hessian *= BOHR_ANGSTROM**2 / HARTREE_EV
    flat = hessian.reshape(3 * n, 3 * n)
    modes = harmonic_modes(
        0.5 * (flat + flat.T),
        masses_from_dalton(ethanol.get_masses()),
        ethanol.positions / BOHR_ANGSTROM,
        tensors,
    )
    # ASE does not project out rotation; the torsions, below 300 cm⁻¹, feel it.
    stiff = modes.wavenumber_cm1 > 350.0
    np.testing.assert_allclose(
        modes.wavenumber_cm1[stiff], oracle_frequencies[stiff], rtol=0, atol=FINITE_DIFFERENCE_CM1
    )
    assert modes.intensity_km_mol is not None
    np.testing.assert_allclose(
        modes.intensity_km_mol[stiff], oracle_intensities[stiff], rtol=0.01, atol=0.05
    )


def test_broadened_lines_keep_their_area() -> None:
    masses = standard_masses(["H", "Cl"])
    axis = np.array([0.0, 0.0, 1.0])
    tensors = np.array([0.2 * np.eye(3), -0.2 * np.eye(3)])
    modes = harmonic_modes(diatomic(0.33, axis), masses, np.array([0 * axis, 2.4 * axis]), tensors)
    nu = np.arange(2000.0, 4000.0, 0.5)
    curve = broadened(modes, nu, 20.0)
    assert modes.intensity_km_mol is not None
    assert np.trapezoid(curve, nu) == pytest.approx(modes.intensity_km_mol[0], rel=1e-9)
    above = nu[curve > 0.5 * curve.max()]
    assert above[-1] - above[0] == pytest.approx(20.0, abs=1.0)


def test_a_harmonic_spectrum_is_saved_and_read_like_any_other(tmp_path: Path) -> None:
    modes = HarmonicModes(np.array([1000.0, 3000.0]), np.array([50.0, 20.0]), np.zeros((2, 1, 3)))
    spectrum = harmonic_spectrum(modes, width_cm1=16.0)
    assert spectrum.area(900.0, 1100.0) == pytest.approx(50.0, rel=1e-6)
    assert spectrum.area(2900.0, 3100.0) == pytest.approx(20.0, rel=1e-6)
    read = load_csv(save_csv(spectrum, tmp_path / "harmonic.csv"))
    np.testing.assert_allclose(read.wavenumber_cm1, spectrum.wavenumber_cm1, atol=1e-4)
    np.testing.assert_allclose(read.intensity, spectrum.intensity, rtol=1e-7, atol=1e-300)
    assert read.error is None
    for name in ("quantity", "unit", "resolution_cm1", "error_method"):
        assert getattr(read, name) == getattr(spectrum, name)


def test_a_saddle_point_has_a_negative_wavenumber() -> None:
    masses = standard_masses(["H", "H"])
    axis = np.array([1.0, 0.0, 0.0])
    modes = harmonic_modes(diatomic(-0.1, axis), masses, np.array([0 * axis, 1.4 * axis]))
    assert modes.wavenumber_cm1[0] < 0


def test_an_asymmetric_hessian_is_refused() -> None:
    masses = standard_masses(["H", "H"])
    hessian = diatomic(1.0, np.array([1.0, 0.0, 0.0]))
    hessian[0, 3] *= 1.5
    with pytest.raises(InputError, match="not symmetric"):
        harmonic_modes(hessian, masses, np.array([[0.0, 0, 0], [1.4, 0, 0]]))


def test_tensors_of_the_wrong_shape_are_refused() -> None:
    masses = standard_masses(["H", "H"])
    hessian = diatomic(1.0, np.array([1.0, 0.0, 0.0]))
    with pytest.raises(InputError, match=r"shape \(2, 3, 3\), got \(3, 6\)"):
        harmonic_modes(hessian, masses, np.array([[0.0, 0, 0], [1.4, 0, 0]]), np.zeros((3, 6)))
