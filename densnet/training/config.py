"""What a training file may say."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from densnet.configuration import NameOrPath
from densnet.errors import InputError
from densnet.models import DensityMapConfig, EnergyFunctionalConfig, ResponseMapConfig

Network = Literal["density_map", "energy_functional", "response_map"]


@dataclass(frozen=True)
class StageConfig:
    """One stage: so many epochs, and the course of the learning rate.

    The rate η rises linearly over ``warmup_steps`` and then falls as half a cosine to
    ``final_learning_rate``. Matrices of weights shrink by ``weight_decay`` times η in every step:
    0.1 helps with a hundred frames or fewer, and harms with a thousand.
    """

    epochs: int
    learning_rate: float
    final_learning_rate: float = 1e-6
    batch_size: int = 16
    warmup_steps: int = 50
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        if self.epochs < 0 or self.batch_size < 1 or self.warmup_steps < 0:
            raise InputError(
                "epochs and warmup_steps must not be negative, batch_size must be at least 1; got "
                f"{self.epochs}, {self.warmup_steps} and {self.batch_size}"
            )
        if not 0.0 < self.final_learning_rate <= self.learning_rate:
            raise InputError(
                "learning rates must satisfy 0 < final_learning_rate <= learning_rate, got "
                f"{self.final_learning_rate} and {self.learning_rate}"
            )
        if not 0.0 <= self.weight_decay * self.learning_rate < 1.0:
            raise InputError(
                "weight_decay must satisfy 0 <= weight_decay < 1/learning_rate, got "
                f"{self.weight_decay} with a learning_rate of {self.learning_rate}"
            )


@dataclass(frozen=True)
class ResponseConfig(StageConfig):
    """The stage that trains a response map on top of finished networks, which stay as they are.

    Parameters
    ----------
    data : tuple of Path
        HDF5 files of frames with polarizability and coefficient_response, in the basis of the
        model; empty: the files of the training.
    network : ResponseMapConfig
    overlap, polarizability : float
        Weights of ΔcᵀSΔc (bohr³) and of |Δα|², bohr⁶, beside (1/N_e)·ΔcᵀJΔc, Δc the error of the
        response coefficients and all three summed over the directions of the field.
    """

    data: tuple[Path, ...] = ()
    network: ResponseMapConfig = field(default_factory=ResponseMapConfig)
    overlap: float = 0.02
    polarizability: float = 0.01


@dataclass(frozen=True)
class LossConfig:
    """Weights of the terms.

    Parameters
    ----------
    overlap : float
        Of ΔcᵀSΔc (bohr³) beside (1/N_e)·ΔcᵀJΔc.
    dipole : float
        Of |Δμ|², in (e·bohr)².
    energy, forces : float
        Of the errors of the energy per √atom and of the root-mean-square component of an atom's
        force, both in units of the training set's root-mean-square force (times a bohr).
    density_in_joint : float
        Of the density's loss in the joint stage, relative to its value when that stage begins.
    coefficient_noise : float
        Noise on the coefficients while the functional learns, in units of the density map's error.
    energy_of_reference : float
        Of the error of the energy that the functional gives for the reference's own density in
        place of the predicted one, as ``energy``.
    """

    overlap: float = 0.02
    dipole: float = 0.1
    energy: float = 0.2
    forces: float = 1.0
    density_in_joint: float = 1.0
    coefficient_noise: float = 1.0
    energy_of_reference: float = 0.0


@dataclass(frozen=True)
class TrainingConfig:
    """A training file.

    Parameters
    ----------
    data : tuple of Path
        HDF5 files of labelled frames, one a molecule.
    output : Path
        Folder for checkpoints, history and pictures.
    basis : NameOrPath
        The density basis; the data must hold coefficients in it.
    initial_model : Path or None
        A model that this training starts from in place of random networks: a model.ckpt, or a
        bundle (folder or zip).
    initial_networks : tuple of "density_map", "energy_functional" and "response_map"
        Which of its networks are taken; by default all that it and this training have. A stage of
        no epochs leaves what it would have trained as it was.
    initial_energies : "model" or "data"
        Where the zero of energy is: as in the initial model, or shifted so that its energies of the
        training frames are right on average; for frames of another level of theory.
    atomic_charges : "learned" or "mean"
        What charge the functions on an atom hold together: what the density map learns, which is
        none; or what it is on average in the training frames, the same whatever the molecule does,
        for densities nearer to the reference (:mod:`densnet.training.initial_charges`).
    train_tag, validation_tag : str
    n_train : int or None
        Use only so many training frames of each file, drawn at random (for learning curves); None:
        all.
    cutoff_bohr : float
    n_radial, n_contracted : int
    density_map, energy_functional
        Sizes of the networks; None: those of the initial model if the network is taken from it,
        else the default ones.
    density, energy, joint : StageConfig
    response : ResponseConfig or None
        A fourth stage, for models that are to offer polarizabilities.
    loss : LossConfig
    ema_decay : float
        Of the moving average of the weights, which is what is exported.
    validate_every : int
        Epochs between validations and checkpoints.
    seed : int
    """

    data: tuple[Path, ...]
    output: Path
    basis: NameOrPath
    density: StageConfig
    energy: StageConfig
    joint: StageConfig
    response: ResponseConfig | None = None
    initial_model: Path | None = None
    initial_networks: tuple[Network, ...] = ("density_map", "energy_functional", "response_map")
    initial_energies: Literal["model", "data"] = "model"
    atomic_charges: Literal["learned", "mean"] = "learned"
    train_tag: str = "train"
    validation_tag: str = "validation"
    n_train: int | None = None
    cutoff_bohr: float = 10.0
    n_radial: int = 12
    n_contracted: int = 16
    density_map: DensityMapConfig | None = None
    energy_functional: EnergyFunctionalConfig | None = None
    loss: LossConfig = field(default_factory=LossConfig)
    ema_decay: float = 0.998
    validate_every: int = 5
    seed: int = 1

    def __post_init__(self) -> None:
        check_course(self.ema_decay, self.validate_every)
        if not self.data:
            raise InputError("data must name at least one file of labelled frames")
        if self.n_train is not None and self.n_train < 1:
            raise InputError(f"n_train must be at least 1, got {self.n_train}")
        taken = self.initial_networks
        if "response_map" in taken and "density_map" not in taken:
            raise InputError(
                "initial_networks: a response map works on the features of its density map; name "
                "density_map, too"
            )
        both = {"density_map", "energy_functional"} <= set(taken)
        if self.initial_energies == "data" and not (both and self.initial_model is not None):
            raise InputError(
                "initial_energies: data shifts the energies of an initial model, which are those "
                "of its density_map and its energy_functional; name an initial_model and take "
                "both, or leave initial_energies out"
            )


@dataclass(frozen=True)
class ResponseTrainingConfig:
    """A training file of the response map alone.

    Parameters
    ----------
    initial_model : Path
        The finished model: a model.ckpt, or a bundle (folder or zip). A response map that it has
        is replaced by a new one.
    output : Path
        Folder for checkpoint, history and picture; its model.ckpt is the finished model with the
        response map added.
    response : ResponseConfig
        With its data.
    train_tag, validation_tag, ema_decay, validate_every, seed
        As in a training of all networks.
    """

    initial_model: Path
    output: Path
    response: ResponseConfig
    train_tag: str = "train"
    validation_tag: str = "validation"
    ema_decay: float = 0.998
    validate_every: int = 5
    seed: int = 1

    def __post_init__(self) -> None:
        check_course(self.ema_decay, self.validate_every)
        if not self.response.data:
            raise InputError("response.data must name at least one file of labelled frames")


@dataclass(frozen=True)
class CentroidConfig(StageConfig):
    """The stage that turns a functional into the potential of centroids.

    Parameters
    ----------
    runs : tuple of Path
        Run directories of path-integral dynamics of the initial model, with centroids.
    validation_share : float
        Of the replicas, the last ones.
    """

    runs: tuple[Path, ...] = ()
    validation_share: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.epochs:
            raise InputError("centroid.epochs must be at least 1: nothing else is trained here")
        if not self.runs:
            raise InputError("centroid.runs must name at least one run directory of densnet md")
        if not 0.0 < self.validation_share < 1.0:
            raise InputError(
                f"centroid.validation_share must lie between 0 and 1, got {self.validation_share:g}"
            )


@dataclass(frozen=True)
class CentroidTrainingConfig:
    """A training file of a centroid potential.

    Parameters
    ----------
    initial_model : Path
        The model that drove the beads: a model.ckpt, or a bundle (folder or zip).
    output : Path
        Folder for checkpoint, history and picture; its model.ckpt is the initial model with a
        functional of centroids.
    centroid : CentroidConfig
        With its runs.
    ema_decay, validate_every, seed
        As in a training of all networks.
    """

    initial_model: Path
    output: Path
    centroid: CentroidConfig
    ema_decay: float = 0.998
    validate_every: int = 1
    seed: int = 1

    def __post_init__(self) -> None:
        check_course(self.ema_decay, self.validate_every)


def check_course(ema_decay: float, validate_every: int) -> None:
    """Refuse (InputError) an average that is none, and validations that never come."""
    if not 0.0 <= ema_decay < 1.0:
        raise InputError(f"ema_decay must satisfy 0 <= ema_decay < 1, got {ema_decay}")
    if validate_every < 1:
        raise InputError(f"validate_every must be at least 1, got {validate_every}")
