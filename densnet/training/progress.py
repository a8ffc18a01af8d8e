"""What a training tells whoever follows it."""

from dataclasses import dataclass

from densnet.training.centroid_frames import CentroidErrors
from densnet.training.losses import Errors
from densnet.training.response_frames import ResponseErrors

AnyErrors = Errors | ResponseErrors | CentroidErrors


@dataclass(frozen=True)
class Progress:
    """What a reporter is told after every epoch."""

    stage: str
    epoch: int
    n_epochs: int
    loss: float
    errors: AnyErrors | None
