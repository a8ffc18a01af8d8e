"""The response map keeps its laws for any weights: linear, symmetric, neutral, equivariant."""

import numpy as np
import pytest
import torch
from pyscf.gto.mole import ao_rotation_matrix
from scipy.spatial.transform import Rotation

from densnet.density import compute_moments
from densnet.errors import InputError
from densnet.models import ModelConfig, ResponseMapConfig
from densnet.models.io import model_from_dict, model_to_dict
from densnet.nn.field import FieldInteraction
from densnet.nn.graph import complete_graph
from densnet.nn.precision import set_precision
from densnet.reference.density_fit import pyscf_basis, pyscf_molecule
from tests.models.conftest import ETHANOL_NUMBERS, ETHANOL_POSITIONS, Evaluator, make_model
from tests.tolerances import CHARGE, ROUNDING, SYMMETRY

ROTATION = Rotation.random(random_state=9).as_matrix()


@pytest.fixture(scope="module")
def polarizable():
    return make_model(response=True)


@pytest.fixture(scope="module")
def respond(polarizable):
    return Evaluator(polarizable).response


@pytest.mark.parametrize("improper", [1.0, -1.0], ids=["rotation", "rotation and inversion"])
def test_the_polarizability_turns_with_the_molecule(respond, improper):
    q = improper * ROTATION
    before, after = respond(ETHANOL_POSITIONS), respond(ETHANOL_POSITIONS @ q.T)
    for part in ("polarizability", "asymmetry"):
        assert np.abs(before[part]).max() > 1e-3
        np.testing.assert_allclose(after[part][0], q @ before[part][0] @ q.T, atol=SYMMETRY)
    # Anisotropic: the test would notice a response that ignored the molecule.
    assert np.ptp(np.linalg.eigvalsh(before["polarizability"][0])) > 1.0


def test_response_coefficients_turn_with_field_and_orbitals(respond, basis):
    molecule = pyscf_molecule(ETHANOL_NUMBERS, ETHANOL_POSITIONS, pyscf_basis(basis))
    turn = ao_rotation_matrix(molecule, ROTATION)
    before = respond(ETHANOL_POSITIONS)["coefficient_response"]
    after = respond(ETHANOL_POSITIONS @ ROTATION.T)["coefficient_response"]
    np.testing.assert_allclose(after, ROTATION @ before @ turn, atol=SYMMETRY)
    sign = (-1.0) ** basis.layout(ETHANOL_NUMBERS).l
    inverted = respond(-ETHANOL_POSITIONS)["coefficient_response"]
    np.testing.assert_allclose(inverted, -sign * before, atol=SYMMETRY)
    # Every l answers.
    for l in range(basis.l_max + 1):
        assert np.abs(before[:, basis.layout(ETHANOL_NUMBERS).l == l]).max() > 1e-3


def test_translation_changes_nothing(respond):
    before = respond(ETHANOL_POSITIONS)
    after = respond(ETHANOL_POSITIONS + np.array([3.0, -40.0, 7.0]))
    for name, value in before.items():
        np.testing.assert_allclose(after[name], value, atol=SYMMETRY)


def test_permutation_of_atoms_permutes_the_response(polarizable, respond, basis, rng):
    order = rng.permutation(9)
    before = respond(ETHANOL_POSITIONS)
    after = Evaluator(polarizable, ETHANOL_NUMBERS[order]).response(ETHANOL_POSITIONS[order])
    np.testing.assert_allclose(after["polarizability"], before["polarizability"], atol=SYMMETRY)
    charges = before["charge_response"][:, order]
    np.testing.assert_allclose(after["charge_response"], charges, atol=SYMMETRY)
    offset = basis.layout(ETHANOL_NUMBERS).atom_offset
    columns = np.concatenate([np.arange(offset[a], offset[a + 1]) for a in order])
    moved = before["coefficient_response"][:, columns]
    np.testing.assert_allclose(after["coefficient_response"], moved, atol=SYMMETRY)


def test_a_field_induces_no_charge(respond, basis):
    output = respond(ETHANOL_POSITIONS)
    charges = output["charge_response"]
    assert np.abs(charges).max() > 1e-3
    np.testing.assert_allclose(charges.sum(axis=1), 0.0, atol=CHARGE)
    layout = basis.layout(ETHANOL_NUMBERS)
    carried = layout.monopole * output["coefficient_response"]
    np.testing.assert_allclose(carried.sum(axis=1), 0.0, atol=CHARGE)
    per_atom = np.stack([np.bincount(layout.atom, row) for row in carried])
    np.testing.assert_allclose(per_atom, charges, atol=CHARGE)


def test_no_charge_is_induced_in_single_precision_either():
    model = make_model(response=True)
    set_precision(model, torch.float32)
    charges = Evaluator(model).response(ETHANOL_POSITIONS)["charge_response"]
    assert np.abs(charges).max() > 1e-3
    np.testing.assert_allclose(charges.sum(axis=1), 0.0, atol=CHARGE)


def test_the_polarizability_is_the_dipole_of_the_response_density(respond, basis):
    output = respond(ETHANOL_POSITIONS)
    alpha = output["polarizability"][0] + output["asymmetry"][0]
    for y, c in enumerate(output["coefficient_response"]):
        moments = compute_moments(basis, ETHANOL_NUMBERS, ETHANOL_POSITIONS, c)
        np.testing.assert_allclose(moments.dipole, alpha[:, y], atol=SYMMETRY)


def test_a_batch_equals_its_structures_one_by_one(respond, rng):
    structures = ETHANOL_POSITIONS + 0.05 * rng.normal(size=(3, 9, 3))
    together = respond(structures)
    coefficients = together["coefficient_response"].reshape(3, 3, -1)
    for k, r in enumerate(structures):
        alone = respond(r)
        alpha = alone["polarizability"][0]
        np.testing.assert_allclose(together["polarizability"][k], alpha, atol=SYMMETRY)
        own = alone["coefficient_response"]
        np.testing.assert_allclose(coefficients[:, k], own, atol=SYMMETRY)


def test_the_response_is_smooth_where_an_atom_crosses_the_cutoff(polarizable, respond):
    far = ETHANOL_POSITIONS.copy()
    outputs = []
    for step in (-1e-4, 0.0, 1e-4):
        far[8] = far[3] + (polarizable.cutoff + step) * np.array([0.6, 0.0, 0.8])
        outputs.append(respond(far)["polarizability"])
    np.testing.assert_allclose(outputs[1] - outputs[0], outputs[2] - outputs[1], atol=1e-6)


def test_scripted_equals_eager(polarizable, respond, rng):
    structures = ETHANOL_POSITIONS + 0.05 * rng.normal(size=(2, 9, 3))
    scripted = Evaluator(torch.jit.script(polarizable))
    eager, compiled = respond(structures), scripted.response(structures)
    assert set(eager) == set(compiled)
    for name, value in eager.items():
        np.testing.assert_allclose(compiled[name], value, atol=SYMMETRY)


def test_layers_are_linear_in_the_field(polarizable, rng):
    """The response to a sum of field features is the sum of the responses."""
    model = polarizable
    graph = Evaluator(model)
    torch.manual_seed(2)
    layer = FieldInteraction(2, 3, 3, 4, 6, 6, 24, 3, 8.0).double()
    pairs = complete_graph(9)
    r = torch.tensor(ETHANOL_POSITIONS)
    edges = model.edges(
        r[pairs.senders] - r[pairs.receivers], graph.species, pairs.receivers, pairs.senders
    )
    environment = torch.from_numpy(rng.normal(size=(16, 9, 24)))
    radial = torch.from_numpy(rng.normal(size=(72, 6)))
    first, second = torch.from_numpy(rng.normal(size=(2, 9, 27, 6)))

    def apply(features):
        return layer(features, environment, radial, edges, graph.species)

    with torch.no_grad():
        combined, separate = apply(2.0 * first - second), 2.0 * apply(first) - apply(second)
    assert float(separate.abs().max()) > 0.1
    np.testing.assert_allclose(combined, separate, atol=ROUNDING * float(separate.abs().max()))


def test_the_response_map_leaves_the_other_outputs_alone():
    without, with_map = make_model(), make_model(response=True)
    shared = without.state_dict()
    with_map.load_state_dict(shared, strict=False)
    before, after = Evaluator(without)(ETHANOL_POSITIONS), Evaluator(with_map)(ETHANOL_POSITIONS)
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value)
    added = set(with_map.state_dict()) - set(shared)
    assert added
    assert all(name.startswith("response_map.") for name in added)


def test_a_model_without_a_response_map_says_so():
    with pytest.raises(RuntimeError, match="no response map"):
        Evaluator(make_model()).response(ETHANOL_POSITIONS)


def test_a_saved_model_keeps_its_response_map_and_an_older_one_loads_without(basis):
    model = make_model(response=True)
    rebuilt, _ = model_from_dict(model_to_dict(model, basis))
    expected = Evaluator(model).response(ETHANOL_POSITIONS)["polarizability"]
    found = Evaluator(rebuilt).response(ETHANOL_POSITIONS)["polarizability"]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
    content = make_model().config.to_dict()
    del content["response_map"]
    assert ModelConfig.from_dict(content).response_map is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"n_layers": 1}, "two or more layers"), ({"l_features": 4}, "between 1")],
)
def test_sizes_that_cannot_work_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        ResponseMapConfig(**changes)
