"""From what the user asked for to the i-PI stages that do it."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from densnet.errors import DataError, InputError
from densnet.simulate.ensembles import ENSEMBLES, Ensemble, find_ensemble
from densnet.simulate.ipi_input import StageInput, Transport
from densnet.simulate.manifest import Segment

SETTINGS_FILE = "settings.json"
# Thermalisation couples every degree of freedom strongly; what it does to dynamics is not kept.
THERMALISE_TAU_FS = 50.0


@dataclass(frozen=True)
class Molecule:
    """What a bundle says of its molecule.

    Parameters
    ----------
    name : str
        Name or path of the bundle, as the driver is given it.
    sha256 : str
        Of the bundle, or of the hashes of a committee's bundles.
    symbols : tuple of str
    numbers : tuple of int
    positions : (n_atoms, 3) float64, bohr
    charge : int
    centroid_kelvin : float or None
        Of a model whose energy is a potential of centroids: the temperature of their ring polymers.
    """

    name: str
    sha256: str
    symbols: tuple[str, ...]
    numbers: tuple[int, ...]
    positions: NDArray[np.float64]
    charge: int
    centroid_kelvin: float | None = None


@dataclass(frozen=True)
class Settings:
    """What the user asked for.

    Parameters
    ----------
    model : str
        Name or absolute path of a bundle.
    ensemble : str
        A key of :data:`densnet.simulate.ensembles.ENSEMBLES`.
    steps : int
        Production steps of each replica.
    temperature_kelvin : float
    timestep_fs : float
    seed : int
    replicas : int
        Independent copies, evaluated together.
    beads : int
    thermalise_steps : int
        Langevin steps before production; 0 starts from the template with thermal velocities.
    dipole_stride, position_stride, velocity_stride, polarizability_stride : int
        Steps between dipoles, positions, velocities and polarizabilities; 0 writes none.
    centroid_stride : int
        Steps between positions of the centroids of path integrals, and the forces on them; 0 writes
        none.
    tau_fs : float or None
        Time constant of the thermostat; the ensemble's own if None.
    processes : int
        i-PI and driver pairs that share the replicas: one a core.
    dtype : str
        Precision of the network, ``float32`` or ``float64``.
    threads : int
        Threads of each model.
    committee : tuple of str
        More bundles, likewise: the mean of all is the potential.
    n_starts : int
        Start structures in the run directory, which the replicas take in turn; 0: the template.
    """

    model: str
    ensemble: str = "nve"
    steps: int = 20_000
    temperature_kelvin: float = 300.0
    timestep_fs: float = 0.5
    seed: int = 1
    replicas: int = 1
    beads: int = 1
    thermalise_steps: int = 2_000
    dipole_stride: int = 4
    position_stride: int = 0
    velocity_stride: int = 0
    centroid_stride: int = 0
    polarizability_stride: int = 0
    tau_fs: float | None = None
    processes: int = 1
    dtype: str = "float32"
    threads: int = 1
    committee: tuple[str, ...] = ()
    n_starts: int = 0

    def __post_init__(self) -> None:
        find_ensemble(self.ensemble)
        for name in ("steps", "replicas", "beads", "processes", "threads"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")
        strides = [f.name for f in fields(self) if f.name.endswith("_stride")]
        for name in ("thermalise_steps", *strides, "seed"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} must not be negative, got {getattr(self, name)}")
        for name in ("temperature_kelvin", "timestep_fs"):
            if not getattr(self, name) > 0.0:
                raise InputError(f"{name} must be positive, got {getattr(self, name)}")
        if self.tau_fs is not None and not self.tau_fs > 0.0:
            raise InputError(f"tau_fs must be positive, got {self.tau_fs}")
        if self.n_starts > self.replicas:
            raise InputError(
                f"{self.n_starts} start structures for {self.replicas} replicas: some would not be "
                "used; raise replicas"
            )
        if self.centroid_stride and self.beads == 1:
            raise InputError(
                "one bead is its own centroid: a centroid_stride needs path integrals (pimd)"
            )
        if self.processes > self.replicas:
            raise InputError(
                f"{self.processes} processes for {self.replicas} replicas: a process needs at "
                "least one; raise replicas or lower processes"
            )

    def save(self, directory: Path) -> None:
        """Write the settings beside the run, for ``--resume``."""
        path = directory / SETTINGS_FILE
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")
        os.replace(temporary, path)

    @classmethod
    def load(cls, directory: Path) -> "Settings":
        """Read the settings of a run directory.

        Raises
        ------
        InputError
            If there is no run to resume.
        """
        path = directory / SETTINGS_FILE
        if not path.is_file():
            raise InputError(f"{directory} holds no run to resume: it has no {SETTINGS_FILE}")
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            # A run begun by an earlier version goes on with the defaults of what it did not know.
            known = {f.name: document[f.name] for f in fields(cls) if f.name in document}
            return cls(**(known | {"committee": tuple(known.get("committee", ()))}))
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path} is damaged: {error}") from error


@dataclass(frozen=True)
class Stage:
    """One i-PI process after another in a group of replicas.

    Parameters
    ----------
    directory : str
        Relative to the run directory.
    name : str
        ``thermalise`` or the ensemble.
    input : StageInput
    from_stage : str
        Directory of the stage whose last state is the start; empty for init.xyz.
    first_replica : int
        Number of this group's first replica in the whole run.
    use_for_spectrum : bool
    """

    directory: str
    name: str
    input: StageInput
    from_stage: str
    first_replica: int
    use_for_spectrum: bool

    def segments(self) -> list[Segment]:
        """The trajectories that this stage writes."""
        stage = self.input
        return [
            Segment(
                name=f"{self.name}-{self.first_replica + replica:02d}",
                stage=self.directory,
                ensemble=stage.ensemble.name,
                temperature_kelvin=stage.temperature_kelvin,
                timestep_fs=stage.timestep_fs,
                steps=stage.steps,
                dipole_stride=stage.dipole_stride,
                dipole_files=self._paths(stage.dipole_files(replica)),
                properties_file=f"{self.directory}/{stage.output_file(replica, 'out')}",
                use_for_spectrum=self.use_for_spectrum,
                position_stride=stage.position_stride,
                position_files=self._paths(stage.position_files(replica)),
                velocity_stride=stage.velocity_stride,
                velocity_files=self._paths(stage.velocity_files(replica)),
                centroid_stride=stage.centroid_stride,
                centroid_files=self._paths(stage.centroid_files(replica)),
                polarizability_stride=stage.polarizability_stride,
                polarizability_files=self._paths(stage.polarizability_files(replica)),
            )
            for replica in range(stage.n_replicas)
        ]

    def _paths(self, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(f"{self.directory}/{name}" for name in names)


def plan_stages(settings: Settings, molecule: Molecule, directory: Path) -> list[list[Stage]]:
    """The stages of every group of replicas; groups run side by side, stages one after another.

    Parameters
    ----------
    settings : Settings
    molecule : Molecule
    directory : Path
        The run directory; only its name enters, into the names of the sockets.
    """
    sizes = [len(part) for part in np.array_split(np.arange(settings.replicas), settings.processes)]
    firsts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).tolist()
    tag = hashlib.sha256(str(directory.resolve()).encode()).hexdigest()[:8]
    return [
        _group_stages(settings, molecule, group, size, first, f"densnet-{tag}-{group}")
        for group, (size, first) in enumerate(zip(sizes, firsts, strict=True))
    ]


def start_files(n_starts: int, first: int, size: int) -> tuple[str, ...]:
    """Start structures of some replicas, as seen from the directory of a stage; none: template."""
    if n_starts == 0:
        return ()
    return tuple(f"../{start_file(replica % n_starts)}" for replica in range(first, first + size))


def start_file(number: int) -> str:
    """Name of a start structure in the run directory."""
    return f"start_{number:02d}.xyz"


def _group_stages(
    settings: Settings, molecule: Molecule, group: int, size: int, first: int, address: str
) -> list[Stage]:
    suffix = f"_{group}" if settings.processes > 1 else ""
    ensemble = find_ensemble(settings.ensemble)
    stages = []
    previous = ""
    plan: list[tuple[str, Ensemble, int, float | None, bool]] = []
    if settings.thermalise_steps:
        gentle = ENSEMBLES["nvt-langevin"] if settings.beads == 1 else ENSEMBLES["pimd-pile-l"]
        plan.append(("thermalise", gentle, settings.thermalise_steps, THERMALISE_TAU_FS, False))
    rows = settings.dipole_stride + settings.velocity_stride + settings.polarizability_stride
    spectral = ensemble.nuclei != "static" and rows > 0
    plan.append((settings.ensemble, ensemble, settings.steps, settings.tau_fs, spectral))
    for number, (name, motion, steps, tau_fs, use) in enumerate(plan, start=1):
        written = name != "thermalise"
        stage_directory = f"{number:02d}_{name}{suffix}"
        checkpoints = tuple(f"start_{replica:02d}.chk" for replica in range(size))
        stage = StageInput(
            ensemble=motion,
            temperature_kelvin=settings.temperature_kelvin,
            timestep_fs=settings.timestep_fs,
            steps=steps,
            beads=settings.beads,
            # i-PI's seeds: one a stage and a group, all different for different user seeds.
            seed=settings.seed * 1000 + 10 * group + number,
            n_replicas=size,
            transport=Transport(address),
            parameters=(f"{{ elements: {' '.join(molecule.symbols)}, charge: {molecule.charge} }}"),
            tau_fs=tau_fs,
            dipole_stride=written * settings.dipole_stride,
            position_stride=written * settings.position_stride,
            velocity_stride=written * settings.velocity_stride,
            centroid_stride=written * settings.centroid_stride,
            polarizability_stride=written * settings.polarizability_stride,
            spread=written and bool(settings.committee),
            checkpoints=checkpoints if previous else (),
            starts=() if previous else start_files(settings.n_starts, first, size),
        )
        stages.append(Stage(stage_directory, name, stage, previous, first, use))
        previous = stage_directory
    return stages
