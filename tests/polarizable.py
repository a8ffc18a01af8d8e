"""A bundle that offers polarizabilities: the shipped weights with an untrained response map."""

from pathlib import Path

import torch

from densnet.export.bundle import Provenance, export_bundle
from densnet.export.loading import load_model
from densnet.export.rebuild import rebuild_model
from densnet.export.runtime import Model
from densnet.models import ResponseMapConfig
from densnet.models.densnet import with_response_map


def provenance_of(model: Model) -> Provenance:
    """Return the provenance of a copy of a model."""
    return Provenance(
        name="copy",
        numbers=model.template_numbers,
        positions=model.template_positions[None],
        level={},
        training_sha256="",
        accuracy={},
    )


def load_older_model() -> Model:
    """Load the shipped ethanol as if its manifest were older than response maps."""
    model = load_model("ethanol", dtype="float64")
    model.manifest = {k: v for k, v in model.manifest.items() if k != "polarizability"}
    return model


def write_polarizable_bundle(folder: Path) -> None:
    """Export the shipped ethanol with a small response map of random weights."""
    model, basis = rebuild_model("ethanol")
    torch.manual_seed(5)
    grown = with_response_map(model, ResponseMapConfig(n_channels=4))
    assert grown.response_map is not None
    whitening = grown.response_map.whitening
    own = whitening.state_dict()
    # Scales of the density's own coefficients serve an untrained map; a response has no mean.
    own |= {k: v for k, v in model.whitening.state_dict().items() if "offset" not in k}
    whitening.load_state_dict(own)
    export_bundle(grown, basis, provenance_of(load_model("ethanol")), folder)
