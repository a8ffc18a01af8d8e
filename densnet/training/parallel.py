"""Data-parallel training under torchrun: every process has a share of each batch."""

import os
from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import nn

from densnet.errors import InputError
from densnet.training.config import StageConfig


class ProcessGroup:
    """The processes that train together; one alone when not started by torchrun.

    Parameters
    ----------
    device : str
        "cpu" or "cuda", with one GPU a process.
    """

    def __init__(self, device: str) -> None:
        self.size = int(os.environ.get("WORLD_SIZE", "1"))
        self.rank = int(os.environ.get("RANK", "0"))
        self.device = torch.device(device)
        if self.size > 1:
            if device == "cuda":
                self.device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
            if not dist.is_initialized():
                # By what the tensors are on: NCCL adds nothing that lies on a CPU.
                dist.init_process_group("nccl" if device == "cuda" else "gloo")

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and speaks to the user."""
        return self.rank == 0

    def check_batches(self, stage: str, settings: StageConfig, n_frames: int) -> None:
        """Refuse a stage whose batches leave a process without a frame.

        Raises
        ------
        InputError
            If the smallest batch has fewer frames than there are processes.
        """
        smallest = min(settings.batch_size, n_frames)
        if settings.epochs > 0 and smallest < self.size:
            raise InputError(
                f"stage {stage!r} has batches of {smallest} (batch_size {settings.batch_size}, "
                f"{n_frames} training frames) for {self.size} processes, and each needs a frame of "
                "every batch; start fewer processes, or raise batch_size"
            )

    def share(self, index: torch.Tensor) -> torch.Tensor:
        """Return this process's part of a batch."""
        return index[self.rank :: self.size]

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Add the gradients of all processes."""
        if self.size == 1:
            return
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            dist.all_reduce(parameter.grad)

    def close(self) -> None:
        """Leave the group."""
        if self.size > 1 and dist.is_initialized():
            dist.destroy_process_group()
