"""Structures that replicas start from: read from files, checked against the model's molecule."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from densnet.errors import InputError
from densnet.simulate.plan import Molecule
from densnet.structure import read_geometries
from ipi_driver.checks import Template, bonded_pairs, check_molecule


def read_starts(paths: Sequence[Path], molecule: Molecule) -> list[NDArray[np.float64]]:
    """Read start structures from files in any format of ASE, all frames of each.

    Parameters
    ----------
    paths : sequence of Path
    molecule : Molecule
        Of the model; every structure must have its atoms in its order.

    Returns
    -------
    list of (n_atoms, 3) float64, bohr

    Raises
    ------
    InputError
        If a file cannot be read, or a structure is of another molecule, order or unit.
    """
    numbers = np.array(molecule.numbers)
    bonds = bonded_pairs(numbers, molecule.positions)
    template = Template(numbers, molecule.positions, molecule.charge, bonds)
    starts = []
    for path in paths:
        for index, (found, positions) in enumerate(read_geometries(path)):
            try:
                check_molecule(template, found, positions)
            except InputError as error:
                raise InputError(f"{path}, structure {index + 1}: {error}") from error
            starts.append(positions)
    return starts
