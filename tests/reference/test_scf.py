import numpy as np
import pytest
from pyscf import dft

from densnet.errors import ConvergenceError, InputError
from densnet.reference.convergence import ATTEMPTS
from densnet.reference.level import Level
from densnet.reference.method import build_molecule
from densnet.reference.scf import Calculator
from densnet.structure import Structure
from tests.tolerances import (
    LABEL_DIPOLE,
    LABEL_ENERGY,
    LABEL_FORCES,
    REFERENCE_DIPOLE,
    REFERENCE_ENERGY,
    REFERENCE_FORCES,
)

SMALL = Level(basis="def2-svp", grid_level=2)


def plain_pyscf(structure: Structure, level: Level):
    """Return the tightly converged method of PySCF itself and its forces."""
    mol = build_molecule(structure, level)
    method = dft.RKS(mol, xc=level.xc).density_fit(auxbasis=level.auxiliary_basis)
    method.grids.level = level.grid_level
    method.conv_tol = 1e-11
    method.conv_tol_grad = 1e-7
    method.kernel()
    return method, -method.nuc_grad_method().kernel()


@pytest.mark.parametrize("xc", ["lda,vwn", "pbe", "b3lyp", "wb97x", "r2scan"])
def test_labels_are_those_of_plain_pyscf(water: Structure, xc: str) -> None:
    level = Level(xc=xc, basis="def2-svp", grid_level=2)
    label = Calculator(level).label(water)
    method, forces = plain_pyscf(water, level)
    assert label.attempt == 0
    assert label.energy == pytest.approx(method.e_tot, abs=LABEL_ENERGY)
    assert np.abs(label.forces - forces).max() < LABEL_FORCES
    dipole = method.dip_moment(unit="AU", verbose=0)
    assert np.abs(label.dipole - dipole).max() < LABEL_DIPOLE


def test_labels_agree_with_reference_ethanol(ethanol_frames: dict[str, np.ndarray]) -> None:
    d = ethanol_frames
    label = Calculator(Level()).label(Structure(d["Z"], d["R"][0]))
    assert label.energy == pytest.approx(d["E"][0], abs=REFERENCE_ENERGY)
    assert np.abs(label.forces - d["F"][0]).max() < REFERENCE_FORCES
    assert np.abs(label.dipole - d["mu"][0]).max() < REFERENCE_DIPOLE


def test_one_calculator_gives_the_same_label_after_other_frames(water: Structure) -> None:
    calculator = Calculator(SMALL)
    first = calculator.label(water)
    calculator.label(Structure(water.numbers, water.positions * 1.1))
    again = calculator.label(water)
    assert again.energy == pytest.approx(first.energy, abs=LABEL_ENERGY)
    assert np.abs(again.forces - first.forces).max() < LABEL_FORCES


def test_orbitals_hold_the_electrons_and_the_dipole(water: Structure) -> None:
    label = Calculator(SMALL).label(water)
    mol = build_molecule(water, SMALL)
    overlap = label.orbitals.T @ mol.intor("int1e_ovlp") @ label.orbitals
    assert np.abs(overlap - np.eye(5)).max() < 1e-9
    density = 2.0 * label.orbitals @ label.orbitals.T
    electrons = np.einsum("xmn,mn->x", mol.intor("int1e_r"), density)
    nuclei = water.numbers @ water.positions
    assert np.abs(nuclei - electrons - label.dipole).max() < 1e-10


def test_forces_match_central_differences(water: Structure) -> None:
    # A fine grid: its weights move with the nuclei, which the gradient leaves out on purpose.
    level = Level(basis="sto-3g", grid_level=6, convergence_hartree=1e-11)
    forces = Calculator(level).label(water).forces
    step = 1e-3
    energies = []
    for sign in (1.0, -1.0):
        positions = water.positions.copy()
        positions[1, 0] += sign * step
        energies.append(Calculator(level).label(Structure(water.numbers, positions)).energy)
    assert -(energies[0] - energies[1]) / (2 * step) == pytest.approx(forces[1, 0], abs=2e-5)


def test_an_ion_is_labelled(water: Structure) -> None:
    hydroxide = Structure(water.numbers[:2], water.positions[:2], charge=-1)
    label = Calculator(SMALL).label(hydroxide)
    assert label.orbitals.shape[1] == 5


def test_an_scf_that_cannot_converge_lists_every_attempt(water: Structure) -> None:
    level = Level(basis="def2-svp", grid_level=1, max_cycles=2)
    with pytest.raises(ConvergenceError) as caught:
        Calculator(level).label(water)
    for attempt in ATTEMPTS:
        assert attempt.name in str(caught.value)
    assert "level.max_cycles" in str(caught.value)


def test_a_small_gap_is_a_failure(water: Structure) -> None:
    level = Level(basis="sto-3g", grid_level=1, minimum_gap_hartree=5.0)
    with pytest.raises(ConvergenceError, match=r"plain: gap 0\.\d+ hartree; fresh guess"):
        Calculator(level).label(water)


def test_a_fallback_rescues_a_frame_and_says_so(water: Structure) -> None:
    # One visit to the fine grid is never enough for the plain attempt; the fallback has 60 cycles.
    level = Level(basis="def2-svp", grid_level=2, max_corrections=1)
    label = Calculator(level).label(water)
    plain = Calculator(SMALL).label(water)
    assert (plain.attempt, label.attempt) == (0, 1)
    assert label.energy == pytest.approx(plain.energy, abs=LABEL_ENERGY)
    assert np.abs(label.forces - plain.forces).max() < LABEL_FORCES


def test_an_odd_number_of_electrons_is_refused(water: Structure) -> None:
    with pytest.raises(InputError, match="even number of electrons, got 9"):
        Calculator(SMALL).label(Structure(water.numbers, water.positions, charge=1))


def test_an_unknown_basis_is_refused(water: Structure) -> None:
    with pytest.raises(InputError, match="PySCF cannot use 'nonsense'"):
        Calculator(Level(basis="nonsense")).label(water)
