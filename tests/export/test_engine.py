"""The compiled engine computes what the model's own Python computes, for any shape of a model."""

import logging
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from densnet.basis import DensityBasis
from densnet.errors import BundleError, InputError
from densnet.export import engine as engine_module
from densnet.export.contents import shipped_bundles
from densnet.export.engine import OUTPUTS, Engine, EngineUnavailableError, compiled_engine
from densnet.export.loading import load_model
from densnet.models import DensityMapConfig, DensNet, EnergyFunctionalConfig, ModelConfig
from densnet.nn.graph import complete_graph, neighbour_graph
from tests.models.conftest import ETHANOL_NUMBERS, ETHANOL_POSITIONS, random_whitening
from tests.tolerances import CENTRAL_DIFFERENCE, ENGINE_RELATIVE, ENGINE_SINGLE_RELATIVE

# Sizes that are no multiple of anything, so that every padding is at work.
SHAPES = {
    "one layer": ((1, 6, 8), {"n_layers": 1}, {"n_layers": 1}),
    "three layers": (
        (1, 6, 8),
        {"n_channels": 17, "n_layers": 3, "n_transfer": 3},
        {"n_channels": 5, "n_layers": 3, "n_hidden": 9},
    ),
    "sulphur": ((1, 6, 8, 16), {"n_layers": 2}, {"n_channels": 12}),
    "two-body l = 2": (
        (1, 6, 8),
        {"l_two_body": 2, "l_features": 1},
        {"l_two_body": 2, "l_features": 2},
    ),
    "unlike l": ((1, 6, 8), {"l_two_body": 4, "l_features": 3}, {"l_two_body": 2, "l_features": 1}),
    "density only": ((1, 6, 8), {}, {"inputs": "density", "n_layers": 3}),
    "geometry only": ((1, 6, 8), {}, {"inputs": "geometry"}),
}


def make(shape):
    elements, density_map, functional = SHAPES[shape]
    torch.manual_seed(7)
    name = "densnet-dz-hcos-367" if 16 in elements else "densnet-dz-367"
    basis = DensityBasis.load(name).restricted_to(elements)
    config = ModelConfig(
        elements,
        cutoff=7.0,
        n_radial=5,
        n_contracted=7,
        density_map=DensityMapConfig(**{"n_channels": 8, **density_map}),
        energy_functional=EnergyFunctionalConfig(**{"n_channels": 8, **functional}),
    )
    reference = torch.linspace(-0.5, -75.0, len(elements))
    whitening = random_whitening(basis, elements)
    return DensNet(config, whitening, reference, 0.03, 8.0).double().eval(), basis


def engine_of(model, basis, dtype="float64"):
    weights = {name: value.numpy() for name, value in model.state_dict().items()}
    return Engine(model.config, basis, weights, dtype)


def in_python(model, species, positions, graph):
    n_batch, n_atoms, _ = positions.shape
    output = model(
        torch.from_numpy(positions.reshape(-1, 3)),
        torch.from_numpy(np.tile(species, n_batch)),
        graph.receivers,
        graph.senders,
        graph.shifts,
        graph.structure,
        n_batch,
    )
    shapes = {"forces": (n_batch, n_atoms, 3), "coefficients": (n_batch, -1)}
    shapes["charges"] = (n_batch, n_atoms)
    values = {name: output[name].detach().numpy() for name in OUTPUTS}
    return {n: v.reshape(shapes[n]) if n in shapes else v for n, v in values.items()}


def assert_equal(found, expected, tolerance):
    for name in OUTPUTS:
        scale = np.abs(expected[name]).max()
        assert np.abs(found[name] - expected[name]).max() <= tolerance * scale, name


def species_of(model, numbers=ETHANOL_NUMBERS):
    return np.array([model.config.elements.index(int(z)) for z in numbers])


@pytest.fixture(scope="module")
def structures():
    rng = np.random.default_rng(3)
    return ETHANOL_POSITIONS + rng.normal(scale=0.1, size=(3, 9, 3))


@pytest.mark.parametrize("shape", SHAPES)
def test_the_engine_is_the_model(shape, structures):
    model, basis = make(shape)
    species = species_of(model)
    expected = in_python(model, species, structures, complete_graph(9, 3))
    assert_equal(engine_of(model, basis).evaluate(species, structures), expected, ENGINE_RELATIVE)
    single = engine_of(model, basis, "float32").evaluate(species, structures)
    assert_equal(single, expected, ENGINE_SINGLE_RELATIVE)
    assert np.abs(single["charges"].sum(axis=1)).max() < 1e-14


@pytest.mark.parametrize("name", shipped_bundles())
def test_shipped_bundles_are_evaluated_by_the_engine(name, rng):
    scripted = load_model(name, dtype="float64", path="torchscript")
    exact = load_model(name, dtype="float64", path="engine")
    single = load_model(name)
    assert (scripted.path, exact.path, single.path) == ("torchscript", "engine", "engine")
    numbers = scripted.template_numbers
    r = scripted.template_positions
    positions = r + 0.1 * rng.normal(size=(4, *r.shape))
    expected = vars(scripted.evaluate(numbers, positions))
    assert_equal(vars(exact.evaluate(numbers, positions)), expected, ENGINE_RELATIVE)
    found = vars(single.evaluate(numbers, positions))
    assert_equal(found, expected, ENGINE_SINGLE_RELATIVE)


def test_forces_and_virial_match_central_differences(structures):
    model, basis = make("three layers")
    engine, species, r = engine_of(model, basis), species_of(model), structures[0]
    result = engine.evaluate(species, r[None])
    h = 1e-4
    steps = np.concatenate([h * np.eye(27), -h * np.eye(27)]).reshape(54, 9, 3)
    energies = engine.evaluate(species, r + steps)["energy"]
    numeric = -(energies[:27] - energies[27:]).reshape(9, 3) / (2.0 * h)
    np.testing.assert_allclose(result["forces"][0], numeric, atol=CENTRAL_DIFFERENCE)
    strains = np.stack(
        [r @ (np.eye(3) + s * h * e.reshape(3, 3)).T for s in (1.0, -1.0) for e in np.eye(9)]
    )
    energies = engine.evaluate(species, strains)["energy"]
    virial = -(energies[:9] - energies[9:]).reshape(3, 3) / (2.0 * h)
    np.testing.assert_allclose(result["virial"][0], virial.T, atol=10.0 * CENTRAL_DIFFERENCE)


@pytest.mark.parametrize("n_atoms", [1, 2, 3, 9])
def test_a_batch_is_its_structures_whatever_the_block(n_atoms, structures):
    """Small molecules share a block; the order of atoms within does not matter."""
    model, basis = make("one layer")
    engine, species = engine_of(model, basis), species_of(model)[:n_atoms]
    batch = np.concatenate([structures, structures + 0.05])[:, :n_atoms]
    together = engine.evaluate(species, batch)
    alone = [engine.evaluate(species, r[None]) for r in batch]
    assert_equal(
        together, {name: np.concatenate([a[name] for a in alone]) for name in OUTPUTS}, 1e-13
    )
    order = np.random.default_rng(0).permutation(n_atoms)
    permuted = engine.evaluate(species[order], batch[:, order])
    for name in ("energy", "virial", "dipole"):
        np.testing.assert_allclose(permuted[name], together[name], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(permuted["forces"], together["forces"][:, order], atol=1e-13)


def test_threads_and_concurrent_calls_change_nothing(structures):
    model, basis = make("sulphur")
    engine, species = engine_of(model, basis), species_of(model)
    batch = np.concatenate([structures + 0.01 * k for k in range(5)])
    expected = engine.evaluate(species, batch)
    shared = engine.evaluate(species, batch, threads=2)
    results = [{} for _ in range(3)]

    def work(k):
        for _ in range(3):
            results[k] = engine.evaluate(species, batch)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for found in (shared, *results):
        for name in OUTPUTS:
            np.testing.assert_array_equal(found[name], expected[name])


def test_pairs_are_found_as_by_the_neighbour_list():
    """Four ethanols in a row, 36 atoms: many pairs beyond the cutoff."""
    model, basis = make("one layer")
    numbers = np.tile(ETHANOL_NUMBERS, 4)
    shifts = np.repeat(6.0 * np.arange(4), 9)[:, None] * np.array([0.3, 1.0, 0.2])
    r = (np.tile(ETHANOL_POSITIONS, (4, 1)) + shifts)[None]
    species = species_of(model, numbers)
    expected = in_python(model, species, r, neighbour_graph(r, model.cutoff))
    assert_equal(engine_of(model, basis).evaluate(species, r), expected, ENGINE_RELATIVE)


def test_periodic_cells_match(structures):
    """A cell so small that atoms see their own images."""
    model, basis = make("one layer")
    species = species_of(model)
    cell = np.array([[9.0, 0.0, 0.0], [1.0, 6.5, 0.0], [0.0, 0.5, 8.0]])
    graph = neighbour_graph(structures, model.cutoff, cell)
    expected = in_python(model, species, structures, graph)
    found = engine_of(model, basis).evaluate(species, structures, graph)
    assert_equal(found, expected, ENGINE_RELATIVE)


def test_every_instruction_set_computes_the_same(structures):
    module, _ = compiled_engine()
    model, basis = make("three layers")
    engine, species = engine_of(model, basis), species_of(model)
    expected = engine.evaluate(species, structures)
    try:
        for name in module.instruction_sets():
            module.use_instruction_set(name)
            assert_equal(engine.evaluate(species, structures), expected, ENGINE_RELATIVE)
    finally:
        module.use_instruction_set(module.instruction_sets()[0])


def test_what_the_engine_cannot_do_is_refused_with_the_reason():
    model, basis = make("one layer")
    weights = {name: value.numpy() for name, value in model.state_dict().items()}
    lacking = {name: w for name, w in weights.items() if name != "density_map.transfer.mix"}
    with pytest.raises(EngineUnavailableError, match=r"lacks density_map\.transfer\.mix"):
        Engine(model.config, basis, lacking, "float64")
    wrong = {**weights, "energy_functional.species": np.zeros((3, 9))}
    with pytest.raises(
        EngineUnavailableError, match=r"energy_functional\.species has another shape"
    ):
        Engine(model.config, basis, wrong, "float64")
    functional = replace(model.config.energy_functional, potential=True)
    with pytest.raises(EngineUnavailableError, match="potential at the nuclei"):
        Engine(replace(model.config, energy_functional=functional), basis, weights, "float64")
    with pytest.raises(InputError, match="path must be"):
        load_model("ethanol", path="fast")


def test_without_the_extension_a_model_says_so_and_runs(monkeypatch, caplog):
    monkeypatch.setattr(engine_module, "compiled_engine", lambda: (None, "no such file"))
    with caplog.at_level(logging.WARNING):
        model = load_model("ethanol")
    assert model.path == "torchscript"
    assert "not compiled (no such file)" in caplog.text
    with pytest.raises(BundleError, match="engine cannot be used"):
        load_model("ethanol", path="engine")


def test_an_engine_that_misses_the_probes_is_not_used(monkeypatch, caplog):
    def off(self, *arguments):
        result = evaluate(self, *arguments)
        return {**result, "forces": result["forces"] * 1.01}

    evaluate = Engine.evaluate
    monkeypatch.setattr(Engine, "evaluate", off)
    with caplog.at_level(logging.WARNING):
        model = load_model("ethanol")
    assert model.path == "torchscript"
    assert "does not reproduce its stored forces" in caplog.text
