"""Thermostats × time constants × temperatures × seeds, side by side, one driver for all of them.

Every point is a run directory of its own (``densnet md`` could have made it), so a sweep that was
stopped goes on where it was, and ``densnet spectrum`` reads any of its runs.
"""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from densnet.errors import InputError
from densnet.simulate.ensembles import ENSEMBLES, find_ensemble
from densnet.simulate.manifest import RunManifest
from densnet.simulate.plan import Molecule, Settings, plan_stages
from densnet.simulate.processes import DriverProcess
from densnet.simulate.run import POLL_S, REPORT_S, Group, start_run

DRIVER_PROGRAM = (sys.executable, "-m", "ipi_driver")


@dataclass(frozen=True)
class SweepSettings:
    """What to vary, and what every run has in common.

    Parameters
    ----------
    model : str
        Name of a shipped model, or path of a bundle.
    thermostats : tuple of str
        ``svr``, ``langevin``, ``gle``, ``ffl``; or ``none`` for NVE.
    taus_fs : tuple of float
        Time constants; without any, each thermostat's own. NVE has none.
    temperatures_kelvin : tuple of float
    seeds : tuple of int
    steps : int
        Of each run.
    timestep_fs : float
    thermalise_steps : int
    dipole_stride : int
    side_by_side : int
        i-PI processes at a time, served by one driver.
    dtype : str
    """

    model: str
    thermostats: tuple[str, ...] = ("svr", "langevin", "gle")
    taus_fs: tuple[float, ...] = ()
    temperatures_kelvin: tuple[float, ...] = (300.0,)
    seeds: tuple[int, ...] = (1,)
    steps: int = 20_000
    timestep_fs: float = 0.5
    thermalise_steps: int = 2_000
    dipole_stride: int = 4
    side_by_side: int = 4
    dtype: str = "float32"

    def __post_init__(self) -> None:
        for name in ("thermostats", "temperatures_kelvin", "seeds"):
            if not getattr(self, name):
                raise InputError(f"{name} must not be empty: there would be nothing to run")
        for thermostat in self.thermostats:
            ensemble_of(thermostat)
        if self.side_by_side < 1:
            raise InputError(f"side_by_side must be at least 1, got {self.side_by_side}")


@dataclass(frozen=True)
class Point:
    """One run of a sweep.

    Parameters
    ----------
    name : str
        Of its directory.
    thermostat : str
    tau_fs : float or None
        None for NVE.
    settings : Settings
    """

    name: str
    thermostat: str
    tau_fs: float | None
    settings: Settings


def ensemble_of(thermostat: str) -> str:
    """Name of the ensemble of a thermostat.

    Raises
    ------
    InputError
        If there is no such thermostat.
    """
    if thermostat == "none":
        return "nve"
    if f"nvt-{thermostat}" not in ENSEMBLES:
        known = [name.removeprefix("nvt-") for name in ENSEMBLES if name.startswith("nvt-")]
        raise InputError(f"no thermostat {thermostat!r}; choose from none, {', '.join(known)}")
    return f"nvt-{thermostat}"


def sweep_points(sweep: SweepSettings) -> list[Point]:
    """All runs, each once, in the order thermostat, time constant, temperature, seed."""
    points: dict[str, Point] = {}
    taus: Sequence[float | None] = sweep.taus_fs or (None,)
    for thermostat, asked, temperature, seed in product(
        sweep.thermostats, taus, sweep.temperatures_kelvin, sweep.seeds
    ):
        ensemble = find_ensemble(ensemble_of(thermostat))
        tau = None if ensemble.thermostat is None else (asked or ensemble.tau_fs)
        label = thermostat if tau is None else f"{thermostat}-{tau:g}fs"
        name = f"{label}-{temperature:g}K-seed{seed}"
        settings = Settings(
            model=sweep.model,
            ensemble=ensemble.name,
            steps=sweep.steps,
            temperature_kelvin=temperature,
            timestep_fs=sweep.timestep_fs,
            seed=seed,
            thermalise_steps=sweep.thermalise_steps,
            dipole_stride=sweep.dipole_stride,
            tau_fs=tau,
            dtype=sweep.dtype,
        )
        points.setdefault(name, Point(name, thermostat, tau, settings))
    return list(points.values())


@dataclass(frozen=True)
class SweepProgress:
    """How far a sweep is.

    Parameters
    ----------
    finished_runs, total_runs : int
    steps, total_steps : int
        Of all runs and stages.
    running : tuple of str
    """

    finished_runs: int
    total_runs: int
    steps: int
    total_steps: int
    running: tuple[str, ...]


def run_sweep(
    sweep: SweepSettings,
    molecule: Molecule,
    directory: Path,
    *,
    on_progress: Callable[[SweepProgress], None] = lambda progress: None,
    driver_program: Sequence[str] = DRIVER_PROGRAM,
) -> list[Point]:
    """Run what is left of a sweep.

    A KeyboardInterrupt leaves every run so that the same call continues it.

    Parameters
    ----------
    sweep : SweepSettings
    molecule : Molecule
    directory : Path
        Each run is a folder in it.
    on_progress : callable
    driver_program : sequence of str
        The driver's program; the model, the addresses and its options are appended.

    Returns
    -------
    list of Point
        All of them, finished.

    Raises
    ------
    InputError
        If a run of the directory was begun with other settings.
    SimulationError
        If i-PI or the driver failed for a reason that a restart would not cure.
    """
    directory.mkdir(parents=True, exist_ok=True)
    points = sweep_points(sweep)
    groups = {point.name: _prepare(point, molecule, directory) for point in points}
    waiting = [point for point in points if not _is_finished(directory / point.name)]
    driver = _driver(sweep, [groups[p.name] for p in waiting], directory, tuple(driver_program))
    running: list[Point] = []
    next_report = 0.0
    try:
        if waiting:
            driver.start()
        while waiting or running:
            while waiting and len(running) < sweep.side_by_side:
                running.append(waiting.pop(0))
            for point in list(running):
                if groups[point.name].advance():
                    run_directory = directory / point.name
                    RunManifest.load(run_directory).as_finished().save(run_directory)
                    running.remove(point)
            driver.keep_alive()
            if time.monotonic() >= next_report:
                on_progress(_progress(groups, running, len(points) - len(waiting) - len(running)))
                next_report = time.monotonic() + REPORT_S
            time.sleep(POLL_S)
    finally:
        for point in running:
            groups[point.name].stop()
        driver.stop()
    on_progress(_progress(groups, [], len(points)))
    return points


def _prepare(point: Point, molecule: Molecule, directory: Path) -> Group:
    """The run directory of a point, made or found again."""
    run_directory = directory / point.name
    if (run_directory / "settings.json").is_file():
        if Settings.load(run_directory) != point.settings:
            raise InputError(
                f"{run_directory} was begun with other settings; give the sweep another directory, "
                "or the settings it had"
            )
    else:
        start_run(point.settings, molecule, run_directory, ("densnet", "sweep"))
    (stages,) = plan_stages(point.settings, molecule, run_directory)
    return Group(stages, point.settings, molecule, run_directory, ())


def _is_finished(run_directory: Path) -> bool:
    return RunManifest.load(run_directory).finished


def _driver(
    sweep: SweepSettings, groups: Sequence[Group], directory: Path, program: tuple[str, ...]
) -> DriverProcess:
    """One driver that knows the addresses of all runs and stays until it is stopped."""
    addresses = [word for group in groups for word in ("--unix", group.address)]
    options = ("--dtype", sweep.dtype, "--stay", "--log", "driver.log", "--log-every", "100000")
    return DriverProcess(directory, (*program, sweep.model, *addresses, *options))


def _progress(
    groups: dict[str, Group], running: Sequence[Point], finished_runs: int
) -> SweepProgress:
    return SweepProgress(
        finished_runs=finished_runs,
        total_runs=len(groups),
        steps=sum(group.steps() for group in groups.values()),
        total_steps=sum(group.total_steps() for group in groups.values()),
        running=tuple(point.name for point in running),
    )
