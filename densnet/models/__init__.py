"""The networks, the observables between them, and their composition."""

from densnet.models.config import (
    DensityMapConfig,
    EnergyFunctionalConfig,
    ModelConfig,
    ResponseMapConfig,
)
from densnet.models.densnet import DensNet
from densnet.models.whitening import Whitening

__all__ = [
    "DensNet",
    "DensityMapConfig",
    "EnergyFunctionalConfig",
    "ModelConfig",
    "ResponseMapConfig",
    "Whitening",
]
