"""The archive's sequence of operations computes what the model's own Python computes."""

import io

import pytest
import torch

from densnet.export.loading import load_module
from densnet.export.sequence import EDGES_AT_A_TIME, Deployed
from densnet.nn.graph import neighbour_graph
from tests.export.test_engine import assert_equal, in_python, make, species_of
from tests.models.conftest import ETHANOL_POSITIONS, make_model
from tests.tolerances import ENGINE_RELATIVE, ENGINE_SINGLE_RELATIVE

MODELS = {
    "unlike l": lambda: make("unlike l")[0],
    "geometry only": lambda: make("geometry only")[0],
    "potential": lambda: make_model("density", potential=True).eval(),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_sequence_computes_what_the_model_computes(tmp_path, name, rng):
    model = MODELS[name]()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    archive = io.BytesIO()
    torch.jit.save(torch.jit.script(Deployed(model)), archive)
    species = species_of(model)
    for dtype, tolerance in (("float64", ENGINE_RELATIVE), ("float32", ENGINE_SINGLE_RELATIVE)):
        module = load_module(archive.getvalue(), dtype, tmp_path)
        # One structure, and so many that their edges are taken in turns; twice, for TorchScript
        # optimises a graph at its second call.
        for n_structures in (1, 5, 1):
            positions = ETHANOL_POSITIONS + 0.05 * rng.normal(size=(n_structures, 9, 3))
            graph = neighbour_graph(positions, model.cutoff)
            assert (len(graph.receivers) > EDGES_AT_A_TIME) == (n_structures > 1)
            expected = in_python(model, species, positions, graph)
            with torch.inference_mode():
                found = in_python(module, species, positions, graph)
            assert_equal(found, expected, tolerance)
