"""Laws that hold for any weights: symmetries, conservation of charge, forces as derivatives."""

import numpy as np
import pytest
import torch
from pyscf.gto.mole import ao_rotation_matrix
from scipy.spatial.transform import Rotation

from densnet.reference.density_fit import pyscf_basis, pyscf_molecule
from tests.models.conftest import ETHANOL_NUMBERS, ETHANOL_POSITIONS, Evaluator, make_model
from tests.tolerances import CENTRAL_DIFFERENCE, CHARGE, SYMMETRY

ROTATION = Rotation.random(random_state=8).as_matrix()


@pytest.mark.parametrize("improper", [1.0, -1.0], ids=["rotation", "rotation and inversion"])
@pytest.mark.parametrize("inputs", ["both", "density", "geometry"])
def test_energy_is_invariant_and_vectors_turn_with_the_molecule(inputs, improper):
    evaluate = Evaluator(make_model(inputs))
    q = improper * ROTATION
    before = evaluate(ETHANOL_POSITIONS)
    after = evaluate(ETHANOL_POSITIONS @ q.T)
    np.testing.assert_allclose(after["energy"], before["energy"], atol=SYMMETRY)
    np.testing.assert_allclose(after["forces"], before["forces"] @ q.T, atol=SYMMETRY)
    np.testing.assert_allclose(after["dipole"], before["dipole"] @ q.T, atol=SYMMETRY)
    turned = np.einsum("ai,sij,bj->sab", q, before["virial"], q)
    np.testing.assert_allclose(after["virial"], turned, atol=SYMMETRY)


def test_coefficients_turn_as_pyscf_turns_orbitals(evaluate, basis):
    molecule = pyscf_molecule(ETHANOL_NUMBERS, ETHANOL_POSITIONS, pyscf_basis(basis))
    # PySCF's matrix acts on functions, its transpose on coefficients.
    turn = ao_rotation_matrix(molecule, ROTATION)
    before = evaluate(ETHANOL_POSITIONS)["coefficients"]
    after = evaluate(ETHANOL_POSITIONS @ ROTATION.T)["coefficients"]
    np.testing.assert_allclose(after, turn.T @ before, atol=SYMMETRY)


def test_inversion_flips_coefficients_of_odd_l(evaluate, basis):
    sign = (-1.0) ** basis.layout(ETHANOL_NUMBERS).l
    before = evaluate(ETHANOL_POSITIONS)["coefficients"]
    after = evaluate(-ETHANOL_POSITIONS)["coefficients"]
    np.testing.assert_allclose(after, sign * before, atol=SYMMETRY)


def test_translation_changes_nothing(evaluate):
    before = evaluate(ETHANOL_POSITIONS)
    after = evaluate(ETHANOL_POSITIONS + np.array([3.0, -40.0, 7.0]))
    for quantity in ("energy", "forces", "dipole", "coefficients", "virial"):
        np.testing.assert_allclose(after[quantity], before[quantity], atol=SYMMETRY)


def test_permutation_of_atoms_permutes_the_answer(model, basis, rng):
    order = rng.permutation(9)
    before = Evaluator(model)(ETHANOL_POSITIONS)
    after = Evaluator(model, ETHANOL_NUMBERS[order])(ETHANOL_POSITIONS[order])
    np.testing.assert_allclose(after["energy"], before["energy"], atol=SYMMETRY)
    np.testing.assert_allclose(after["forces"], before["forces"][order], atol=SYMMETRY)
    np.testing.assert_allclose(after["charges"], before["charges"][order], atol=SYMMETRY)
    offset = basis.layout(ETHANOL_NUMBERS).atom_offset
    moved = np.concatenate([before["coefficients"][offset[a] : offset[a + 1]] for a in order])
    np.testing.assert_allclose(after["coefficients"], moved, atol=SYMMETRY)


def test_forces_match_central_differences(evaluate):
    forces = evaluate(ETHANOL_POSITIONS)["forces"]
    step = 1e-4
    for atom, axis in ((0, 0), (2, 1), (8, 2), (5, 1)):
        shift = np.zeros((9, 3))
        shift[atom, axis] = step
        up = evaluate(ETHANOL_POSITIONS + shift)["energy"][0]
        down = evaluate(ETHANOL_POSITIONS - shift)["energy"][0]
        assert abs(-(up - down) / (2.0 * step) - forces[atom, axis]) < CENTRAL_DIFFERENCE


def test_the_virial_matches_the_energy_under_strain(evaluate):
    virial = evaluate(ETHANOL_POSITIONS)["virial"][0]
    step = 1e-4
    for a, b in ((0, 0), (1, 1), (0, 2)):
        strain = np.zeros((3, 3))
        strain[a, b] = step
        up = evaluate(ETHANOL_POSITIONS @ (np.eye(3) + strain).T)["energy"][0]
        down = evaluate(ETHANOL_POSITIONS @ (np.eye(3) - strain).T)["energy"][0]
        # A strain moves a dozen bonds at once, so the third derivative is larger than for an atom.
        assert abs(-(up - down) / (2.0 * step) - virial[a, b]) < 10.0 * CENTRAL_DIFFERENCE


def test_forces_add_up_to_nothing_and_exert_no_torque(evaluate):
    forces = evaluate(ETHANOL_POSITIONS)["forces"]
    np.testing.assert_allclose(forces.sum(axis=0), 0.0, atol=SYMMETRY)
    np.testing.assert_allclose(np.cross(ETHANOL_POSITIONS, forces).sum(axis=0), 0.0, atol=SYMMETRY)


def test_charge_is_conserved_in_transfers_and_in_coefficients(evaluate, basis):
    output = evaluate(ETHANOL_POSITIONS)
    layout = basis.layout(ETHANOL_NUMBERS)
    assert abs(output["charges"].sum()) < CHARGE
    assert abs(layout.monopole @ output["coefficients"]) < CHARGE
    per_atom = np.bincount(layout.atom, layout.monopole * output["coefficients"])
    np.testing.assert_allclose(per_atom, output["charges"], atol=CHARGE)
    assert np.abs(output["charges"]).max() > 1e-3


def test_the_dipole_is_that_of_the_coefficients_and_needs_no_origin(evaluate, basis):
    output = evaluate(ETHANOL_POSITIONS)
    layout = basis.layout(ETHANOL_NUMBERS)
    c = output["coefficients"]
    expected = -(layout.monopole * c) @ ETHANOL_POSITIONS[layout.atom]
    for axis, m in enumerate((1, -1, 0)):
        own = (layout.l == 1) & (layout.m == m)
        expected[axis] -= layout.first_moment[own] @ c[own]
    np.testing.assert_allclose(output["dipole"][0], expected, atol=SYMMETRY)


def test_a_batch_equals_its_structures_one_by_one(evaluate, rng):
    structures = ETHANOL_POSITIONS + 0.05 * rng.normal(size=(3, 9, 3))
    together = evaluate(structures)
    for k, r in enumerate(structures):
        alone = evaluate(r)
        np.testing.assert_allclose(together["energy"][k], alone["energy"][0], atol=SYMMETRY)
        np.testing.assert_allclose(together["dipole"][k], alone["dipole"][0], atol=SYMMETRY)
        of_k = slice(9 * k, 9 * (k + 1))
        np.testing.assert_allclose(together["forces"][of_k], alone["forces"], atol=SYMMETRY)


def test_everything_is_smooth_where_an_atom_crosses_the_cutoff(model):
    evaluate = Evaluator(model)
    cutoff = model.cutoff
    direction = np.array([0.6, 0.0, 0.8])
    far = ETHANOL_POSITIONS.copy()
    outputs = []
    for distance in (cutoff - 1e-4, cutoff, cutoff + 1e-4):
        # Only atom 8's distance from atom 3 is near the cutoff; its other pairs are ordinary.
        far[8] = far[3] + distance * direction
        outputs.append(evaluate(far))
    for quantity in ("energy", "forces", "dipole"):
        slope_in = outputs[1][quantity] - outputs[0][quantity]
        slope_out = outputs[2][quantity] - outputs[1][quantity]
        np.testing.assert_allclose(slope_in, slope_out, atol=1e-6)


def test_scripted_equals_eager(model, rng):
    scripted = torch.jit.script(model)
    structures = ETHANOL_POSITIONS + 0.05 * rng.normal(size=(2, 9, 3))
    eager, compiled = Evaluator(model)(structures), Evaluator(scripted)(structures)
    for quantity, value in eager.items():
        np.testing.assert_allclose(compiled[quantity], value, atol=SYMMETRY)


def test_the_functional_without_density_input_ignores_the_density():
    from densnet.training.losses import predict_density

    answers = {}
    for inputs in ("both", "density", "geometry"):
        model = make_model(inputs)
        batch = EthanolBatch()
        density = predict_density(model, batch, with_forces=False)
        changed = density.components + 0.1
        one_hot, species = density.one_hot, batch.species
        first = model.atomic_energies(density.components, density.edges, species, one_hot)
        second = model.atomic_energies(changed, density.edges, species, one_hot)
        answers[inputs] = float((second - first).abs().max().detach())
    assert answers["geometry"] == 0.0
    assert answers["both"] > 1e-4
    assert answers["density"] > 1e-4


class EthanolBatch:
    """The part of a training batch that the density map reads."""

    def __init__(self):
        from densnet.nn.graph import complete_graph

        self.positions = torch.tensor(ETHANOL_POSITIONS)
        self.species = torch.tensor([(1, 6, 8).index(int(z)) for z in ETHANOL_NUMBERS])
        self.graph = complete_graph(9)
        self.n_structures = 1
