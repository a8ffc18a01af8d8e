"""A training from its file to its last checkpoint, resumable at any time."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from densnet.data.store import Frames
from densnet.errors import InputError
from densnet.models.io import model_to_dict
from densnet.models.response_map import ResponseMap
from densnet.training.average import WeightAverage
from densnet.training.checkpoint import (
    check_same_config,
    check_same_foundation,
    load_checkpoint,
    save_checkpoint,
)
from densnet.training.config import ResponseTrainingConfig, StageConfig, TrainingConfig
from densnet.training.epochs import Epochs, validation_batches
from densnet.training.foundation import hash_of_frames, hash_of_weights
from densnet.training.frames import TrainingFrames, training_frames
from densnet.training.initial import InitialModel, check_energy_offsets, energy_offsets
from densnet.training.initial_charges import begin_with_mean_charges
from densnet.training.losses import compute_errors
from densnet.training.metric import MetricWeights
from densnet.training.parallel import ProcessGroup
from densnet.training.progress import Progress
from densnet.training.response_frames import RESPONSE_COLUMNS
from densnet.training.response_run import ResponseRun
from densnet.training.sets import (
    REQUIRED_COLUMNS,
    load_sets,
    read_all_response_sets,
    response_training,
)
from densnet.training.stages import STAGES, StageLoss, component_errors, trainable
from densnet.training.untrained import (
    build_model,
    energies_of_elements,
    force_scale,
    sizes_of_networks,
)


class TrainingRun:
    """One training: data, model, optimizer state and its folder.

    Parameters
    ----------
    config : TrainingConfig
    initial : InitialModel or None
        What ``config.initial_model`` holds.
    device : str
        "cpu" or "cuda".
    report : callable
        Called with a :class:`Progress` after every epoch on the first process.

    Raises
    ------
    MissingLabelError, InputError, DataError
        If the data do not hold what training needs, or the initial model does not fit, before any
        work is done.
    """

    def __init__(
        self,
        config: TrainingConfig,
        initial: InitialModel | None = None,
        *,
        device: str = "cpu",
        report: Callable[[Progress], None] | None = None,
    ) -> None:
        self.config = config
        self.group = ProcessGroup(device)
        self.device = self.group.device
        self.report = report
        self.basis, self.train_sets, self.validation_sets = load_sets(config)
        self.response_config = response_training(config)
        self.response_sets = read_all_response_sets(self.response_config, self.basis)
        for frames in self.train_sets:
            for stage in STAGES:
                self.group.check_batches(stage, getattr(config, stage), len(frames))
        if config.response is not None:
            for use, frames in self.response_sets:
                if use == "train":
                    self.group.check_batches("response", config.response, len(frames))
        self.foundation = {
            "basis": self.basis.sha256,
            "data": hash_of_frames((*self.train_sets, *self.validation_sets), REQUIRED_COLUMNS),
        }
        if initial is not None:
            self.foundation["initial model"] = hash_of_weights(initial.model)
        elements = tuple(sorted({int(z) for f in self.train_sets for z in f.numbers}))
        self.basis = self.basis.restricted_to(elements)
        torch.manual_seed(config.seed)
        networks = sizes_of_networks(config, initial)
        self.model = build_model(config, networks, self.basis, self.train_sets)
        if config.atomic_charges == "mean":
            begin_with_mean_charges(self.model, self.basis, self.train_sets)
        self.model.to(self.device)
        if (initial is None) != (config.initial_model is None):
            raise InputError("a training with an initial_model is to be given its networks, too")
        self.initial_response_map: ResponseMap | None = None
        if initial is not None:
            taken = config.initial_networks
            initial.copy_to(self.model, self.basis, taken)
            if self.response_config is not None and "response_map" in taken:
                sizes = self.response_config.response.network
                self.initial_response_map = initial.response_map(sizes)
        self.force_scale = force_scale(self.train_sets)
        self.average = WeightAverage(self.model, config.ema_decay)
        weights = MetricWeights(config.loss.overlap, config.loss.dipole)

        def prepare(sets: list[Frames]) -> list[TrainingFrames]:
            cutoff = config.cutoff_bohr
            return [
                training_frames(f, self.basis, elements, weights, cutoff, self.device) for f in sets
            ]

        self.train = prepare(self.train_sets)
        if initial is not None:
            self._place_energies()
        self.validation = validation_batches(prepare(self.validation_sets))
        self.stage_data: dict[str, Tensor] = {}
        self.position = (0, 0)
        self.optimizer_state: Any = None
        self.history: list[dict[str, Any]] = []

    @property
    def checkpoint_path(self) -> Path:
        """Where the state is kept."""
        return self.config.output / "checkpoint.pt"

    def run(self) -> Path:
        """Train to the end, continuing from a checkpoint if there is one.

        Returns
        -------
        Path
            The trained model, averaged weights, ``model.ckpt`` in the output folder; beside it
            ``density.ckpt``, ``energy.ckpt`` and ``joint.ckpt``, the same after each stage. A
            response map, if configured, is trained last and is in ``model.ckpt`` only.
        """
        self.config.output.mkdir(parents=True, exist_ok=True)
        if self.checkpoint_path.exists():
            self._resume()
        first_stage, first_epoch = self.position
        for number in range(first_stage, len(STAGES)):
            self._run_stage(number, first_epoch if number == first_stage else 0)
        path = self._save_model("model")
        if self.response_config is not None and (
            self.response_config.response.epochs or self.initial_response_map is not None
        ):
            path = self._train_response(self.response_config)
        self.group.close()
        return path

    @property
    def data_sets(self) -> list[tuple[str, Frames, tuple[str, ...]]]:
        """Use, frames and the columns that are read of them, for a table."""
        return [
            *(("train", f, REQUIRED_COLUMNS) for f in self.train_sets),
            *(("validation", f, REQUIRED_COLUMNS) for f in self.validation_sets),
            *((f"response {use}", f, RESPONSE_COLUMNS) for use, f in self.response_sets),
        ]

    def _place_energies(self) -> None:
        if not {"density_map", "energy_functional"} <= set(self.config.initial_networks):
            return
        if self.config.initial_energies == "model":
            check_energy_offsets(self.model, self.train)
            return
        offsets = energy_offsets(self.model, self.train)
        elements = self.model.config.elements
        shift = energies_of_elements(elements, self.train_sets, offsets)
        self.model.reference_energies += torch.from_numpy(shift).to(self.device)

    def _train_response(self, config: ResponseTrainingConfig) -> Path:
        self.average.swap(self.model)
        run = ResponseRun(
            config,
            self.model,
            self.basis,
            self.initial_response_map,
            device=self.device.type,
            report=self.report,
        )
        self.average.swap(self.model)
        # One list, so that whoever draws the history sees the last stage grow.
        run.history = self.history
        return run.run()

    def _save_model(self, name: str) -> Path:
        path = self.config.output / f"{name}.ckpt"
        if self.group.is_first:
            self.average.swap(self.model)
            save_checkpoint(path, model_to_dict(self.model, self.basis))
            self.average.swap(self.model)
        return path

    def _run_stage(self, number: int, first_epoch: int) -> None:
        stage = STAGES[number]
        config: StageConfig = getattr(self.config, stage)
        # First, because products of what is trained and of what is frozen round differently.
        fixed_charges = self.config.atomic_charges == "mean"
        parameters = trainable(self.model, stage, fixed_charges=fixed_charges)
        if first_epoch == 0:
            self._begin_stage(stage)
        loss = StageLoss(
            stage,
            self.config.loss,
            self.force_scale,
            self.stage_data.get("component_error"),
            float(self.stage_data.get("density_scale", torch.tensor(1.0))),
        )
        epochs = Epochs(
            stage,
            number,
            config,
            seed=self.config.seed,
            frames=self.train,
            loss=lambda batch, noise: loss(self.model, batch, noise),
            parameters=parameters,
            module=self.model,
            average=self.average,
            group=self.group,
        )
        if first_epoch > 0:
            epochs.load_optimizer_state(self.optimizer_state, self.checkpoint_path)
        with_energy = stage != "density"
        epochs.run(
            first_epoch,
            validate_every=self.config.validate_every,
            validate=lambda: compute_errors(self.model, self.validation, with_energy=with_energy),
            save=lambda epoch: self._save(number, epoch, epochs.optimizer_state()),
            history=self.history,
            report=self.report,
        )
        self.position = (number + 1, 0)
        if config.epochs:
            self._save_model(stage)
            self._save(number + 1, 0, epochs.optimizer_state())

    def _begin_stage(self, stage: str) -> None:
        # Each stage starts from the averaged weights of the one before.
        if stage != STAGES[0]:
            with torch.no_grad():
                for name, parameter in self.model.named_parameters():
                    parameter.copy_(self.average.weights[name])
        self.average = WeightAverage(self.model, self.config.ema_decay)
        if stage == "energy":
            self.stage_data["component_error"] = component_errors(self.model, self.validation)
        if stage == "joint":
            errors = compute_errors(self.model, self.validation, with_energy=False)
            self.stage_data["density_scale"] = torch.tensor(errors.coulomb**2)

    def _save(self, stage: int, epoch: int, optimizer: list[dict[str, Any]]) -> None:
        if not self.group.is_first:
            return
        save_checkpoint(
            self.checkpoint_path,
            {
                "config": json.dumps(asdict(self.config), default=str, sort_keys=True),
                "foundation": self.foundation,
                "stage": stage,
                "epoch": epoch,
                "weights": self.model.state_dict(),
                "average": self.average.state(),
                "optimizer": optimizer,
                "stage_data": self.stage_data,
                "history": json.dumps(self.history),
            },
        )

    def _resume(self) -> None:
        saved = load_checkpoint(self.checkpoint_path)
        check_same_config(json.loads(saved["config"]), self.config, self.checkpoint_path)
        # Checkpoints of earlier versions have no foundation.
        check_same_foundation(saved.get("foundation", {}), self.foundation, self.checkpoint_path)
        self.model.load_state_dict(saved["weights"])
        self.average.load(saved["average"]["steps"], saved["average"]["weights"])
        self.history = json.loads(saved["history"])
        self.stage_data = {k: v.to(self.device) for k, v in saved["stage_data"].items()}
        self.optimizer_state = saved["optimizer"]
        self.position = (int(saved["stage"]), int(saved["epoch"]))
