"""From settings to stages, and i-PI's own parser on what is written."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from ipi.engine.thermostats import ThermoFFL
from ipi.inputs.simulation import InputSimulation
from ipi.utils.depend import depend_array
from ipi.utils.io.inputs.io_xml import xml_parse_string
from ipi.utils.prng import Random
from scipy.linalg import solve_continuous_lyapunov

from densnet.errors import InputError
from densnet.simulate.ensembles import (
    ENSEMBLES,
    FFL_FLIP,
    GLE_TIMES_FS,
    broadband_gle,
    ring_polymer_gle,
)
from densnet.simulate.plan import Molecule, Settings, Stage, plan_stages
from densnet.units import AU_FS, KELVIN_HARTREE
from tests.ipi_driver.elastic_ethanol import NUMBERS, POSITIONS, SYMBOLS

MOLECULE = Molecule("elastic", "0" * 64, tuple(SYMBOLS), tuple(NUMBERS.tolist()), POSITIONS, 0)


def stages(settings: Settings) -> list[Stage]:
    return list(itertools.chain(*plan_stages(settings, MOLECULE, Path("run"))))


def parse(xml: str) -> InputSimulation:
    simulation = InputSimulation()
    simulation.parse(xml_parse_string(xml).fields[0][1])
    return simulation


@pytest.mark.parametrize("ensemble", ENSEMBLES)
@pytest.mark.parametrize("replicas", [1, 3])
def test_ipi_parses_every_ensemble(ensemble: str, replicas: int) -> None:
    beads = min(ENSEMBLES[ensemble].beads, 4)
    settings = Settings("elastic", ensemble=ensemble, replicas=replicas, beads=beads)
    for stage in stages(settings):
        simulation = parse(stage.input.xml())
        systems = [value for name, value in simulation.extra if name == "system"]
        assert len(systems) == replicas
        socket = dict(simulation.extra)["ffsocket"]
        assert socket.batch_size.fetch() == replicas * beads
        assert socket.timeout.fetch() > 0
        assert socket.latency.fetch() <= 1e-3
        assert simulation.safe_stride.fetch() > 1
        assert simulation.threading.fetch() == (replicas > 1)


def test_replicas_are_shared_among_processes() -> None:
    groups = plan_stages(Settings("elastic", replicas=7, processes=3), MOLECULE, Path("run"))
    assert [group[-1].input.n_replicas for group in groups] == [3, 2, 2]
    names = [segment.name for group in groups for segment in group[-1].segments()]
    assert names == [f"nve-{k:02d}" for k in range(7)]
    addresses = {stage.input.transport.address for group in groups for stage in group}
    assert len(addresses) == 3


def test_every_process_and_stage_has_its_own_seed() -> None:
    seeds = [
        stage.input.seed
        for seed in (1, 2, 3)
        for stage in stages(Settings("elastic", replicas=4, processes=4, seed=seed))
    ]
    assert len(set(seeds)) == len(seeds)


def test_thermalisation_is_not_used_for_spectra() -> None:
    first, second = stages(Settings("elastic"))
    assert [s.use_for_spectrum for s in first.segments()] == [False]
    assert first.segments()[0].dipole_files == ()
    assert [s.use_for_spectrum for s in second.segments()] == [True]
    assert second.from_stage == first.directory
    (pimd,) = stages(Settings("elastic", ensemble="pimd", beads=4, thermalise_steps=0))
    assert not pimd.segments()[0].use_for_spectrum


def test_bead_files_are_numbered_as_ipi_numbers_them() -> None:
    (stage,) = stages(
        Settings("elastic", ensemble="trpmd", beads=12, thermalise_steps=0, position_stride=5)
    )
    (segment,) = stage.segments()
    assert segment.dipole_files[3] == "01_trpmd/densnet.dipole_03"
    assert segment.position_files[11] == "01_trpmd/densnet.pos_11.xyz"
    assert len(segment.dipole_files) == 12


@pytest.mark.parametrize(
    "wrong",
    [
        {"ensemble": "npt"},
        {"steps": 0},
        {"timestep_fs": -0.5},
        {"temperature_kelvin": 0.0},
        {"replicas": 2, "processes": 3},
        {"tau_fs": 0.0},
        {"dipole_stride": -1},
    ],
)
def test_senseless_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError):
        Settings("elastic", **wrong)  # type: ignore[arg-type]


def test_settings_survive_the_disk(tmp_path: Path) -> None:
    settings = Settings("elastic", ensemble="nvt-svr", tau_fs=250.0, replicas=3)
    settings.save(tmp_path)
    assert Settings.load(tmp_path) == settings
    with pytest.raises(InputError, match="no run to resume"):
        Settings.load(tmp_path / "elsewhere")


def test_the_gle_has_the_friction_it_promises() -> None:
    drift = np.array(broadband_gle(100.0))
    # Schur complement: the friction of slow motion once the auxiliary momenta have relaxed.
    slow = drift[0, 0] - drift[0, 1:] @ np.linalg.solve(drift[1:, 1:], drift[1:, 0])
    assert slow == pytest.approx(AU_FS / 100.0, rel=1e-12)
    # A + Aᵀ ≥ 0: the noise that keeps C = kT·1 exists.
    assert np.linalg.eigvalsh(drift + drift.T).min() > -1e-15
    assert drift.shape == (len(GLE_TIMES_FS) + 1,) * 2


def friction(drift: np.ndarray, omega: float) -> float:
    """What a momentum coupled to auxiliary momenta feels at a frequency."""
    others = drift[1:, 1:] + 1j * omega * np.eye(len(drift) - 1)
    return float((drift[0, 0] - drift[0, 1:] @ np.linalg.solve(others, drift[1:, 0])).real)


def potential_correlation_time(drift: np.ndarray, omega: float) -> float:
    """∫ c_qq(t)²/c_qq(0)² dt of a harmonic oscillator with a generalised Langevin thermostat."""
    n = len(drift)
    whole = np.zeros((n + 1, n + 1))
    whole[0, 1], whole[1, 0] = -1.0, omega**2
    whole[1:, 1:] += drift
    start = np.eye(n + 1)[0]
    return float(solve_continuous_lyapunov(whole, np.outer(start, start))[0, 0])


def test_the_gle_of_trpmd_damps_resonances_like_trpmd_and_stretches_less() -> None:
    beads, temperature = 32, 300.0
    matrices = np.array(ring_polymer_gle(beads, temperature))
    assert matrices.shape == (beads, 2, 2)
    assert matrices[0, 0].tolist() == [0.0, 0.0]
    for k, drift in enumerate(matrices[1:], start=1):
        omega = 2.0 * beads * temperature * KELVIN_HARTREE * np.sin(k * np.pi / beads)
        assert friction(drift, omega) == pytest.approx(omega, rel=1e-12)
        assert friction(drift, 3.0 * omega) == pytest.approx(omega / 5.0, rel=1e-12)
        assert potential_correlation_time(drift, omega) == pytest.approx(
            potential_correlation_time(np.array([[omega]]), omega), rel=1e-9
        )
        assert np.linalg.eigvalsh(drift + drift.T).min() > -1e-15


def test_the_template_of_trpmd_with_a_gle_has_these_matrices() -> None:
    root = Path(__file__).parents[2]
    text = (root / "densnet" / "simulate" / "inputs" / "trpmd-gle.xml").read_text()
    numbers = text.split("<A shape='(32, 2, 2)'>[")[1].split("]")[0].replace(",", " ").split()
    expected = np.array(ring_polymer_gle(32, 300.0)).ravel()
    np.testing.assert_allclose(np.array(numbers, dtype=float), expected, rtol=1e-9)


def kinetic_ratio(flip: str, n_steps: int, rng: np.random.Generator) -> float:
    """Kinetic energy over its canonical value: i-PI's thermostat, a molecule that stays at rest.

    Between steps the velocities are turned at random among the motions without a centre of mass,
    which stands for what forces do to them.
    """
    masses = np.array([12.0, 12.0, 16.0, *[1.0] * 6])
    momenta = depend_array(name="p", value=np.sqrt(np.repeat(masses, 3)) * rng.normal(size=27))
    thermostat = ThermoFFL(temp=1.0, dt=1.0, tau=10.0, flip=flip)
    constant = depend_array(name="m", value=np.repeat(masses, 3))
    thermostat.bind(pm=(momenta, constant), prng=Random(seed=int(rng.integers(1 << 30))))
    # Columns that are orthogonal to the overall motion; kT is 1.
    total = np.sqrt(masses / masses.sum())
    internal = np.linalg.svd(np.eye(9) - np.outer(total, total))[0][:, :8]
    kinetic = []
    for _ in range(n_steps):
        thermostat.step()
        weighted = np.array(momenta).reshape(9, 3) / np.sqrt(masses)[:, None]
        turn, _ = np.linalg.qr(rng.normal(size=(24, 24)))
        modes = turn @ (internal.T @ weighted).ravel()
        momenta[:] = (np.sqrt(masses)[:, None] * (internal @ modes.reshape(8, 3))).ravel()
        kinetic.append(0.5 * modes @ modes)
    return float(np.mean(kinetic[n_steps // 10 :]) / 12.0)


def test_the_fast_forward_thermostat_keeps_the_temperature(rng: np.random.Generator) -> None:
    # 0.29 for one sample, one in ten steps independent: 0.012.
    assert kinetic_ratio(FFL_FLIP, 6000, rng) == pytest.approx(1.0, abs=0.035)
    # The trap that it avoids.
    assert kinetic_ratio("rescale", 6000, rng) > 1.06
