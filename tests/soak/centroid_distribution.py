"""A potential of centroids against the ring polymers it was learned from: their bond lengths.

    densnet md ethanol-b3lyp --ensemble pimd --beads 20 --temperature 500 --replicas 24 \\
        --steps 4000 --dipole-stride 0 --centroid-stride 10 --output pimd
    python tests/soak/centroid_distribution.py pimd ethanol-b3lyp-centroids ethanol-b3lyp \\
        --output distribution

Classical dynamics in the exact potential of mean force, at the temperature of the ring polymers,
has the distribution of their centroids. Runs Langevin dynamics of each model through i-PI, as many
replicas as the run has, and prints mean and standard deviation of every bond length beside those of
the centroids, errors over replicas. Fails if the first model's differ by more than LIMIT_PM beside
three standard errors; the other models, e.g. the potential of the electrons, are there to show what
the quantum nuclei do. With --output a run that was stopped is continued by the same command.
"""

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from densnet.export.contents import name_from_anywhere  # noqa: E402
from densnet.simulate.bundle import load_molecule  # noqa: E402
from densnet.simulate.plan import Molecule, Settings  # noqa: E402
from densnet.simulate.run import continue_run, start_run  # noqa: E402
from densnet.spectra.centroids import load_centroids  # noqa: E402
from densnet.spectra.ipi_xyz import load_xyz  # noqa: E402
from densnet.units import BOHR_ANGSTROM  # noqa: E402
from ipi_driver.checks import bonded_pairs  # noqa: E402

PICOMETRES = 100.0 * BOHR_ANGSTROM
LIMIT_PM = 0.2
POSITION_STRIDE = 10


@dataclass(frozen=True)
class Bonds:
    """Means and standard deviations of bond lengths, pm, (n_bonds,), and standard errors."""

    mean: NDArray[np.float64]
    mean_error: NDArray[np.float64]
    width: NDArray[np.float64]
    width_error: NDArray[np.float64]


def bond_statistics(replicas: list[NDArray[np.float64]], pairs: NDArray[np.int64]) -> Bonds:
    """Statistics over positions (n_frames, n_atoms, 3) of every replica, bohr."""
    lengths = [
        np.linalg.norm(q[:, pairs[:, 0]] - q[:, pairs[:, 1]], axis=2) * PICOMETRES for q in replicas
    ]
    root = np.sqrt(len(lengths))
    means = np.stack([r.mean(axis=0) for r in lengths])
    widths = np.stack([r.std(axis=0) for r in lengths])
    return Bonds(
        means.mean(axis=0),
        means.std(axis=0, ddof=1) / root,
        widths.mean(axis=0),
        widths.std(axis=0, ddof=1) / root,
    )


def sample(
    model: str, molecule: Molecule, kelvin: float, replicas: int, picoseconds: float, folder: Path
) -> list[NDArray[np.float64]]:
    """Positions along Langevin dynamics, one array a replica."""
    settings = Settings(
        model,
        ensemble="nvt-langevin",
        steps=round(picoseconds * 2000),
        temperature_kelvin=kelvin,
        replicas=replicas,
        dipole_stride=0,
        position_stride=POSITION_STRIDE,
    )
    if not folder.exists():
        start_run(settings, molecule, folder, ("centroid_distribution",))
    elif Settings.load(folder) != settings:
        raise SystemExit(f"{folder} holds a run of other settings")
    manifest = continue_run(settings, molecule, folder)
    return [
        load_xyz(folder / segment.position_files[0], "positions").rows.values
        for segment in manifest.segments
        if segment.position_files
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="run directory of path integrals with centroids")
    parser.add_argument("models", nargs="+", help="bundles; the first one is checked")
    parser.add_argument("--picoseconds", type=float, default=4.0)
    parser.add_argument("--output", type=Path, help="folder of the runs; a scratch one by default")
    args = parser.parse_args()
    centroids = load_centroids([args.run])
    molecule = load_molecule(args.models[0])
    if molecule.numbers != tuple(centroids.numbers.tolist()):
        raise SystemExit(f"{args.run} and {args.models[0]} are of different molecules")
    pairs = np.array(list(bonded_pairs(centroids.numbers, molecule.positions)))
    columns = {"ring polymers": bond_statistics(list(centroids.positions), pairs)}
    with tempfile.TemporaryDirectory() as scratch:
        for model in args.models:
            replicas = sample(
                name_from_anywhere(model),
                load_molecule(model),
                centroids.temperature_kelvin,
                len(centroids.positions),
                args.picoseconds,
                (args.output or Path(scratch)) / Path(model).name,
            )
            columns[Path(model).name] = bond_statistics(replicas, pairs)
    print(f"bond lengths at {centroids.temperature_kelvin:g} K, pm: mean, standard deviation")
    print(" " * 8 + "".join(f"{name:>34}" for name in columns))
    for row, (i, j) in enumerate(pairs):
        words = [
            f"{c.mean[row]:.2f} ± {c.mean_error[row]:.2f}, {c.width[row]:.2f} ± "
            f"{c.width_error[row]:.2f}"
            for c in columns.values()
        ]
        symbols = f"{molecule.symbols[i]}{i}-{molecule.symbols[j]}{j}"
        print(f"{symbols:8}" + "".join(f"{word:>34}" for word in words))
    reference, checked, *_ = columns.values()
    within = np.abs(checked.mean - reference.mean) <= LIMIT_PM + 3.0 * np.hypot(
        checked.mean_error, reference.mean_error
    )
    within &= np.abs(checked.width - reference.width) <= LIMIT_PM + 3.0 * np.hypot(
        checked.width_error, reference.width_error
    )
    if not within.all():
        raise SystemExit(f"{np.count_nonzero(~within)} bonds differ by more than {LIMIT_PM} pm")


if __name__ == "__main__":
    main()
