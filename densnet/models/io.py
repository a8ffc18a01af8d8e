"""A model as a plain dictionary: weights, configuration and density basis, nothing executable."""

import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from densnet.basis import DensityBasis
from densnet.errors import DataError
from densnet.models.config import ModelConfig
from densnet.models.densnet import DensNet
from densnet.models.whitening import empty_whitening
from densnet.nn.precision import set_precision

FORMAT_VERSION = 1


def model_to_dict(
    model: DensNet, basis: DensityBasis, weights: Mapping[str, Tensor] | None = None
) -> dict[str, Any]:
    """Return what :func:`model_from_dict` needs, fit for ``torch.save``.

    Parameters
    ----------
    model : DensNet
    basis : DensityBasis
        The basis that the model was made with.
    weights : mapping of str to Tensor
        Replaces the model's own state, for instance by an average of it.
    """
    state = dict(model.state_dict() if weights is None else weights)
    return {
        "format": FORMAT_VERSION,
        "config": json.dumps(model.config.to_dict()),
        "basis": json.dumps(basis.to_dict()),
        "n_neighbours": float(model.n_neighbours),
        "weights": {name: value.detach().cpu() for name, value in state.items()},
    }


def model_from_dict(content: Mapping[str, Any]) -> tuple[DensNet, DensityBasis]:
    """Rebuild a model in float32 with its saved weights.

    Returns
    -------
    DensNet
        In evaluation mode.
    DensityBasis

    Raises
    ------
    DataError
        If an entry is missing or the weights do not fit the configuration.
    """
    try:
        if content["format"] != FORMAT_VERSION:
            raise DataError(
                f"model format {content['format']!r} is unknown; this version of DenSNet reads "
                f"format {FORMAT_VERSION}"
            )
        config = ModelConfig.from_dict(json.loads(content["config"]))
        basis = DensityBasis.from_dict(json.loads(content["basis"]))
        model = DensNet(
            config,
            empty_whitening(basis, config.elements),
            torch.zeros(len(config.elements), dtype=torch.float64),
            1.0,
            float(content["n_neighbours"]),
        )
        set_precision(model, torch.float32)
        model.load_state_dict(content["weights"])
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise DataError(f"the saved model is incomplete or altered: {error}") from error
    return model.eval(), basis
