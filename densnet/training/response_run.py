"""Training of a response map on top of finished networks, resumable at any time."""

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from densnet.basis import DensityBasis
from densnet.data.store import Frames
from densnet.errors import InputError, NonFiniteError
from densnet.models import DensNet
from densnet.models.densnet import with_response_map
from densnet.models.io import model_to_dict
from densnet.models.whitening import Whitening, whitening_from_training
from densnet.training.average import WeightAverage
from densnet.training.checkpoint import (
    PLACES,
    check_same_config,
    load_checkpoint,
    save_checkpoint,
)
from densnet.training.config import ResponseTrainingConfig
from densnet.training.metric import MetricWeights
from densnet.training.parallel import ProcessGroup
from densnet.training.progress import Progress
from densnet.training.response_frames import (
    RESPONSE_COLUMNS,
    ResponseErrors,
    ResponseFrames,
    compute_response_errors,
    read_response_sets,
    response_frames,
    response_loss,
)
from densnet.training.stages import epoch_batches, hash_of, learning_rate

STAGE = "response"
VALIDATION_BATCH = 25
GRADIENT_NORM = 10.0
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
        *,
        device: str = "cpu",
        report: Callable[[Progress], None] | None = None,
    ) -> None:
        self.config = config
        self.basis = basis
        self.report = report
        self.group = ProcessGroup()
        self.device = self.group.device(device)
        data = config.response.data
        self.train_sets = read_response_sets(data, basis, config.train_tag)
        self.validation_sets = read_response_sets(data, basis, config.validation_tag)
        self.foundation = hash_of_weights(model)
        torch.manual_seed(config.seed)
        self.model = with_response_map(model, config.response.network).to(self.device)
        head = self.model.response_map
        assert head is not None
        self.head = head
        elements = model.config.elements
        statistics = response_whitening(basis, elements, self.train_sets)
        head.whitening.load_state_dict(statistics.state_dict())
        self.average = WeightAverage(head, config.ema_decay)
        for parameter in self.model.parameters():
            parameter.requires_grad_(False)
        self.parameters = list(head.parameters())
        for parameter in self.parameters:
            parameter.requires_grad_(True)
        weights = MetricWeights(config.response.overlap, config.response.polarizability)

        def prepare(sets: list[Frames]) -> list[ResponseFrames]:
            cutoff = model.config.cutoff
            return [response_frames(f, basis, elements, weights, cutoff, self.device) for f in sets]

        self.train = prepare(self.train_sets)
        self.validation = [
            group.batch(index)
            for group in prepare(self.validation_sets)
            for index in torch.arange(len(group)).split(VALIDATION_BATCH)
        ]
        rate = config.response.learning_rate
        self.optimizer = torch.optim.Adam(self.parameters, lr=rate, betas=(0.9, 0.99))
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
        settings = self.config.response
        for epoch in range(self.epoch, settings.epochs):
            mean = self._run_epoch(epoch)
            errors = None
            if epoch + 1 == settings.epochs or (epoch + 1) % self.config.validate_every == 0:
                errors = self._validate()
                row: dict[str, Any] = {
                    "stage": STAGE,
                    "epoch": epoch + 1,
                    "loss": mean,
                    **asdict(errors),
                }
                self.history.append(row)
                self._save(epoch + 1)
            if self.report is not None and self.group.is_first:
                self.report(Progress(STAGE, epoch + 1, settings.epochs, mean, errors))
        path = self.config.output / "model.ckpt"
        if self.group.is_first:
            self.average.swap(self.head)
            save_checkpoint(path, model_to_dict(self.model, self.basis))
            self.average.swap(self.head)
        self.group.close()
        return path

    def _run_epoch(self, epoch: int) -> float:
        settings = self.config.response
        per_epoch = sum(max(1, len(g) // settings.batch_size) for g in self.train)
        seed = hash_of(self.config.seed, STAGE_NUMBER)
        total = 0.0
        batches = epoch_batches(self.train, settings.batch_size, seed, epoch)
        for k, (group, index) in enumerate(batches):
            step = epoch * per_epoch + k
            for entry in self.optimizer.param_groups:
                entry["lr"] = learning_rate(settings, step, settings.epochs * per_epoch)
            self.optimizer.zero_grad(set_to_none=True)
            share = self.group.share(index)
            value = response_loss(self.model, self.train[group].batch(share))
            (value * (len(share) / len(index))).backward()
            self.group.sum_gradients(self.parameters)
            norm = torch.nn.utils.clip_grad_norm_(self.parameters, GRADIENT_NORM)
            if not math.isfinite(float(norm)):
                raise NonFiniteError(
                    f"the gradient is not finite in stage {STAGE!r}, epoch {epoch + 1}, step "
                    f"{step}; lower its learning_rate, or look for broken labels"
                )
            self.optimizer.step()
            self.average.update(self.head)
            total += float(value.detach())
        return total / per_epoch

    def _validate(self) -> ResponseErrors:
        self.average.swap(self.head)
        errors = compute_response_errors(self.model, self.validation)
        self.average.swap(self.head)
        return errors

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
                "optimizer": self.optimizer.state_dict(),
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
        self.optimizer.load_state_dict(saved["optimizer"])
        self.history += json.loads(saved["history"])
        self.epoch = int(saved["epoch"])


def response_whitening(
    basis: DensityBasis, elements: tuple[int, ...], sets: list[Frames]
) -> Whitening:
    """Measure principal axes on the responses to all three directions of the field."""
    if len(sets) != 1:
        raise InputError("training on several molecules at once needs statistics over all of them")
    frames = sets[0]
    rows = np.concatenate(np.asarray(frames["coefficient_response"], dtype=np.float64))
    return whitening_from_training(basis, elements, frames.numbers, rows, with_mean=False)


def hash_of_weights(model: DensNet) -> str:
    """Return the SHA-256 of all weights but the response map's."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        if not name.startswith("response_map."):
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
