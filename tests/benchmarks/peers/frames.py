"""Labelled frames for other codes: nested training sets as HDF5 for us and extended XYZ for them.

    python tests/benchmarks/peers/frames.py examples/01_ethanol/ethanol.h5 --output frames

Extended XYZ through ASE with positions in Å, ``REF_energy`` in eV and ``REF_forces`` in eV/Å, the
units that MACE and NequIP are made for, and ``REF_dipole`` in e·Å. The names are MACE's: the plain
``energy`` is taken by ASE's own calculators. Every training set holds the smaller ones, and every
code gets the same frames.
"""

import argparse
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms

from densnet.data.store import FrameFile, Frames
from densnet.data.writer import FrameWriter
from densnet.errors import InputError
from densnet.units import BOHR_ANGSTROM, HARTREE_EV

COLUMNS = ("energy", "forces", "dipole", "coefficients", "temperature")
ATTRIBUTES = ("level", "basis_name", "basis_sha256", "charge")
N_VALIDATION = 50


def nested(n_frames: int, sizes: list[int], seed: int) -> dict[int, np.ndarray]:
    """Return sorted indices of subsets, each of which holds the smaller ones."""
    if max(sizes) > n_frames:
        raise InputError(f"there are {n_frames} frames, {max(sizes)} were asked for")
    order = np.random.default_rng(seed).permutation(n_frames)
    return {size: np.sort(order[:size]) for size in sizes}


def to_atoms(frames: Frames) -> list[Atoms]:
    """Return the frames with their labels in ASE's units: Å, eV, eV/Å, e·Å."""
    structures = []
    for k in range(len(frames)):
        atoms = Atoms(frames.numbers, frames.positions[k] * BOHR_ANGSTROM)
        atoms.info["REF_energy"] = frames.energy[k] * HARTREE_EV
        atoms.info["REF_dipole"] = frames.dipole[k] * BOHR_ANGSTROM
        atoms.info["temperature"] = float(frames.temperature[k])
        atoms.arrays["REF_forces"] = frames.forces[k] * (HARTREE_EV / BOHR_ANGSTROM)
        structures.append(atoms)
    return structures


def write_xyz(frames: Frames, path: Path) -> None:
    """Write frames as extended XYZ."""
    ase.io.write(path, to_atoms(frames), format="extxyz")


def write_h5(sets: dict[str, Frames], path: Path) -> None:
    """Write frames by their tag as a file for ``densnet train``."""
    any_set = next(iter(sets.values()))
    attributes = {name: any_set.attributes[name] for name in ATTRIBUTES}
    n_frames = sum(len(frames) for frames in sets.values())
    with FrameWriter(path, any_set.numbers, attributes, commit_every=n_frames) as writer:
        for tag, frames in sets.items():
            for k in range(len(frames)):
                values = {
                    name: frames[name][k] for name in ("frame", "positions", "trajectory", *COLUMNS)
                }
                writer.append({**values, "tag": tag})


def write_frames(data: Path, sizes: list[int], seed: int, folder: Path) -> None:
    """Write training sets, the validation set and the test set of one file of labels.

    ``train-N.xyz`` and ``frames-N.h5`` (with the validation frames) for every size N,
    ``validation.xyz`` and ``test.xyz``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    train, validation = (
        FrameFile.read(data, require=COLUMNS, select={"tag": tag})
        for tag in ("train", "validation")
    )
    n_validation = min(N_VALIDATION, len(validation))
    validation = validation.subset(nested(len(validation), [n_validation], seed)[n_validation])
    write_xyz(validation, folder / "validation.xyz")
    for size, index in nested(len(train), sizes, seed).items():
        chosen = train.subset(index)
        write_xyz(chosen, folder / f"train-{size}.xyz")
        path = folder / f"frames-{size}.h5"
        path.unlink(missing_ok=True)
        write_h5({"train": chosen, "validation": validation}, path)
    test = FrameFile.read(data, require=("energy", "forces", "dipole"), select={"tag": "test"})
    write_xyz(test, folder / "test.xyz")


def main() -> None:
    """Write and say what."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="HDF5 file of labelled frames")
    parser.add_argument("--sizes", type=int, nargs="+", default=[50, 100, 200, 400, 950])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    args = parser.parse_args()
    write_frames(args.data, args.sizes, args.seed, args.output)
    for path in sorted(args.output.glob("*.xyz")):
        print(path)


if __name__ == "__main__":
    main()
