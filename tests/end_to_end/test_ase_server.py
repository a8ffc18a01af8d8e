"""ASE's SocketIOCalculator, a server written independently of i-PI, with our driver."""

import json
import os
import subprocess
import sys
from pathlib import Path

import ase
import numpy as np
import pytest
from ase.calculators.socketio import SocketIOCalculator
from ase.units import Bohr, Hartree

from tests.ipi_driver import elastic_ethanol
from tests.ipi_driver.elastic_ethanol import NUMBERS, POSITIONS, ElasticEthanol

# Positions are divided and energies multiplied by ASE's constants on the way: rounding only.
RELATIVE = 1e-12


@pytest.mark.parametrize("transport", ["unix", "tcp"])
def test_ase_and_the_potential_agree(
    transport: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    port = 31000 + os.getpid() % 20000
    name = f"densnet-ase-{os.getpid()}"
    options = {"unixsocket": name} if transport == "unix" else {"port": port}
    where = ["--unix", name] if transport == "unix" else ["--tcp", f"localhost:{port}"]
    driver = subprocess.Popen(
        [sys.executable, elastic_ethanol.__file__, "elastic", *where],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
    )
    with SocketIOCalculator(**options, timeout=30.0) as calculator:
        atoms = ase.Atoms(NUMBERS, POSITIONS * Bohr, cell=[20.0, 21.0, 22.0], pbc=True)
        atoms.calc = calculator
        for _ in range(5):
            positions = POSITIONS + rng.normal(scale=0.05, size=POSITIONS.shape)
            atoms.positions = positions * Bohr
            expected = ElasticEthanol().evaluate(NUMBERS, (atoms.positions / Bohr)[None])
            energy = atoms.get_potential_energy()
            assert energy == pytest.approx(expected.energy[0] * Hartree, rel=RELATIVE)
            scale = np.abs(expected.forces).max()
            forces = atoms.get_forces() / Hartree * Bohr
            np.testing.assert_allclose(forces, expected.forces[0], rtol=0, atol=RELATIVE * scale)
            stress = -expected.virial[0] * Hartree / atoms.get_volume()
            np.testing.assert_allclose(
                atoms.get_stress(voigt=False),
                stress,
                rtol=0,
                atol=RELATIVE * np.abs(stress).max(),
            )
            extras = json.loads(bytes(calculator.results["morebytes"]))
            np.testing.assert_allclose(extras["dipole"], expected.dipole[0], rtol=RELATIVE)
    # ASE closes the socket; not every version says EXIT first.
    assert driver.wait(10.0) in (0, 4)
