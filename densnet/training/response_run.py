"""Training of a response map on top of finished networks, resumable at any time."""

from collections.abc import Callable

import numpy as np
import torch

from densnet.basis import DensityBasis
from densnet.data.store import Frames
from densnet.errors import InputError
from densnet.models import DensNet
from densnet.models.densnet import with_response_map
from densnet.models.response_map import ResponseMap
from densnet.models.whitening import Whitening, whitening_from_training
from densnet.training.config import ResponseTrainingConfig
from densnet.training.epochs import validation_batches
from densnet.training.foundation import hash_of_frames, hash_of_weights
from densnet.training.metric import MetricWeights
from densnet.training.part_run import PartRun
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

STAGE = "response"
# So that its batches differ from those of the stages before.
STAGE_NUMBER = 3


class ResponseRun(PartRun):
    """One training of a response map.

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
        super().__init__(STAGE, STAGE_NUMBER, config, basis, device=device, report=report)
        if initial is None and not config.response.epochs:
            raise InputError("response.epochs is 0: the response map would stay untrained")
        data = config.response.data
        self.train_sets = read_response_sets(data, basis, config.train_tag)
        self.validation_sets = read_response_sets(data, basis, config.validation_tag)
        self.data_sets = [
            *(("train", f, RESPONSE_COLUMNS) for f in self.train_sets),
            *(("validation", f, RESPONSE_COLUMNS) for f in self.validation_sets),
        ]
        for frames in self.train_sets:
            self.group.check_batches(STAGE, config.response, len(frames))
        torch.manual_seed(config.seed)
        grown = with_response_map(model, config.response.network).to(self.device)
        head = grown.response_map
        assert head is not None
        elements = model.config.elements
        if initial is None:
            statistics = response_whitening(basis, elements, self.train_sets)
            head.whitening.load_state_dict(statistics.state_dict())
        else:
            head.load_state_dict(initial.state_dict())
        weights = MetricWeights(config.response.overlap, config.response.polarizability)

        def prepare(sets: list[Frames]) -> list[ResponseFrames]:
            cutoff = model.config.cutoff
            return [response_frames(f, basis, elements, weights, cutoff, self.device) for f in sets]

        self.validation = validation_batches(prepare(self.validation_sets))
        self.begin(
            grown,
            head,
            {
                "initial model": hash_of_weights(model, without="response_map."),
                "data": hash_of_frames((*self.train_sets, *self.validation_sets), RESPONSE_COLUMNS),
            },
            config.response,
            prepare(self.train_sets),
            lambda batch: response_loss(grown, batch),
        )

    def validate(self) -> ResponseErrors:
        """Measure the errors of the model as it is on validation frames."""
        return compute_response_errors(self.model, self.validation)


def response_whitening(
    basis: DensityBasis, elements: tuple[int, ...], sets: list[Frames]
) -> Whitening:
    """Measure principal axes on the responses to all three directions of the field."""
    rows = [
        (f.numbers, np.concatenate(np.asarray(f["coefficient_response"], dtype=np.float64)))
        for f in sets
    ]
    return whitening_from_training(basis, elements, rows, with_mean=False)
