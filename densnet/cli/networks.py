"""Networks of a finished model, wherever they are kept."""

import zipfile
from pathlib import Path

from densnet.basis import DensityBasis
from densnet.errors import InputError
from densnet.export.contents import MANIFEST
from densnet.export.rebuild import rebuild_model
from densnet.models import DensNet
from densnet.models.io import model_from_dict
from densnet.training.checkpoint import load_checkpoint


def load_networks(path: Path) -> tuple[DensNet, DensityBasis]:
    """Read networks from a model.ckpt or from a bundle (folder or zip).

    Raises
    ------
    InputError
        If there is nothing.
    BundleError, DataError
        If it is damaged.
    """
    if not path.exists():
        raise InputError(
            f"{path} does not exist; give a model.ckpt of densnet train, a bundle, or the name of "
            "a shipped model"
        )
    # torch writes its checkpoints as zip files too; only a bundle has a manifest.
    zipped = path.is_file() and zipfile.is_zipfile(path)
    if path.is_dir() or (zipped and MANIFEST in zipfile.ZipFile(path).namelist()):
        return rebuild_model(path)
    return model_from_dict(load_checkpoint(path))
