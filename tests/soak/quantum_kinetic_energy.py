"""Path integrals of a molecule against quantum mechanics: its kinetic energy in harmonic modes.

    python tests/soak/quantum_kinetic_energy.py --model ethanol --picoseconds 5 --output pimd
    python tests/soak/quantum_kinetic_energy.py --model ethanol --ensemble trpmd --output trpmd
    python tests/soak/quantum_kinetic_energy.py --picoseconds 1

Runs PIMD or a dynamics of ring polymers (32 beads, 300 K) as `densnet md` does and compares the
centroid-virial kinetic energy with Σ ħω/4 coth(βħω/2) over the model's own harmonic modes plus 3 kT
for overall motion (i-PI's estimator counts the centre of mass, also when it is fixed). Without
--model it is the elastic molecule of tests/ipi_driver, whose modes are nearly harmonic; the
difference for a real molecule is its anharmonicity, some per cent. With --output the run directory
is kept, for `densnet spectrum`, and the same command continues a run that was stopped.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from ase.data import atomic_masses  # noqa: E402

from densnet.simulate.bundle import load_molecule  # noqa: E402
from densnet.simulate.follow import read_properties  # noqa: E402
from densnet.simulate.plan import Molecule, Settings  # noqa: E402
from densnet.simulate.run import DRIVER_PROGRAM, continue_run, start_run  # noqa: E402
from densnet.simulate.summary import block_error  # noqa: E402
from densnet.units import DALTON_AU, HARTREE_MEV, KELVIN_HARTREE  # noqa: E402
from ipi_driver.evaluate import Model  # noqa: E402
from tests.ipi_driver import elastic_ethanol  # noqa: E402

DISPLACEMENT_BOHR = 1e-3
TEMPERATURE_KELVIN = 300.0
# Relative difference that anharmonicity may make, beside three standard errors.
ANHARMONICITY = {"elastic": 0.02, "model": 0.05}


def frequencies(model: Model, molecule: Molecule) -> NDArray[np.float64]:
    """Angular frequencies of the vibrations, atomic units, from central differences of forces."""
    numbers = np.array(molecule.numbers)
    n = 3 * len(numbers)
    steps = np.eye(n).reshape(n, -1, 3) * DISPLACEMENT_BOHR
    plus = model.evaluate(numbers, molecule.positions + steps).forces
    minus = model.evaluate(numbers, molecule.positions - steps).forces
    hessian = -(plus - minus).reshape(n, n) / (2.0 * DISPLACEMENT_BOHR)
    masses = np.repeat(atomic_masses[numbers] * DALTON_AU, 3)
    weighted = 0.5 * (hessian + hessian.T) / np.sqrt(np.outer(masses, masses))
    # Translations and rotations are the six smallest.
    return np.sqrt(np.sort(np.linalg.eigvalsh(weighted))[6:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="a bundle; the elastic molecule if none is named")
    parser.add_argument("--picoseconds", type=float, default=5.0)
    parser.add_argument("--beads", type=int, default=32)
    parser.add_argument("--ensemble", choices=("pimd", "trpmd", "trpmd-gle"), default="pimd")
    parser.add_argument("--output", type=Path, help="run directory; a scratch one by default")
    args = parser.parse_args()
    if args.model:
        from densnet.export.loading import load_model

        molecule = load_molecule(args.model)
        model: Model = load_model(args.model, dtype="float64")
        driver, name = DRIVER_PROGRAM, args.model
    else:
        numbers = tuple(elastic_ethanol.NUMBERS.tolist())
        symbols, positions = tuple(elastic_ethanol.SYMBOLS), elastic_ethanol.POSITIONS
        molecule = Molecule("elastic", "0" * 64, symbols, numbers, positions, 0)
        model = elastic_ethanol.ElasticEthanol()
        driver, name = (sys.executable, elastic_ethanol.__file__), "elastic-together"
        os.environ["PYTHONPATH"] = str(ROOT)
    beta = 1.0 / (TEMPERATURE_KELVIN * KELVIN_HARTREE)
    omega = frequencies(model, molecule)
    quantum = (omega / 4.0 / np.tanh(0.5 * beta * omega)).sum() + 3.0 / beta
    classical = (len(omega) + 6) / (2.0 * beta)
    with tempfile.TemporaryDirectory() as scratch:
        directory = args.output or Path(scratch) / "run"
        settings = Settings(
            name,
            ensemble=args.ensemble,
            steps=round(args.picoseconds * 2000),
            temperature_kelvin=TEMPERATURE_KELVIN,
            beads=args.beads,
            thermalise_steps=500,
            dipole_stride=0 if args.ensemble == "pimd" else 4,
            velocity_stride=0 if args.ensemble == "pimd" else 4,
        )
        if not directory.exists():
            start_run(settings, molecule, directory, ("quantum_kinetic_energy",))
        elif Settings.load(directory) != settings:
            raise SystemExit(f"{directory} holds a run of other settings")
        manifest = continue_run(settings, molecule, directory, driver_program=driver)
        table = read_properties(directory / manifest.segments[-1].properties_file)
    kinetic, error = table["kinetic_cv"].mean(), block_error(table["kinetic_cv"])
    print(
        f"quantum kinetic energy {kinetic * HARTREE_MEV:.1f} ± {error * HARTREE_MEV:.1f} meV, "
        f"harmonic estimate {quantum * HARTREE_MEV:.1f}, classical {classical * HARTREE_MEV:.1f}"
    )
    allowed = ANHARMONICITY["model" if args.model else "elastic"] * quantum + 3.0 * error
    if not abs(kinetic - quantum) < allowed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
