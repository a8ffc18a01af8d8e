"""Points of a sweep, and a whole one through i-PI, interrupted in the middle."""

import sys
from pathlib import Path

import pytest

from densnet.configuration import parse_yaml
from densnet.errors import InputError
from densnet.simulate.manifest import RunManifest
from densnet.simulate.sweep import SweepProgress, SweepSettings, run_sweep, sweep_points
from densnet.simulate.thermostat_report import report_run
from tests.ipi_driver import elastic_ethanol
from tests.simulate.test_plan import MOLECULE

DRIVER = (sys.executable, elastic_ethanol.__file__)


def test_every_combination_is_run_once() -> None:
    sweep = SweepSettings(
        "m",
        thermostats=("svr", "none"),
        taus_fs=(100.0, 1000.0),
        temperatures_kelvin=(300.0, 500.0),
        seeds=(1, 2),
    )
    names = [point.name for point in sweep_points(sweep)]
    # NVE has no time constant: 2·2·2 with the thermostat, 2·2 without.
    assert len(names) == len(set(names)) == 12
    assert "svr-1000fs-500K-seed2" in names
    assert "none-300K-seed1" in names


def test_a_thermostat_has_its_own_time_constant_unless_told() -> None:
    (point,) = sweep_points(SweepSettings("m", thermostats=("svr",)))
    assert point.settings.tau_fs == point.tau_fs == 1000.0


def test_a_sweep_is_read_from_yaml() -> None:
    text = "model: ethanol\nthermostats: [svr, gle]\nseeds: [1, 2, 3]\nsteps: 100\n"
    sweep = parse_yaml(text, SweepSettings)
    assert len(sweep_points(sweep)) == 6


@pytest.mark.parametrize(
    "wrong", [{"thermostats": ("warm",)}, {"seeds": ()}, {"side_by_side": 0}, {"thermostats": ()}]
)
def test_a_senseless_sweep_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError):
        SweepSettings("m", **wrong)  # type: ignore[arg-type]


def test_a_sweep_runs_side_by_side_and_survives_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    sweep = SweepSettings(
        "elastic", thermostats=("langevin", "none"), steps=400, thermalise_steps=0, side_by_side=2
    )

    def interrupt(progress: SweepProgress) -> None:
        if progress.steps > 0:
            raise KeyboardInterrupt

    directory = tmp_path / "sweep"
    with pytest.raises(KeyboardInterrupt):
        run_sweep(sweep, MOLECULE, directory, driver_program=DRIVER, on_progress=interrupt)
    points = run_sweep(sweep, MOLECULE, directory, driver_program=DRIVER)
    for point in points:
        assert RunManifest.load(directory / point.name).finished
        report = report_run(directory / point.name)
        assert 50.0 < report.temperature_kelvin < 700.0
    # Both servers were met by one driver.
    log = (directory / "driver.log").read_text()
    assert log.count("connected to unix") >= 2
    assert run_sweep(sweep, MOLECULE, directory, driver_program=("no", "driver")) == points
    with pytest.raises(InputError, match="other settings"):
        run_sweep(SweepSettings("elastic", thermostats=("none",), steps=800), MOLECULE, directory)
