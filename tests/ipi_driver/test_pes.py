"""The potential inside i-PI: single, batched, wrong, and in a run of its own."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ipi.pes import load_pes

import ipi_driver.pes
from densnet.errors import UnitsError
from densnet.programs import installed_program
from densnet.simulate.ipi_input import BOX_ANGSTROM
from densnet.simulate.processes import quiet_environment
from densnet.simulate.structure_files import write_xyz
from densnet.units import BOHR_ANGSTROM
from ipi_driver.domain import fit_domain
from tests.ipi_driver import elastic_pes
from tests.ipi_driver.elastic_ethanol import CHARGES, NUMBERS, POSITIONS, SYMBOLS, ElasticEthanol
from tests.ipi_driver.elastic_pes import ElasticDriver
from tests.tolerances import ROUNDING

INPUT = """<simulation verbosity='low' safe_stride='1' floatformat='%24.16e'>
  <output prefix='densnet'>
    <trajectory filename='dipole' stride='1' extra_type='dipole'>extras</trajectory>
  </output>
  <total_steps>{steps}</total_steps>
  <prng><seed>3</seed></prng>
  <ffdirect name='densnet' threaded='True'>
    <pes>custom</pes> <pes_path>{path}</pes_path> <batch_size>{beads}</batch_size>
    <parameters>{{ model: elastic }}</parameters>
  </ffdirect>
  <system>
    <initialize nbeads='{beads}'>
      <file mode='xyz'>init.xyz</file>
      <velocities mode='thermal' units='kelvin'>{kelvin}</velocities>
    </initialize>
    <forces><force forcefield='densnet'/></forces>
    <ensemble><temperature units='kelvin'>300</temperature></ensemble>
    <motion mode='dynamics'>
      <dynamics mode='nve'><timestep units='femtosecond'>0.5</timestep></dynamics>
    </motion>
  </system>
</simulation>
"""


def test_ipi_finds_the_class_of_the_file() -> None:
    assert load_pes("custom", ipi_driver.pes.__file__).__name__ == "DensnetDriver"


def test_a_list_is_evaluated_in_one_call(rng: np.random.Generator) -> None:
    driver = ElasticDriver("elastic")
    frames = POSITIONS + rng.normal(scale=0.05, size=(5, 9, 3))
    results = driver([np.eye(3)] * 5, list(frames))
    expected = ElasticEthanol().evaluate(NUMBERS, frames)
    for k, (energy, forces, virial, extras) in enumerate(results):
        assert energy == pytest.approx(expected.energy[k], abs=ROUNDING)
        np.testing.assert_allclose(forces, expected.forces[k], atol=ROUNDING)
        np.testing.assert_allclose(virial, expected.virial[k], atol=ROUNDING)
        np.testing.assert_allclose(json.loads(extras)["dipole"], expected.dipole[k], atol=ROUNDING)
    energy, _, _, _ = driver(np.eye(3), frames[0])
    assert energy == pytest.approx(expected.energy[0], abs=ROUNDING)


def test_a_bundle_that_knows_its_training_set_sends_the_distance_from_it(
    rng: np.random.Generator,
) -> None:
    training = POSITIONS + rng.normal(scale=0.05, size=(100, 9, 3))

    class KnowingDriver(ElasticDriver):
        def load(self, *arguments: object) -> ElasticEthanol:
            model = ElasticEthanol()
            model.domain = fit_domain(NUMBERS.tolist(), training).to_bytes()
            return model

    driver = KnowingDriver("elastic")
    distances = [
        json.loads(extras)["domain"]
        for _, _, _, extras in driver([np.eye(3)] * 2, [POSITIONS, 1.1 * POSITIONS])
    ]
    assert distances[0] < 1.0 < distances[1]


def test_angstrom_is_refused() -> None:
    with pytest.raises(UnitsError):
        ElasticDriver("elastic")(np.eye(3), POSITIONS * BOHR_ANGSTROM)


def run_ipi(directory: Path, beads: int, steps: int, kelvin: float) -> str:
    write_xyz(directory / "init.xyz", SYMBOLS, POSITIONS, BOX_ANGSTROM)
    text = INPUT.format(path=elastic_pes.__file__, beads=beads, steps=steps, kelvin=kelvin)
    (directory / "input.xml").write_text(text)
    environment = {**quiet_environment(), "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [installed_program("i-pi"), "input.xml"],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        check=False,
    )
    return done.stdout + done.stderr


def test_ffdirect_runs_batched_beads(tmp_path: Path) -> None:
    output = run_ipi(tmp_path, beads=4, steps=10, kelvin=300.0)
    rows = (tmp_path / "densnet.dipole_3").read_text().split("\n")
    assert rows.count(" #EXTRAS(dipole)# Step:          10 ") == 1, output
    first = [float(word) for word in rows[1].split()]
    np.testing.assert_allclose(first, CHARGES @ POSITIONS, atol=1e-12)


def test_a_guarded_frame_in_ffdirect_leaves_a_restart(tmp_path: Path) -> None:
    output = run_ipi(tmp_path, beads=1, steps=100000, kelvin=2e6)
    assert "@densnet" in output
    assert (tmp_path / "RESTART").is_file()
    assert list(tmp_path.glob("densnet-driver-refused-*.xyz"))


def test_the_stock_driver_serves_the_file(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, installed_program("i-pi-py_driver"), "-m", "custom"]
        + ["-P", ipi_driver.pes.__file__, "-o", "no-such-model", "-u", "-a", "nobody"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "no model 'no-such-model'" in done.stderr
