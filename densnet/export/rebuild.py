"""The networks of a bundle as they were trained, from its plain weights, not its TorchScript."""

import io
from pathlib import Path

import numpy as np
import torch

from densnet.basis import DensityBasis
from densnet.errors import BundleError
from densnet.export.contents import MODEL, WEIGHTS, find_bundle, read_contents
from densnet.models import DensNet
from densnet.models.io import FORMAT_VERSION, model_from_dict


def rebuild_model(name_or_path: str | Path) -> tuple[DensNet, DensityBasis]:
    """Return the networks of a bundle in float32, to be trained further or exported again.

    Parameters
    ----------
    name_or_path : str or Path
        A shipped model by name, or a bundle's folder or zip.

    Raises
    ------
    InputError
        If there is no such bundle.
    BundleError, DataError
        If it is damaged.
    """
    manifest, files, _ = read_contents(find_bundle(name_or_path))
    extra = {"config.json": "", "basis.json": ""}
    try:
        torch.jit.load(io.BytesIO(files[MODEL]), map_location="cpu", _extra_files=extra)
    except RuntimeError as error:
        raise BundleError(
            f"{name_or_path}: torch {torch.__version__} cannot read {MODEL}: {error}"
        ) from error
    stored = np.load(io.BytesIO(files[WEIGHTS]), allow_pickle=False)
    return model_from_dict(
        {
            "format": FORMAT_VERSION,
            "config": extra["config.json"],
            "basis": extra["basis.json"],
            "n_neighbours": manifest["n_neighbours"],
            "weights": {name: torch.from_numpy(stored[name]) for name in stored.files},
        }
    )
