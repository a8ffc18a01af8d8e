"""The epochs of a stage: what every stage does with its batches, validations and checkpoints."""

import math
from collections.abc import Callable, Iterator, Sequence, Sized
from dataclasses import asdict
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from densnet.errors import DataError, NonFiniteError
from densnet.training.average import WeightAverage
from densnet.training.config import StageConfig
from densnet.training.optimizers import make_optimizers
from densnet.training.parallel import ProcessGroup
from densnet.training.progress import AnyErrors, Progress

VALIDATION_BATCH = 25
GRADIENT_NORM = 10.0

BatchT = TypeVar("BatchT")
BatchT_co = TypeVar("BatchT_co", covariant=True)


class FrameSet(Sized, Protocol[BatchT_co]):
    """Frames of one molecule that can be put together to batches."""

    def batch(self, index: Tensor) -> BatchT_co:
        """Return the frames of an index, (n,) int64, as one batch."""
        ...


class Epochs(Generic[BatchT]):
    """The epochs of one stage, with their optimizers.

    Parameters
    ----------
    stage : str
    number : int
        By which the batches and the noise of one stage differ from those of the others.
    settings : StageConfig
    seed : int
    frames : sequence of FrameSet
        One a molecule.
    loss : callable
        Mean loss of a batch; the generator is for noise, and another one in every step and process.
    parameters : list of nn.Parameter
        What the stage changes.
    module : nn.Module
        Whose weights are averaged.
    average : WeightAverage
    group : ProcessGroup
    """

    def __init__(
        self,
        stage: str,
        number: int,
        settings: StageConfig,
        *,
        seed: int,
        frames: Sequence[FrameSet[BatchT]],
        loss: Callable[[BatchT, torch.Generator], Tensor],
        parameters: list[nn.Parameter],
        module: nn.Module,
        average: WeightAverage,
        group: ProcessGroup,
    ) -> None:
        self.stage = stage
        self.settings = settings
        self.seeds = (seed, number)
        self.frames = frames
        self.loss = loss
        self.parameters = parameters
        self.module = module
        self.average = average
        self.group = group
        self.per_epoch = sum(max(1, len(g) // settings.batch_size) for g in frames)
        self.optimizers = make_optimizers(
            module, parameters, settings.learning_rate, settings.weight_decay
        )

    def run(
        self,
        first: int,
        *,
        validate_every: int,
        validate: Callable[[], AnyErrors],
        save: Callable[[int], None],
        history: list[dict[str, Any]],
        report: Callable[[Progress], None] | None,
    ) -> None:
        """Run the epochs from a first one on.

        Parameters
        ----------
        first : int
            Epochs already done.
        validate_every : int
            Epochs between validations; the last epoch is always validated.
        validate : callable
            Returns the errors of the averaged weights, which this method puts in place.
        save : callable
            Keeps the state; called after every validation with the number of epochs done.
        history : list
            Grows by a row with every validation.
        report : callable or None
            Called after every epoch on the first process.
        """
        n_epochs = self.settings.epochs
        for done in range(first + 1, n_epochs + 1):
            mean = self._run_epoch(done - 1)
            errors = None
            if done == n_epochs or done % validate_every == 0:
                self.average.swap(self.module)
                errors = validate()
                self.average.swap(self.module)
                row = {"stage": self.stage, "epoch": done, "loss": mean}
                history.append({**row, **asdict(errors)})
                save(done)
            if report is not None and self.group.is_first:
                report(Progress(self.stage, done, n_epochs, mean, errors))

    def optimizer_state(self) -> list[dict[str, Any]]:
        """Return what a checkpoint keeps of the optimizers."""
        return [optimizer.state_dict() for optimizer in self.optimizers]

    def load_optimizer_state(self, states: Any, path: Path) -> None:
        """Put back what :meth:`optimizer_state` returned.

        Raises
        ------
        DataError
            If the checkpoint at the path is of a version with another optimizer.
        """
        if not isinstance(states, list) or len(states) != len(self.optimizers):
            raise DataError(
                f"{path} is of an earlier version of densnet, with another optimizer; delete it to "
                "start this training anew"
            )
        for optimizer, state in zip(self.optimizers, states, strict=True):
            optimizer.load_state_dict(state)

    def step(self, number: int, group: int, index: Tensor) -> float:
        """Take one step on some frames of one molecule and return their mean loss.

        Raises
        ------
        NonFiniteError
            If the gradient is not finite.
        """
        rate = learning_rate(self.settings, number, self.settings.epochs * self.per_epoch)
        for optimizer in self.optimizers:
            for entry in optimizer.param_groups:
                entry["lr"] = rate
            optimizer.zero_grad(set_to_none=True)
        share = self.group.share(index)
        noise = torch.Generator().manual_seed(hash_of(*self.seeds, number, self.group.rank))
        value = self.loss(self.frames[group].batch(share), noise)
        (value * (len(share) / len(index))).backward()
        self.group.sum_gradients(self.parameters)
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, GRADIENT_NORM)
        if not math.isfinite(float(norm)):
            raise NonFiniteError(
                f"the gradient is not finite in stage {self.stage!r}, epoch "
                f"{number // self.per_epoch + 1}, step {number}; lower its learning_rate, or look "
                "for broken labels"
            )
        for optimizer in self.optimizers:
            optimizer.step()
        self.average.update(self.module)
        return float(value.detach())

    def _run_epoch(self, epoch: int) -> float:
        seed = hash_of(*self.seeds)
        batches = epoch_batches(self.frames, self.settings.batch_size, seed, epoch)
        first = epoch * self.per_epoch
        total = sum(self.step(first + k, *batch) for k, batch in enumerate(batches))
        return total / self.per_epoch


def learning_rate(config: StageConfig, step: int, n_steps: int) -> float:
    """Return the rate of one step: linear rise, then half a cosine."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    progress = (step - config.warmup_steps) / max(1, n_steps - config.warmup_steps)
    fall = 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))
    return config.final_learning_rate + (config.learning_rate - config.final_learning_rate) * fall


def epoch_batches(
    groups: Sequence[Sized], batch_size: int, seed: int, epoch: int
) -> Iterator[tuple[int, Tensor]]:
    """Yield (group, frame indices) in an order that seed and epoch alone decide."""
    generator = torch.Generator().manual_seed(hash_of(seed, epoch))
    batches = []
    for number, group in enumerate(groups):
        order = torch.randperm(len(group), generator=generator)
        # Equal batches: a short last one would weigh its frames more.
        n_batches = max(1, len(group) // batch_size)
        batches += [(number, part) for part in torch.tensor_split(order, n_batches)]
    for position in torch.randperm(len(batches), generator=generator).tolist():
        yield batches[position]


def validation_batches(groups: Sequence[FrameSet[BatchT]]) -> list[BatchT]:
    """Return all frames in batches of a size that no stage sets."""
    return [
        group.batch(index)
        for group in groups
        for index in torch.arange(len(group)).split(VALIDATION_BATCH)
    ]


def hash_of(*numbers: int) -> int:
    """Mix a few integers into one seed."""
    value = 0
    for number in numbers:
        value = (value * 1_000_003 + number + 12_345) % (2**31 - 1)
    return value
