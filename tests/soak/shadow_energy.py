"""Where does the drift of NVE runs come from: the model, or what velocity Verlet really conserves?

    python tests/soak/shadow_energy.py ethanol --picoseconds 100 --replicas 5 --timestep-fs 0.5

Velocity Verlet conserves not the energy H but, up to terms of fourth order in the step, a shadow
energy H + dt² (v·∇²V·v / 12 − F·M⁻¹·F / 24) (E. Hairer, C. Lubich and G. Wanner, Acta Numerica 12,
399, doi:10.1017/S0962492902000144). The second term is, for a harmonic mode of angular frequency ω,
on average ω²dt²/24 of its energy: H falls while energy flows from slow modes into fast ones, and
rises when it returns. Forces that are not the gradient of a smooth energy would make both drift.

In this process, with ASE's integrator and the bundle in float64: Langevin dynamics from the
minimum, then NVE. v·∇²V·v is the central difference of the forces along the trajectory.
"""

import argparse
from collections.abc import Iterator

import numpy as np
from ase import Atoms, units
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import Stationary
from ase.md.verlet import VelocityVerlet
from numpy.typing import NDArray

from densnet.calculators.ase import DensNetCalculator
from densnet.cli.output import add_json_option, write_json
from densnet.cli.progress import frame_progress
from densnet.simulate.bundle import load_molecule
from densnet.simulate.summary import fit_drift
from densnet.units import BOHR_ANGSTROM

FRICTION_PER_FS = 0.01


def shadow_correction(atoms: Atoms, timestep: float, steps: int) -> Iterator[tuple[float, float]]:
    """Run NVE; yield H and the term of second order in the step, eV, of all steps but the ends."""
    masses = atoms.get_masses()[:, None]
    rows: list[tuple[NDArray[np.float64], NDArray[np.float64], float]] = []
    for _ in VelocityVerlet(atoms, timestep).irun(steps):
        rows.append((atoms.get_velocities(), atoms.get_forces(), atoms.get_total_energy()))
        if len(rows) < 3:
            continue
        (_, before, _), (velocities, forces, energy), (_, after, _) = rows
        curvature = -np.sum(velocities * (after - before)) / (2.0 * timestep)
        inertia = np.sum(forces**2 / masses)
        yield energy, float(timestep**2 * (curvature / 12.0 - inertia / 24.0))
        del rows[0]


def drift(time_ns: NDArray[np.float64], values: NDArray[np.float64]) -> dict[str, float]:
    """Return slope, its error and the scatter about it of one trajectory."""
    names = ("drift", "drift_error", "fluctuation")
    return dict(zip(names, fit_drift(time_ns, values), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("--picoseconds", type=float, default=40.0)
    parser.add_argument("--replicas", type=int, default=5)
    parser.add_argument("--timestep-fs", type=float, default=0.25)
    parser.add_argument("--temperature", type=float, default=300.0, help="K")
    parser.add_argument("--thermalise-picoseconds", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=1)
    add_json_option(parser)
    args = parser.parse_args()

    molecule = load_molecule(args.model)
    calculator = DensNetCalculator(args.model, dtype="float64")
    timestep = args.timestep_fs * units.fs
    steps = round(1000 * args.picoseconds / args.timestep_fs)
    time_ns = args.timestep_fs * 1e-6 * np.arange(1, steps)
    to_mev_atom = 1000.0 / len(molecule.symbols)
    results = []
    with frame_progress("NVE") as progress:
        task = progress.add_task("", total=args.replicas * steps, note="")
        for replica in range(args.replicas):
            atoms = Atoms(molecule.symbols, positions=molecule.positions * BOHR_ANGSTROM)
            atoms.calc = calculator
            Langevin(
                atoms,
                0.5 * units.fs,
                temperature_K=args.temperature,
                friction=FRICTION_PER_FS / units.fs,
                fixcm=False,
                rng=np.random.default_rng([args.seed, replica]),
            ).run(round(2000 * args.thermalise_picoseconds))
            Stationary(atoms)
            rows = []
            for row in shadow_correction(atoms, timestep, steps):
                rows.append(row)
                if len(rows) % 100 == 0:
                    progress.update(task, completed=replica * steps + len(rows))
            energy, correction = np.array(rows).T * to_mev_atom
            series = {"energy": energy, "shadow": energy + correction}
            result = {name: drift(time_ns, values) for name, values in series.items()}
            results.append(result)
            line = " | ".join(
                f"{name}: {entry['drift']:+.4f} ± {entry['drift_error']:.4f} meV/atom/ns, "
                f"fluctuation {entry['fluctuation']:.5f} meV/atom"
                for name, entry in result.items()
            )
            progress.console.print(f"{replica}: {line}")
    means = {}
    for name in ("energy", "shadow"):
        drifts = np.array([result[name]["drift"] for result in results])
        error = drifts.std(ddof=1) / np.sqrt(len(drifts)) if len(drifts) > 1 else float("inf")
        means[name] = {
            "drift": float(drifts.mean()),
            "drift_error": float(error),
            "fluctuation": float(np.mean([result[name]["fluctuation"] for result in results])),
        }
        print(
            f"{name}: drift {means[name]['drift']:+.4f} ± {means[name]['drift_error']:.4f} "
            f"meV/atom/ns, fluctuation "
            f"{means[name]['fluctuation']:.5f} meV/atom"
        )
    write_json(args.json, {**vars(args), "replica": results, **means})


if __name__ == "__main__":
    main()
