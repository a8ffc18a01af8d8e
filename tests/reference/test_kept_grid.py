import numpy as np
import pytest
from pyscf import dft

from densnet.reference.kept_grid import KeptGridIntegrator, occupied_orbitals
from densnet.reference.level import Level
from densnet.reference.method import build_molecule
from densnet.structure import Structure
from tests.tolerances import ROUNDING

LEVEL = Level(basis="def2-svp")


@pytest.mark.parametrize("xc", ["lda,vwn", "pbe", "b3lyp", "r2scan"])
def test_energy_and_potential_are_those_of_pyscf(water: Structure, xc: str) -> None:
    mol = build_molecule(water, LEVEL)
    method = dft.RKS(mol, xc=xc).density_fit()
    method.grids.level = 1
    method.max_cycle = 2
    method.kernel()
    dm = method.make_rdm1()
    kept = KeptGridIntegrator()
    ours = kept.nr_rks(mol, method.grids, xc, dm)
    theirs = dft.numint.NumInt().nr_rks(mol, method.grids, xc, dm)
    # PySCF leaves out densities below 1e-10 in its own loop, which is worth some 1e-9 electrons.
    assert ours[0] == pytest.approx(theirs[0], abs=1e-8)
    assert ours[1] == pytest.approx(theirs[1], abs=1e-8)
    assert np.abs(ours[2] - theirs[2]).max() < 1e-8


def test_a_density_matrix_without_orbitals_takes_pyscf_s_own_loop(water: Structure) -> None:
    mol = build_molecule(water, LEVEL)
    grids = dft.Grids(mol)
    grids.level = 0
    grids.build()
    dm = np.asarray(dft.RKS(mol).get_init_guess())
    assert occupied_orbitals(dm) is None
    ours = KeptGridIntegrator().nr_rks(mol, grids, "pbe", dm)
    theirs = dft.numint.NumInt().nr_rks(mol, grids, "pbe", dm)
    assert ours[1] == pytest.approx(theirs[1], abs=ROUNDING)


def test_a_new_geometry_does_not_see_the_old_orbital_values(water: Structure) -> None:
    kept = KeptGridIntegrator()
    energies = []
    for shift in (0.0, 0.3):
        positions = water.positions.copy()
        positions[1, 0] += shift
        mol = build_molecule(Structure(water.numbers, positions), LEVEL)
        method = dft.RKS(mol, xc="pbe").density_fit()
        method.grids.level = 0
        method.max_cycle = 1
        method.kernel()
        dm = method.make_rdm1()
        kept.forget()
        energies.append(
            kept.nr_rks(mol, method.grids, "pbe", dm)[1]
            - dft.numint.NumInt().nr_rks(mol, method.grids, "pbe", dm)[1]
        )
    assert np.abs(energies).max() < 1e-8


def test_values_that_do_not_fit_into_memory_are_computed_anew_with_a_warning(
    water: Structure, caplog: pytest.LogCaptureFixture
) -> None:
    mol = build_molecule(water, LEVEL)
    method = dft.RKS(mol, xc="pbe").density_fit()
    method.grids.level = 0
    method.max_cycle = 1
    method.kernel()
    dm = method.make_rdm1()
    fast = KeptGridIntegrator().nr_rks(mol, method.grids, "pbe", dm)
    mol.max_memory = 1
    slow = KeptGridIntegrator().nr_rks(mol, method.grids, "pbe", dm)
    assert slow[1] == pytest.approx(fast[1], abs=1e-8)
    assert "PYSCF_MAX_MEMORY" in caplog.text
