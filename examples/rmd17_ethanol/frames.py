"""Frames, energies and forces of a file of the revised MD17 set, as `densnet label` reads them.

python frames.py rmd17_ethanol_train_01.npz frames.h5

950 frames are for training and 50 for validation, drawn with seed 1.
"""

import sys

import ase.units
import numpy as np

from densnet.data.writer import FrameWriter
from densnet.units import BOHR_ANGSTROM

N_TRAIN = 950
KCAL_PER_MOL = ase.units.kcal / ase.units.mol / ase.units.Hartree  # hartree


def main(source: str, output: str) -> None:
    """Write `output`, in atomic units."""
    with np.load(source) as published:
        numbers = published["nuclear_charges"]
        positions = published["coords"] / BOHR_ANGSTROM
        energies = published["energies"] * KCAL_PER_MOL
        forces = published["forces"] * (KCAL_PER_MOL * BOHR_ANGSTROM)
    order = np.random.default_rng(1).permutation(len(positions))
    provenance = {"source": "doi:10.1088/2632-2153/abba6f"}
    attributes = {"charge": 0}
    with FrameWriter(output, numbers, attributes, provenance=provenance) as writer:
        for place, frame in enumerate(order):
            writer.append(
                {
                    "frame": frame,
                    "positions": positions[frame],
                    "tag": "train" if place < N_TRAIN else "validation",
                    "temperature": 500.0,
                    "trajectory": 0,
                    "source": "rMD17 split 01",
                    "energy": energies[frame],
                    "forces": forces[frame],
                }
            )


if __name__ == "__main__":
    main(*sys.argv[1:])
