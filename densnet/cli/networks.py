"""Networks of a finished model, wherever they are kept."""

import zipfile
from pathlib import Path

from densnet.basis import DensityBasis
from densnet.errors import InputError
from densnet.export.contents import MANIFEST, read_contents
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
    if is_bundle(path):
        return rebuild_model(path)
    return model_from_dict(load_checkpoint(path, "give a model.ckpt of densnet train or a bundle"))


def bundle_sha256(path: Path) -> str | None:
    """Return the identity of a bundle, as run directories hold it; None for a model.ckpt."""
    return read_contents(path)[2] if is_bundle(path) else None


def is_bundle(path: Path) -> bool:
    """Whether there is a bundle: torch writes its checkpoints as zip files too."""
    zipped = path.is_file() and zipfile.is_zipfile(path)
    return path.is_dir() or (zipped and MANIFEST in zipfile.ZipFile(path).namelist())
