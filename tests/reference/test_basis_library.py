import numpy as np
import pytest
from pyscf import gto

from densnet.basis import DensityBasis
from densnet.errors import InputError
from densnet.integrals import coulomb_metric
from densnet.reference.basis_library import load_pyscf_basis
from densnet.structure import Structure

PRIOR = DensityBasis.load("densnet-dz-367").prior


@pytest.mark.parametrize("name", ["def2-universal-jfit", "def2-universal-jkfit", "weigend"])
def test_the_basis_has_pyscf_s_functions(water: Structure, name: str) -> None:
    basis = load_pyscf_basis(name, [1, 8], PRIOR)
    mol = gto.M(
        atom=list(zip(water.numbers.tolist(), water.positions.tolist(), strict=True)),
        unit="Bohr",
        basis=name,
        verbose=0,
    )
    assert basis.n_functions(water.numbers) == mol.nao
    ours = coulomb_metric(basis, water.numbers, water.positions)
    # The order of shells inside l may differ; the spectrum of the metric does not.
    theirs = np.linalg.eigvalsh(mol.intor("int2c2e"))
    assert np.abs(np.linalg.eigvalsh(ours) / theirs - 1.0).max() < 1e-6


def test_a_general_contraction_becomes_one_shell_a_column() -> None:
    basis = load_pyscf_basis("cc-pvdz", [8], PRIOR)
    assert [shell.l for shell in basis.shells[8]] == [0, 0, 0, 1, 1, 2]


def test_an_unknown_basis_or_an_element_without_prior_is_refused() -> None:
    with pytest.raises(InputError, match="no basis 'nonsense' for O"):
        load_pyscf_basis("nonsense", [8], PRIOR)
    with pytest.raises(InputError, match=r"no free-atom prior for Z = \[26\]"):
        load_pyscf_basis("def2-universal-jfit", [26], PRIOR)
