"""Runs a plan: prepares each stage, watches i-PI and the driver, resumes, reports progress."""

import stat
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from densnet.errors import InputError, SimulationError
from densnet.simulate.checkpoints import done_steps, find_checkpoint, prune_checkpoints
from densnet.simulate.ensembles import find_ensemble
from densnet.simulate.follow import Follower, State
from densnet.simulate.ipi_input import BOX_ANGSTROM
from densnet.simulate.manifest import ModelRecord, RunManifest
from densnet.simulate.plan import Molecule, Settings, Stage, plan_stages, start_file
from densnet.simulate.processes import DriverProcess, Server, remove_stale_socket
from densnet.simulate.structure_files import split_checkpoint, write_xyz
from densnet.units import HARTREE_MEV

POLL_S = 0.05
REPORT_S = 0.5
PRUNE_S = 5.0
DRIVER_PROGRAM = (sys.executable, "-m", "ipi_driver")


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Parameters
    ----------
    stage : str
        Names of the running stages.
    steps, total_steps : int
        Steps of all stages and groups together.
    temperature_kelvin : float
        Mean over the replicas of the last row; NaN before the first.
    conserved_change_mev : float
        Largest change of the conserved quantity of a replica since its stage began, meV an atom.
    """

    stage: str
    steps: int
    total_steps: int
    temperature_kelvin: float
    conserved_change_mev: float


def start_run(
    settings: Settings,
    molecule: Molecule,
    directory: Path,
    command: Sequence[str],
    starts: Sequence[NDArray[np.float64]] = (),
) -> RunManifest:
    """Create the run directory with its manifest, its settings and its start structures.

    Parameters
    ----------
    settings : Settings
        With as many `n_starts` as there are `starts`.
    molecule : Molecule
    directory : Path
    command : sequence of str
        What the user typed, for the manifest.
    starts : sequence of (n_atoms, 3) float64, bohr
        From :func:`densnet.simulate.starts.read_starts`.

    Raises
    ------
    InputError
        If the directory already holds something, or a potential of centroids is to have beads.
    """
    if molecule.centroid_kelvin is not None and settings.beads > 1:
        raise InputError(
            f"{molecule.name} is a potential of the centroids of ring polymers: its nuclei are "
            "quantum already, beads would count that twice; choose an ensemble of classical "
            "nuclei (nve, nvt-svr), or the model of the electrons that it was made from"
        )
    if directory.exists() and any(directory.iterdir()):
        raise InputError(
            f"{directory} is not empty: give another --output, or --resume to continue its run"
        )
    directory.mkdir(parents=True, exist_ok=True)
    for number, positions in enumerate(starts):
        write_xyz(directory / start_file(number), molecule.symbols, positions, BOX_ANGSTROM)
    groups = plan_stages(settings, molecule, directory)
    ensemble = find_ensemble(settings.ensemble)
    manifest = RunManifest(
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        command=tuple(command),
        model=ModelRecord(molecule.name, molecule.sha256, molecule.charge),
        numbers=molecule.numbers,
        ensemble=settings.ensemble,
        temperature_kelvin=settings.temperature_kelvin,
        timestep_fs=settings.timestep_fs,
        steps=settings.steps,
        beads=settings.beads,
        nuclei="centroid" if molecule.centroid_kelvin is not None else ensemble.nuclei,
        seed=settings.seed,
        finished=False,
        segments=tuple(s for stages in groups for stage in stages for s in stage.segments()),
    )
    settings.save(directory)
    manifest.save(directory)
    return manifest


def continue_run(
    settings: Settings,
    molecule: Molecule,
    directory: Path,
    *,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    driver_program: Sequence[str] = DRIVER_PROGRAM,
) -> RunManifest:
    """Run what is left of a run directory, whatever happened before.

    A KeyboardInterrupt stops i-PI so that it writes its RESTART, and is raised again: the same call
    continues later.

    Parameters
    ----------
    settings, molecule
        As given to :func:`start_run`.
    directory : Path
    on_progress : callable
        Called about twice a second.
    driver_program : sequence of str
        The driver's program; the model and its options are appended.

    Returns
    -------
    RunManifest
        With ``finished`` true.

    Raises
    ------
    SimulationError
        If i-PI or the driver stopped for a reason that a restart would not cure.
    """
    manifest = RunManifest.load(directory)
    if manifest.model.sha256 != molecule.sha256:
        raise InputError(
            f"{directory} was begun with another model {manifest.model.name!r} (SHA-256 "
            f"{manifest.model.sha256[:12]}…, now {molecule.sha256[:12]}…): a joined trajectory "
            "would be of two potentials; start a new run"
        )
    groups = [
        Group(stages, settings, molecule, directory, tuple(driver_program))
        for stages in plan_stages(settings, molecule, directory)
    ]
    next_report = 0.0
    try:
        while not _advance_all(groups):
            if time.monotonic() >= next_report:
                on_progress(_progress(groups))
                next_report = time.monotonic() + REPORT_S
            time.sleep(POLL_S)
    finally:
        for group in groups:
            group.stop()
    on_progress(_progress(groups))
    manifest = manifest.as_finished()
    manifest.save(directory)
    return manifest


class Group:
    """Replicas that share one i-PI process, stage after stage.

    Parameters
    ----------
    stages : sequence of Stage
    settings : Settings
    molecule : Molecule
    directory : Path
        The run directory.
    driver_program : tuple of str
        The driver to start with each stage; empty if one that serves several runs is there.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        settings: Settings,
        molecule: Molecule,
        directory: Path,
        driver_program: tuple[str, ...],
    ) -> None:
        self.stages = list(stages)
        self.index = 0
        self.molecule = molecule
        self._settings = settings
        self._directory = directory
        self._driver_program = driver_program
        self._server: Server | None = None
        self._driver: DriverProcess | None = None
        self._followers: list[Follower] = []
        self._next_prune = 0.0

    @property
    def address(self) -> str:
        """Socket of all stages."""
        return self.stages[0].input.transport.address

    @property
    def finished(self) -> bool:
        """Whether every stage has done all its steps."""
        return self.index >= len(self.stages)

    def advance(self) -> bool:
        """Start, watch or leave the current stage; whether everything is done.

        Raises
        ------
        SimulationError
            If i-PI failed or stopped early, or the driver refused.
        """
        if self.finished:
            return True
        stage = self.stages[self.index]
        directory = self._directory / stage.directory
        if self._server is None:
            if done_steps(directory) >= stage.input.steps:
                self.index += 1
            else:
                self._start(stage)
        elif not self._server.is_running():
            self._server = None
            if self._driver is not None:
                self._driver.wait()
            steps = done_steps(directory)
            if steps < stage.input.steps:
                raise SimulationError(
                    f"i-PI stopped after {steps} of {stage.input.steps} steps of "
                    f"{stage.directory}; continue with --resume (its log: {directory / 'i-pi.log'})"
                )
            self.index += 1
        elif self._driver is not None:
            self._driver.keep_alive()
        if time.monotonic() >= self._next_prune:
            prune_checkpoints(directory)
            self._next_prune = time.monotonic() + PRUNE_S
        return self.finished

    def _start(self, stage: Stage) -> None:
        directory = self._directory / stage.directory
        input_name = prepare_stage(stage, self._directory, self.molecule, self._settings)
        self._followers = [
            Follower(self._directory / segment.properties_file) for segment in stage.segments()
        ]
        for address in stage.input.addresses:
            remove_stale_socket(address)
        self._server = Server(directory, input_name, stage.input.transport.address)
        self._server.start()
        if self._driver_program:
            command = (
                *self._driver_program,
                *driver_arguments(self._settings, stage.input.addresses),
            )
            self._driver = DriverProcess(directory, command)
            self._driver.start()

    def stop(self) -> None:
        """End the processes of the current stage; i-PI writes its RESTART."""
        for process in (self._server, self._driver):
            if process is not None:
                process.stop()
        self._server = self._driver = None

    def states(self) -> list[State]:
        """Of the replicas of the current stage that have written a row."""
        return [state for follower in self._followers if (state := follower.state()) is not None]

    def steps(self) -> int:
        """Steps done in all stages."""
        before = sum(stage.input.steps for stage in self.stages[: self.index])
        if self.finished:
            return before
        return before + min((state.step for state in self.states()), default=0)

    def total_steps(self) -> int:
        """Steps of all stages."""
        return sum(stage.input.steps for stage in self.stages)


def _advance_all(groups: Sequence[Group]) -> bool:
    """Advance every group, also behind one that is not finished."""
    finished = [group.advance() for group in groups]
    return all(finished)


def driver_arguments(settings: Settings, addresses: Sequence[str]) -> list[str]:
    """Arguments of ``densnet-driver`` for a stage."""
    sockets = [word for address in addresses for word in ("--unix", address)]
    arguments = [settings.model, *sockets, "--log", "driver.log", "--log-every", "20000"]
    if settings.committee:
        arguments += ["--committee", *settings.committee]
    if settings.dtype != "float32":
        arguments += ["--dtype", settings.dtype]
    if settings.threads != 1:
        arguments += ["--threads", str(settings.threads)]
    return arguments


def prepare_stage(stage: Stage, run_directory: Path, molecule: Molecule, settings: Settings) -> str:
    """Write the files of a stage, or find the checkpoint to continue from.

    Returns
    -------
    str
        The file to give to i-PI.
    """
    directory = run_directory / stage.directory
    directory.mkdir(exist_ok=True)
    checkpoint = find_checkpoint(directory, run_directory, stage.segments())
    if checkpoint is not None:
        return checkpoint.name
    if stage.from_stage:
        source = run_directory / stage.from_stage / "RESTART"
        split_checkpoint(source, [directory / name for name in stage.input.checkpoints])
    write_xyz(directory / "init.xyz", molecule.symbols, molecule.positions, BOX_ANGSTROM)
    (directory / "input.xml").write_text(stage.input.xml(), encoding="utf-8")
    _write_script(directory, driver_arguments(settings, stage.input.addresses))
    return "input.xml"


def _write_script(directory: Path, arguments: Sequence[str]) -> None:
    """The two commands that run a stage by hand."""
    script = directory / "run.sh"
    script.write_text(
        "#!/bin/sh\n"
        "# Runs this stage by hand; afterwards `i-pi RESTART` in place of `i-pi input.xml`\n"
        "# continues it. i-PI and the driver find each other by the name after --unix.\n"
        'cd "$(dirname "$0")" || exit 1\n'
        "export OMP_NUM_THREADS=1\n"
        "i-pi input.xml > i-pi.log 2>&1 &\n"
        f"densnet-driver {' '.join(arguments)}\n"
        "wait\n",
        encoding="utf-8",
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP)


def _progress(groups: Sequence[Group]) -> Progress:
    states = [state for group in groups for state in group.states()]
    n_atoms = len(groups[0].molecule.numbers)
    changes = [abs(state.conserved_change) for state in states]
    running = [group.stages[group.index].name for group in groups if not group.finished]
    return Progress(
        stage=", ".join(dict.fromkeys(running)) or "done",
        steps=sum(group.steps() for group in groups),
        total_steps=sum(group.total_steps() for group in groups),
        temperature_kelvin=float(np.mean([s.temperature_kelvin for s in states] or [np.nan])),
        conserved_change_mev=max(changes, default=np.nan) * HARTREE_MEV / n_atoms,
    )
