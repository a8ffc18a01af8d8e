"""Training of one part of a finished model, the rest of which stays as it is; resumable."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from densnet.basis import DensityBasis
from densnet.data.store import Frames
from densnet.models import DensNet
from densnet.models.io import model_to_dict
from densnet.training.average import WeightAverage
from densnet.training.checkpoint import (
    check_same_config,
    check_same_foundation,
    load_checkpoint,
    save_checkpoint,
)
from densnet.training.config import CentroidTrainingConfig, ResponseTrainingConfig, StageConfig
from densnet.training.epochs import Epochs, FrameSet
from densnet.training.parallel import ProcessGroup
from densnet.training.progress import AnyErrors, Progress


class PartRun(ABC):
    """One training of a part of a model: its folder, optimizers' state and history.

    Subclasses read the data, then call :meth:`begin`.

    Parameters
    ----------
    stage : str
        Names the history's rows and the checkpoint.
    number : int
        By which the batches of one stage differ from those of the others.
    config : ResponseTrainingConfig or CentroidTrainingConfig
    basis : DensityBasis
        Of the model.
    device : str
        "cpu" or "cuda".
    report : callable or None
        Called with a :class:`Progress` after every epoch on the first process.
    """

    model: DensNet
    part: nn.Module
    data_sets: list[tuple[str, Frames, tuple[str, ...]]]

    def __init__(
        self,
        stage: str,
        number: int,
        config: ResponseTrainingConfig | CentroidTrainingConfig,
        basis: DensityBasis,
        *,
        device: str,
        report: Callable[[Progress], None] | None,
    ) -> None:
        self.stage = stage
        self.number = number
        self.config = config
        self.basis = basis
        self.report = report
        self.group = ProcessGroup(device)
        self.device = self.group.device
        self.epoch = 0
        self.history: list[dict[str, Any]] = []

    def begin(
        self,
        model: DensNet,
        part: nn.Module,
        foundation: Mapping[str, str],
        settings: StageConfig,
        frames: Sequence[FrameSet[Any]],
        loss: Callable[[Any], Tensor],
    ) -> None:
        """Freeze all but the part, and make its optimizers.

        Parameters
        ----------
        model : DensNet
            Changed in place by the training.
        part : nn.Module
            The part of it that is trained.
        foundation : mapping of str to str
            Hashes of what the training builds on, which a continuation must find unchanged.
        settings : StageConfig
        frames : sequence of FrameSet
            Training frames, one a molecule.
        loss : callable
            Mean loss of a batch of them.
        """
        self.model, self.part, self.foundation = model, part, foundation
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        parameters = list(part.parameters())
        for parameter in parameters:
            parameter.requires_grad_(True)
        self.average = WeightAverage(part, self.config.ema_decay)
        self.epochs = Epochs(
            self.stage,
            self.number,
            settings,
            seed=self.config.seed,
            frames=frames,
            loss=lambda batch, _: loss(batch),
            parameters=parameters,
            module=part,
            average=self.average,
            group=self.group,
        )

    @abstractmethod
    def validate(self) -> AnyErrors:
        """Measure the errors of the model as it is on validation frames."""

    @property
    def checkpoint_path(self) -> Path:
        """Where the state is kept."""
        return self.config.output / f"{self.stage}_checkpoint.pt"

    def run(self) -> Path:
        """Train to the end, continuing from a checkpoint if there is one.

        Returns
        -------
        Path
            ``model.ckpt`` in the output folder: the whole model, averaged weights.
        """
        self.config.output.mkdir(parents=True, exist_ok=True)
        if self.checkpoint_path.exists():
            self._resume()
        self.epochs.run(
            self.epoch,
            validate_every=self.config.validate_every,
            validate=self.validate,
            save=self._save,
            history=self.history,
            report=self.report,
        )
        path = self.config.output / "model.ckpt"
        if self.group.is_first:
            self.average.swap(self.part)
            save_checkpoint(path, model_to_dict(self.model, self.basis))
            self.average.swap(self.part)
        self.group.close()
        return path

    def _save(self, epoch: int) -> None:
        if not self.group.is_first:
            return
        save_checkpoint(
            self.checkpoint_path,
            {
                "config": json.dumps(asdict(self.config), default=str, sort_keys=True),
                "foundation": dict(self.foundation),
                "epoch": epoch,
                "weights": self.part.state_dict(),
                "average": self.average.state(),
                "optimizer": self.epochs.optimizer_state(),
                "history": json.dumps(self.history),
            },
        )

    def _resume(self) -> None:
        saved = load_checkpoint(self.checkpoint_path)
        check_same_config(json.loads(saved["config"]), self.config, self.checkpoint_path)
        before = saved["foundation"]
        # Earlier versions wrote the hash of the initial model alone.
        before = {"initial model": before} if isinstance(before, str) else before
        check_same_foundation(before, self.foundation, self.checkpoint_path)
        self.part.load_state_dict(saved["weights"])
        self.average.load(saved["average"]["steps"], saved["average"]["weights"])
        self.epochs.load_optimizer_state(saved["optimizer"], self.checkpoint_path)
        # In place: the list may be that of a training whose last stage this is.
        self.history[:] = json.loads(saved["history"])
        self.epoch = int(saved["epoch"])
