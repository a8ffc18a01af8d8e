"""Training of a response map on top of finished networks, resumable at any time."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from densnet.basis import DensityBasis
from densnet.data.store import Frames
from densnet.errors import InputError
from densnet.models import DensNet
from densnet.models.densnet import with_response_map
from densnet.models.io import model_to_dict
from densnet.models.response_map import ResponseMap
from densnet.models.whitening import Whitening, whitening_from_training
from densnet.training.average import WeightAverage
from densnet.training.checkpoint import (
    PLACES,
    check_same_config,
    load_checkpoint,
    save_checkpoint,
)
from densnet.training.config import ResponseTrainingConfig
from densnet.training.epochs import Epochs, validation_batches
from densnet.training.metric import MetricWeights
from densnet.training.parallel import ProcessGroup
from densnet.training.progress import Progress
from densnet.training.response_frames import (
    RESPONSE_COLUMNS,
    ResponseFrames,
    compute_response_errors,
    read_response_sets,
    response_frames,
    response_loss,
)

STAGE = "response"
# So that its batches differ from those of the stages before.
STAGE_NUMBER = 3


class ResponseRun:
    """One training of a response map: data, networks, optimizer state and its folder.

    Parameters
    ----------
    config : ResponseTrainingConfig
    model : DensNet
        The finished networks; the run works on a copy.
    basis : DensityBasis
        Of the model.
    initial : ResponseMap or None
        A map of the configured sizes whose weights and whitening this training starts from.
    device : str
        "cpu" or "cuda".
    report : callable
        Called with a :class:`Progress` after every epoch on the first process.

    Raises
    ------
    MissingLabelError, InputError, DataError
        If the data do not hold what training needs, before any work is done.
    """

    def __init__(
        self,
        config: ResponseTrainingConfig,
        model: DensNet,
        basis: DensityBasis,
        initial: ResponseMap | None = None,
        *,
        device: str = "cpu",
        report: Callable[[Progress], None] | None = None,
    ) -> None:
        self.config = config
        self.basis = basis
        self.report = report
        self.group = ProcessGroup(device)
        self.device = self.group.device
        data = config.response.data
        self.train_sets = read_response_sets(data, basis, config.train_tag)
        self.validation_sets = read_response_sets(data, basis, config.validation_tag)
        for frames in self.train_sets:
            self.group.check_batches(STAGE, config.response, len(frames))
        self.foundation = hash_of_weights(model)
        torch.manual_seed(config.seed)
        self.model = with_response_map(model, config.response.network).to(self.device)
        head = self.model.response_map
        assert head is not None
        self.head = head
        elements = model.config.elements
        if initial is None:
            statistics = response_whitening(basis, elements, self.train_sets)
            head.whitening.load_state_dict(statistics.state_dict())
        else:
            head.load_state_dict(initial.state_dict())
        self.average = WeightAverage(head, config.ema_decay)
        for parameter in self.model.parameters():
            parameter.requires_grad_(False)
        for parameter in head.parameters():
            parameter.requires_grad_(True)
        weights = MetricWeights(config.response.overlap, config.response.polarizability)

        def prepare(sets: list[Frames]) -> list[ResponseFrames]:
            cutoff = model.config.cutoff
            return [response_frames(f, basis, elements, weights, cutoff, self.device) for f in sets]

        self.train = prepare(self.train_sets)
        self.validation = validation_batches(prepare(self.validation_sets))
        self.epochs = Epochs(
            STAGE,
            STAGE_NUMBER,
            config.response,
            seed=config.seed,
            frames=self.train,
            loss=lambda batch, _: response_loss(self.model, batch),
            parameters=list(head.parameters()),
            module=head,
            average=self.average,
            group=self.group,
        )
        self.epoch = 0
        self.history: list[dict[str, Any]] = []

    @property
    def checkpoint_path(self) -> Path:
        """Where the state is kept."""
        return self.config.output / "response_checkpoint.pt"

    @property
    def data_sets(self) -> list[tuple[str, Frames, tuple[str, ...]]]:
        """Use, frames and the columns that are read of them, for a table."""
        return [
            *(("train", f, RESPONSE_COLUMNS) for f in self.train_sets),
            *(("validation", f, RESPONSE_COLUMNS) for f in self.validation_sets),
        ]

    def run(self) -> Path:
        """Train to the end, continuing from a checkpoint if there is one.

        Returns
        -------
        Path
            ``model.ckpt`` in the output folder: the initial model with the response map, averaged
            weights.
        """
        self.config.output.mkdir(parents=True, exist_ok=True)
        if self.checkpoint_path.exists():
            self._resume()
        self.epochs.run(
            self.epoch,
            validate_every=self.config.validate_every,
            validate=lambda: compute_response_errors(self.model, self.validation),
            save=self._save,
            history=self.history,
            report=self.report,
        )
        path = self.config.output / "model.ckpt"
        if self.group.is_first:
            self.average.swap(self.head)
            save_checkpoint(path, model_to_dict(self.model, self.basis))
            self.average.swap(self.head)
        self.group.close()
        return path

    def _save(self, epoch: int) -> None:
        if not self.group.is_first:
            return
        save_checkpoint(
            self.checkpoint_path,
            {
                "config": json.dumps(asdict(self.config), default=str, sort_keys=True),
                "foundation": self.foundation,
                "epoch": epoch,
                "weights": self.head.state_dict(),
                "average": self.average.state(),
                "optimizer": self.epochs.optimizer.state_dict(),
                "history": json.dumps(self.history),
            },
        )

    def _resume(self) -> None:
        saved = load_checkpoint(self.checkpoint_path)
        # The weights of the initial model are compared, not its name.
        before = json.loads(saved["config"])
        ignored = (*PLACES, "initial_model")
        check_same_config(before, self.config, self.checkpoint_path, ignored=ignored)
        if saved["foundation"] != self.foundation:
            raise InputError(
                f"{self.checkpoint_path} was written on top of another initial model; give another "
                "output folder, or delete the checkpoint"
            )
        self.head.load_state_dict(saved["weights"])
        self.average.load(saved["average"]["steps"], saved["average"]["weights"])
        self.epochs.optimizer.load_state_dict(saved["optimizer"])
        self.history += json.loads(saved["history"])
        self.epoch = int(saved["epoch"])


def response_whitening(
    basis: DensityBasis, elements: tuple[int, ...], sets: list[Frames]
) -> Whitening:
    """Measure principal axes on the responses to all three directions of the field."""
    rows = [
        (f.numbers, np.concatenate(np.asarray(f["coefficient_response"], dtype=np.float64)))
        for f in sets
    ]
    return whitening_from_training(basis, elements, rows, with_mean=False)


def hash_of_weights(model: DensNet) -> str:
    """Return the SHA-256 of all weights but the response map's."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        if not name.startswith("response_map."):
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
