"""Kohn–Sham labels as an ASE calculator: the model's own reference, for any ASE algorithm."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from densnet.errors import InputError
from densnet.reference.level import Level
from densnet.reference.response import Response, compute_response
from densnet.reference.scf import Calculator as LabelCalculator
from densnet.structure import Structure
from densnet.units import BOHR_ANGSTROM, HARTREE_EV

RESPONSE = Response(grid_level=1, tolerance=1e-5)


class KohnShamCalculator(Calculator):
    """Energy, forces and dipole as ``densnet label`` computes them, in ASE's units.

    The polarizability, in e²·Å²/eV, is solved for when it is asked for, on a finer grid and more
    tightly than for labels, so that it can be differentiated.

    Parameters
    ----------
    level : Level
    charge : int

    Examples
    --------
    >>> from ase.build import molecule
    >>> water = molecule("H2O")
    >>> water.calc = KohnShamCalculator(Level(basis="sto-3g", grid_level=0))
    >>> bool(water.get_potential_energy() < -2000.0)
    True
    """

    # ASE declares this list on the instance and sets it on the class.
    implemented_properties: ClassVar[list[str]] = [  # type: ignore[misc]
        "energy",
        "free_energy",
        "forces",
        "dipole",
        "polarizability",
    ]

    def __init__(self, level: Level, *, charge: int = 0, **options: Any) -> None:
        super().__init__(**options)
        self.level = level
        self.charge = charge
        self._labels = LabelCalculator(level)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Compute all properties in one SCF; the polarizability if it is among those asked for.

        Raises
        ------
        InputError
            If there are no atoms, or they are periodic.
        ConvergenceError
            If the SCF, or the response to a field, does not converge.
        """
        super().calculate(atoms, list(properties), list(system_changes))
        atoms = self.atoms
        if atoms is None or atoms.pbc.any():
            raise InputError("the Kohn–Sham reference is for molecules: attach atoms without pbc")
        positions = atoms.get_positions() / BOHR_ANGSTROM
        structure = Structure(atoms.numbers, positions, charge=self.charge)
        label = self._labels.label(structure)
        energy = label.energy * HARTREE_EV
        self.results = {
            "energy": energy,
            "free_energy": energy,
            "forces": label.forces * (HARTREE_EV / BOHR_ANGSTROM),
            "dipole": np.asarray(label.dipole) * BOHR_ANGSTROM,
        }
        if "polarizability" in properties:
            response = compute_response(structure, label.orbitals, self.level, RESPONSE)
            unit = BOHR_ANGSTROM**2 / HARTREE_EV
            self.results["polarizability"] = response.polarizability * unit
