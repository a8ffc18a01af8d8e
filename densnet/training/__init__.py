"""Training: losses, stages, the loop, checkpoints that a kill cannot corrupt."""

from densnet.training.config import TrainingConfig
from densnet.training.run import TrainingRun

__all__ = ["TrainingConfig", "TrainingRun"]
