"""Training of a functional to the potential of mean force of ring-polymer centroids, resumable.

Classical dynamics in that potential, sampled at an elevated temperature, has the zero-point
softening of quantum nuclei without the artefacts of centroid and ring-polymer dynamics
(Te PIGS: https://doi.org/10.1063/5.0120386).
"""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from densnet.basis import DensityBasis
from densnet.errors import InputError
from densnet.models import DensNet
from densnet.models.densnet import with_centroid_temperature
from densnet.spectra.centroids import load_centroids
from densnet.training.centroid_frames import (
    CentroidErrors,
    centroid_frames,
    centroid_loss,
    compute_centroid_errors,
    split_replicas,
)
from densnet.training.config import CentroidTrainingConfig
from densnet.training.epochs import validation_batches
from densnet.training.foundation import hash_of_frames, hash_of_weights
from densnet.training.part_run import PartRun
from densnet.training.progress import Progress

STAGE = "centroid"
COLUMNS = ("forces",)
# So that its batches differ from those of the other stages.
STAGE_NUMBER = 4


class CentroidRun(PartRun):
    """One training of a centroid potential: data, functional, optimizer state and its folder.

    The density map and a response map stay as they are: density, dipole and polarizability of the
    result are those of the centroid's geometry.

    Parameters
    ----------
    config : CentroidTrainingConfig
    model : DensNet
        The model that drove the beads; the run works on a copy.
    basis : DensityBasis
        Of the model.
    sha256 : str or None
        Of the model's bundle, which must be that of the runs; None if it is no bundle.
    device : str
        "cpu" or "cuda".
    report : callable
        Called with a :class:`Progress` after every epoch on the first process.

    Raises
    ------
    InputError, DataError
        If the runs do not hold what training needs, before any work is done.
    """

    def __init__(
        self,
        config: CentroidTrainingConfig,
        model: DensNet,
        basis: DensityBasis,
        *,
        sha256: str | None = None,
        device: str = "cpu",
        report: Callable[[Progress], None] | None = None,
    ) -> None:
        super().__init__(STAGE, STAGE_NUMBER, config, basis, device=device, report=report)
        self.centroids = load_centroids(config.centroid.runs)
        self._check_model(model, sha256)
        elements = model.config.elements
        species = torch.tensor(
            [elements.index(int(z)) for z in self.centroids.numbers], device=self.device
        )
        cutoff = model.config.cutoff
        train, validation = split_replicas(self.centroids, config.centroid.validation_share)
        self.data_sets = [
            (use, frames, COLUMNS) for use, frames in (("train", train), ("validation", validation))
        ]
        self.group.check_batches(STAGE, config.centroid, len(train))
        self.validation = validation_batches([centroid_frames(validation, species, cutoff)])
        force_scale = float(np.sqrt(np.square(train.forces).mean()))
        changed = with_centroid_temperature(model, self.centroids.temperature_kelvin)
        changed.to(self.device)
        self.begin(
            changed,
            changed.energy_functional,
            {
                "initial model": hash_of_weights(model),
                "data": hash_of_frames((train, validation), COLUMNS),
            },
            config.centroid,
            [centroid_frames(train, species, cutoff)],
            lambda batch: centroid_loss(changed, batch, force_scale),
        )

    def run(self) -> Path:
        """Train as :meth:`PartRun.run`; the history begins with the errors of the initial model."""
        if not self.checkpoint_path.exists():
            self.history.append({"stage": STAGE, "epoch": 0, **asdict(self.validate())})
        return super().run()

    def validate(self) -> CentroidErrors:
        """Measure the errors of the model as it is on the centroids of unseen replicas."""
        return compute_centroid_errors(self.model, self.validation)

    def _check_model(self, model: DensNet, sha256: str | None) -> None:
        if model.config.centroid_kelvin is not None:
            raise InputError(
                "initial_model is a potential of centroids itself; start from the model that drove "
                "the beads"
            )
        if sha256 is not None and sha256 != self.centroids.sha256:
            raise InputError(
                f"{self.centroids.path} is of model {self.centroids.model!r} (SHA-256 "
                f"{self.centroids.sha256[:12]}…), the initial model is another one "
                f"({sha256[:12]}…): the beads must have moved in the potential that is to be "
                "corrected"
            )
        strangers = sorted(set(self.centroids.numbers.tolist()) - set(model.config.elements))
        if strangers:
            raise InputError(
                f"{self.centroids.path} has atoms with Z = {strangers}; the initial model has only "
                f"Z = {list(model.config.elements)}"
            )
