"""Which tensors of a model follow the precision of the networks, and which stay in float64."""

import torch
from torch import nn


def is_always_double(name: str) -> bool:
    """Whether a tensor of the model is float64 whatever the precision of the networks."""
    own = name.rpartition(".")[2]
    return "whitening." in name or own in ("reference_energies", "energy_scale")


def set_precision(model: nn.Module, dtype: torch.dtype) -> None:
    """Convert the networks in place; whitening, reference energies and scale stay in float64."""
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if tensor.dtype.is_floating_point and not is_always_double(name):
            tensor.data = tensor.data.to(dtype)
