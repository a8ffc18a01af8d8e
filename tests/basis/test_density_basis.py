"""The basis: normalisation, order of the coefficients, files."""

import json

import numpy as np
import pytest
from pyscf import gto

from densnet.basis import DensityBasis, Shell
from densnet.basis.density_basis import AtomicPrior
from densnet.errors import DataError, InputError, UnknownElementError

SHELLS = {
    1: (Shell(1, (0.7,)), Shell(0, (0.3,)), Shell(0, (1.1, 4.0), (0.4, 0.7))),
    8: (Shell(0, (0.5,)), Shell(2, (1.5,)), Shell(1, (0.9, 2.5), (0.6, 0.5))),
}
PRIOR = {1: AtomicPrior((0.9,), (1.0,)), 8: AtomicPrior((0.4, 20.0), (6.5, 1.5))}
BASIS = DensityBasis("test", SHELLS, PRIOR)


def pyscf_molecule(numbers, positions):
    basis = {
        gto.mole._symbol(z): [
            [s.l, *([a, d] for a, d in zip(s.exponents, s.coefficients, strict=True))]
            for s in BASIS.shells[z]
        ]
        for z in set(numbers)
    }
    atoms = [(z, r) for z, r in zip(numbers, positions, strict=True)]
    return gto.M(atom=atoms, basis=basis, unit="bohr", spin=None, verbose=0)


def test_layout_orders_functions_as_pyscf_labels_them():
    numbers = [8, 1]
    layout = BASIS.layout(numbers)
    labels = pyscf_molecule(numbers, [[0, 0, 0], [0, 0, 1.8]]).ao_labels(fmt=None)
    letters = [label[2][-1] for label in labels]
    assert [label[0] for label in labels] == layout.atom.tolist()
    assert letters == ["spdfg"[l] for l in layout.l]
    p_labels = [label[3] for label in labels if label[2].endswith("p")]
    assert p_labels[:3] == ["x", "y", "z"]
    assert layout.m[layout.l == 1].tolist()[:3] == [1, -1, 0]
    assert layout.n_functions == len(labels) == BASIS.n_functions(numbers)
    assert layout.atom_offset.tolist() == [0, 9, 14]


def test_monopoles_and_first_moments_match_pyscf_integrals():
    numbers = [8]
    layout = BASIS.layout(numbers)
    molecule = pyscf_molecule(numbers, [[0.0, 0.0, 0.0]])
    # A Gaussian of exponent → 0 and height one turns overlaps into integrals over all space.
    flat = 1e-14
    height = Shell(0, (flat,)).monopole() / (np.pi / flat) ** 1.5
    constant = gto.M(atom="ghost-H 0 0 0", basis={"ghost-H": [[0, [flat, 1.0]]]}, verbose=0)
    charges = gto.intor_cross("int1e_ovlp", molecule, constant)[:, 0] / height
    moments = gto.intor_cross("int1e_r", molecule, constant)[:, :, 0] / height
    np.testing.assert_allclose(layout.monopole, charges, atol=1e-6)
    for axis, m in enumerate((1, -1, 0)):
        mask = (layout.l == 1) & (layout.m == m)
        np.testing.assert_allclose(layout.first_moment[mask], moments[axis][mask], atol=1e-6)


def test_a_basis_survives_its_file(tmp_path):
    path = tmp_path / "basis.json"
    BASIS.save(path)
    loaded = DensityBasis.load(path)
    assert loaded.to_dict() == BASIS.to_dict()
    assert loaded.sha256 == BASIS.sha256


def test_the_hash_sees_an_exponent_but_not_the_name():
    other = {**SHELLS, 1: (Shell(0, (0.3000001,)),)}
    assert DensityBasis("renamed", SHELLS, PRIOR).sha256 == BASIS.sha256
    assert DensityBasis("test", other, PRIOR).sha256 != BASIS.sha256


def test_unknown_elements_and_bad_shells_are_refused(tmp_path):
    with pytest.raises(UnknownElementError, match="Z = \\[6\\]"):
        BASIS.layout([6, 1])
    with pytest.raises(InputError, match="exponents must be positive"):
        Shell(0, (-1.0,))
    with pytest.raises(InputError, match="between 0 and 6"):
        Shell(7, (1.0,))
    with pytest.raises(InputError, match="neutral atom has 1"):
        DensityBasis("charged", SHELLS, {1: AtomicPrior((0.9,), (1.2,))})
    with pytest.raises(InputError, match="no density basis 'nowhere'"):
        DensityBasis.load("nowhere")
    path = tmp_path / "broken.json"
    path.write_text(json.dumps({"format": 99}))
    with pytest.raises(DataError, match="format 99"):
        DensityBasis.load(path)
