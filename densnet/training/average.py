"""Exponential moving average of the weights."""

import torch
from torch import Tensor, nn


class WeightAverage:
    """w̄ ← d·w̄ + (1 − d)·w after every step, with d rising to its final value over the first steps.

    Parameters
    ----------
    model : nn.Module
    decay : float
        Final d, between 0 and 1.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self.weights = {name: p.detach().clone() for name, p in model.named_parameters()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take in the weights after one optimizer step."""
        self.steps += 1
        decay = min(self.decay, (1.0 + self.steps) / (10.0 + self.steps))
        for name, parameter in model.named_parameters():
            self.weights[name].lerp_(parameter.detach(), 1.0 - decay)

    @torch.no_grad()
    def swap(self, model: nn.Module) -> None:
        """Exchange the model's weights with the average; call twice to undo."""
        for name, parameter in model.named_parameters():
            own = parameter.detach().clone()
            parameter.copy_(self.weights[name])
            self.weights[name].copy_(own)

    def state(self) -> dict[str, int | dict[str, Tensor]]:
        """Return what :meth:`load` needs."""
        return {"steps": self.steps, "weights": self.weights}

    def load(self, steps: int, weights: dict[str, Tensor]) -> None:
        """Continue from a saved state."""
        self.steps = steps
        for name, value in weights.items():
            self.weights[name].copy_(value)
