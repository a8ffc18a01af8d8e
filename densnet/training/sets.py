"""The files of frames that a training file names, read and checked."""

from dataclasses import replace

import numpy as np

from densnet.basis import DensityBasis
from densnet.data.coefficients import check_basis, check_neutral
from densnet.data.store import FrameFile, Frames
from densnet.errors import InputError
from densnet.training.config import ResponseTrainingConfig, TrainingConfig
from densnet.training.response_frames import read_response_sets

REQUIRED_COLUMNS = ("energy", "forces", "dipole", "coefficients")


def load_sets(config: TrainingConfig) -> tuple[DensityBasis, list[Frames], list[Frames]]:
    """Read basis, training and validation frames."""
    basis = DensityBasis.load(config.basis)
    train, validation = [], []
    for path in config.data:
        frames = FrameFile.read(path, require=REQUIRED_COLUMNS, select={"tag": config.train_tag})
        if config.n_train is not None:
            if config.n_train > len(frames):
                raise InputError(f"n_train is {config.n_train}, {path} has {len(frames)} frames")
            order = np.random.default_rng(0).permutation(len(frames))[: config.n_train]
            frames = frames.subset(np.sort(order))
        check_neutral(frames)
        train.append(frames)
        check_basis(frames, basis)
        validation.append(
            FrameFile.read(path, require=REQUIRED_COLUMNS, select={"tag": config.validation_tag})
        )
        if frames.attributes.get("level") != train[0].attributes.get("level"):
            raise InputError(
                f"{path} was labelled at {frames.attributes.get('level')}, {train[0].path} at "
                f"{train[0].attributes.get('level')}: one model learns one level"
            )
    if all(len(frames.numbers) < 2 for frames in train):
        raise InputError(
            f"{train[0].path} holds a single atom; training needs frames in which atoms have "
            "neighbours"
        )
    return basis, train, validation


def response_training(config: TrainingConfig) -> ResponseTrainingConfig | None:
    """Return the training of the response map that ends this training, if it has one."""
    if config.response is None:
        return None
    stage = replace(config.response, data=config.response.data or config.data)
    return ResponseTrainingConfig(
        initial_model=config.output / "joint.ckpt",
        output=config.output,
        response=stage,
        train_tag=config.train_tag,
        validation_tag=config.validation_tag,
        ema_decay=config.ema_decay,
        validate_every=config.validate_every,
        seed=config.seed,
    )


def read_all_response_sets(
    config: ResponseTrainingConfig | None, basis: DensityBasis
) -> list[tuple[str, Frames]]:
    """Return use and frames of what the response map is trained on; empty without one."""
    if config is None:
        return []
    return [
        (use, frames)
        for use, tag in (("train", config.train_tag), ("validation", config.validation_tag))
        for frames in read_response_sets(config.response.data, basis, tag)
    ]
