"""How each code is trained and tested on the frames of ``frames.py``, by its own command line."""

import json
import os
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path

import ase.io
import numpy as np
import yaml

from densnet.errors import InputError, SimulationError

HERE = Path(__file__).parent
ETHANOL = Path(__file__).parents[3] / "examples" / "01_ethanol"
Errors = dict[str, dict[str, float | None]]
# Of DenSNet.
FEW_FRAMES, WEIGHT_DECAY = 100, 0.1
QUANTITIES = ("density_percent", "dipole_millidebye", "energy_mev", "forces_mev_angstrom")


@dataclass(frozen=True)
class Task:
    """One training.

    Parameters
    ----------
    frames : Path
        Folder of ``frames.py``.
    labels : Path
        The file of labels they were taken from.
    n_train : int
    epochs : int
        In units of the code.
    validate_every : int
        Epochs between validations.
    seed : int
    density_frames : int
        Test frames of each temperature whose density is compared on a grid.
    """

    frames: Path
    labels: Path
    n_train: int
    epochs: int
    validate_every: int
    seed: int
    density_frames: int = 20


class Code(ABC):
    """A code with a command line that trains and one that predicts."""

    name: str
    batch_size: int = 5

    @abstractmethod
    def training(self, task: Task, folder: Path) -> list[str]:
        """Return the command that trains, or goes on training, in a folder."""

    @abstractmethod
    def testing(self, task: Task, folder: Path) -> list[list[str]]:
        """Return the commands that predict the test frames with what was trained there."""

    @abstractmethod
    def errors(self, task: Task, folder: Path) -> Errors:
        """Read the predictions and return mean absolute errors by temperature."""

    def whole_epochs(self, epochs: float, validate_every: int) -> int:
        """Return a number of epochs that ends with a validation, at least one."""
        return max(1, int(epochs / validate_every)) * validate_every


@dataclass(frozen=True)
class DenSNet(Code):
    """DenSNet with the shipped architecture; a unit is 3 density and 2 joint epochs.

    The energy of DFT's own density, a term of the shipped training, is no part of the loss: the
    other codes have none. With 100 frames and fewer the weights shrink, which was chosen on
    validation frames with 50, 200 and 950.
    """

    name: str = "densnet"

    def training(self, task: Task, folder: Path) -> list[str]:
        """As above; the configuration is written beside."""
        content = yaml.safe_load((ETHANOL / "train.yaml").read_text("utf-8"))
        units = task.epochs
        content["data"] = [str((task.frames / f"frames-{task.n_train}.h5").resolve())]
        content["output"] = "run"
        content["seed"] = task.seed
        content["energy_functional"] = {"l_two_body": 2}
        content["validate_every"] = task.validate_every
        content["density"]["epochs"] = 3 * units
        content["energy"]["epochs"] = max(1, round(0.2 * units))
        content["joint"].update(epochs=2 * units, learning_rate=4e-3)
        if task.n_train <= FEW_FRAMES:
            for stage in ("density", "energy", "joint"):
                content[stage]["weight_decay"] = WEIGHT_DECAY
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "train.yaml").write_text(yaml.safe_dump(content))
        return [sys.executable, "-m", "densnet", "train", str(folder / "train.yaml")]

    def testing(self, task: Task, folder: Path) -> list[list[str]]:
        """As above."""
        densnet = [sys.executable, "-m", "densnet"]
        bundle = str(folder / "bundle")
        data = str(task.frames / f"frames-{task.n_train}.h5")
        export = ["export", str(folder / "run" / "model.ckpt"), "--data", data]
        report = ["--density-frames", str(task.density_frames)]
        report += ["--json", str(folder / "errors.json")]
        return [
            [*densnet, *export, "--name", "learning-curve", "--output", bundle],
            [*densnet, "evaluate", bundle, str(task.labels), *report],
        ]

    def errors(self, task: Task, folder: Path) -> Errors:
        """As above; the density in percent of the electrons."""
        report = json.loads((folder / "errors.json").read_text("utf-8"))
        found: Errors = {}
        for label, row in report["errors"].items():
            properties, density = row["properties"], row["density_percent"]
            found[label] = {
                "density_percent": None if density is None else density["predicted"],
                "dipole_millidebye": properties["dipole_vector_mae_millidebye"],
                "energy_mev": properties["energy_mae_mev"],
                "forces_mev_angstrom": properties["forces_mae_mev_angstrom"],
            }
        return found


@dataclass(frozen=True)
class Mace(Code):
    """MACE by ``mace_run_train`` and ``mace_eval_configs`` of its environment."""

    environment: Path
    name: str = "mace-small"

    def training(self, task: Task, folder: Path) -> list[str]:
        """As above. The last fifth of the epochs is stage two, as its README advises."""
        options = {
            "config": HERE / f"{self.name}.yaml",
            "name": "mace",
            "seed": task.seed,
            "train_file": task.frames / f"train-{task.n_train}.xyz",
            "valid_file": task.frames / "validation.xyz",
            "work_dir": folder,
            "max_num_epochs": task.epochs,
            "start_stage_two": max(1, round(0.8 * task.epochs)),
            "eval_interval": task.validate_every,
            # The README trains for 1500 epochs and leaves the patience at 50: the same proportion.
            "scheduler_patience": max(1, task.epochs // 30),
        }
        program = str(program_of(self.environment, "mace_run_train"))
        arguments = [f"--{key}={value}" for key, value in options.items()]
        return [program, *arguments, "--restart_latest"]

    def testing(self, task: Task, folder: Path) -> list[list[str]]:
        """As above, with the weights of stage two."""
        options = {
            "configs": task.frames / "test.xyz",
            "model": folder / "mace_stagetwo.model",
            "output": folder / "predictions.xyz",
            "default_dtype": "float32",
        }
        program = str(program_of(self.environment, "mace_eval_configs"))
        return [[program, *(f"--{key}={value}" for key, value in options.items())]]

    def errors(self, task: Task, folder: Path) -> Errors:
        """As above; MACE predicts energies and forces."""
        predicted = ase.io.read(folder / "predictions.xyz", index=":")
        energies = np.array([atoms.info["MACE_energy"] for atoms in predicted])
        forces = np.array([atoms.arrays["MACE_forces"] for atoms in predicted])
        return errors_by_temperature(task, energies, forces)

    def whole_epochs(self, epochs: float, validate_every: int) -> int:
        """MACE validates after epochs 0, n, 2n …; two epochs are the fewest for two stages."""
        return max(1, int(epochs / validate_every)) * validate_every + 1


@dataclass(frozen=True)
class Nequip(Code):
    """NequIP by ``nequip-train`` of its environment, which also predicts the test frames."""

    environment: Path
    name: str = "nequip"
    configuration: Path = field(default=HERE / "nequip.yaml")

    def training(self, task: Task, folder: Path) -> list[str]:
        """As above."""
        return [*self._command(task, folder), "run=[train]"]

    def testing(self, task: Task, folder: Path) -> list[list[str]]:
        """As above, from the best checkpoint."""
        best = (folder / "best.ckpt").resolve()
        # NequIP appends to it.
        (folder / "predictions_dataset0.xyz").unlink(missing_ok=True)
        model = f"{{_target_: nequip.model.ModelFromCheckpoint, checkpoint_path: '{best}'}}"
        command = [*self._command(task, folder, resume=False), "run=[test]"]
        return [[*command, "~training_module.model", f"+training_module.model={model}"]]

    def errors(self, task: Task, folder: Path) -> Errors:
        """As above; NequIP predicts energies and forces."""
        predicted = ase.io.read(folder / "predictions_dataset0.xyz", index=":")
        energies = np.array([atoms.get_potential_energy() for atoms in predicted])
        forces = np.array([atoms.get_forces() for atoms in predicted])
        return errors_by_temperature(task, energies, forces)

    def _command(self, task: Task, folder: Path, *, resume: bool = True) -> list[str]:
        frames = task.frames.resolve()
        command = [
            str(program_of(self.environment, "nequip-train")),
            "-cp",
            str(self.configuration.parent),
            "-cn",
            self.configuration.name,
            f"hydra.run.dir={folder.resolve()}",
            f"data.train_file_path={frames / f'train-{task.n_train}.xyz'}",
            f"data.val_file_path={frames / 'validation.xyz'}",
            f"data.test_file_path={frames / 'test.xyz'}",
            f"data.seed={task.seed}",
            f"training_module.model.seed={task.seed}",
            f"trainer.max_epochs={task.epochs}",
            f"validate_every={task.validate_every}",
        ]
        last = (folder / "last.ckpt").resolve()
        return [*command, f"++ckpt_path='{last}'"] if resume and last.exists() else command


def errors_by_temperature(task: Task, energies: np.ndarray, forces: np.ndarray) -> Errors:
    """Compare energies (eV) and forces (eV/Å) with the labels of ``test.xyz``.

    Raises
    ------
    SimulationError
        If there are not as many predictions as frames, or some are not finite.
    """
    labelled = ase.io.read(task.frames / "test.xyz", index=":")
    if len(energies) != len(labelled) or not np.isfinite(energies).all():
        raise SimulationError(
            f"{len(energies)} predictions for {len(labelled)} test frames, "
            f"{int(np.isfinite(energies).sum())} of them finite"
        )
    temperature = np.array([atoms.info["temperature"] for atoms in labelled])
    reference = np.array([atoms.info["REF_energy"] for atoms in labelled])
    expected = np.array([atoms.arrays["REF_forces"] for atoms in labelled])
    found: Errors = {}
    for kelvin in np.unique(temperature):
        of = temperature == kelvin
        found[f"{kelvin:g} K"] = {
            "density_percent": None,
            "dipole_millidebye": None,
            "energy_mev": 1e3 * float(np.abs(energies[of] - reference[of]).mean()),
            "forces_mev_angstrom": 1e3 * float(np.abs(forces[of] - expected[of]).mean()),
        }
    return found


def program_of(environment: Path, name: str) -> Path:
    """Return a command of a virtual environment."""
    program = environment / "bin" / name
    if not os.access(program, os.X_OK):
        raise InputError(f"{program}: no such command; README.md says how to install the code")
    return program
