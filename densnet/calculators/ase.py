"""A bundle as an ASE calculator: energy, forces, dipole, charges, and stress in a periodic cell."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from numpy.typing import NDArray

from densnet.errors import InputError
from densnet.export.loading import load_model
from densnet.export.runtime import Model, Precision
from densnet.structure import check_closest_pair
from densnet.units import BOHR_ANGSTROM, HARTREE_EV
from ipi_driver.checks import Template, check_molecule


class DensNetCalculator(Calculator):
    """Evaluates a bundle for ASE, in ASE's units: eV, Å, dipole in e·Å (electrons negative).

    ``atoms.get_dipole_moment()`` works, so ASE's ``Infrared`` does too. The density coefficients
    are in ``results["density_coefficients"]``, in the basis of ``calculator.model.basis``;
    ``charges`` are those of the functions on each atom, and no partial charges. A model
    that offers polarizabilities has the property ``polarizability``, (3, 3), in e²·Å²/eV, evaluated
    only when asked for; times ``ase.units.Bohr * ase.units.Hartree`` it is a volume in Å³.

    Parameters
    ----------
    model : str, Path or Model
        Name of a shipped model, a bundle, or a loaded one.
    dtype : "float32" or "float64"

    Examples
    --------
    >>> from ase.build import molecule
    >>> atoms = molecule("CH3CH2OH")
    >>> atoms.calc = DensNetCalculator("ethanol")
    >>> atoms.get_dipole_moment().shape
    (3,)
    """

    # ASE declares this list on the instance and sets it on the class.
    implemented_properties: ClassVar[list[str]] = [  # type: ignore[misc]
        "energy",
        "free_energy",
        "forces",
        "dipole",
        "charges",
        "stress",
    ]

    def __init__(
        self, model: str | Path | Model, *, dtype: Precision = "float32", **options: Any
    ) -> None:
        super().__init__(**options)
        self.model = model if isinstance(model, Model) else load_model(model, dtype=dtype)
        self._compared = False
        if self.model.offers_polarizability:
            self.implemented_properties = [*self.implemented_properties, "polarizability"]  # type: ignore[misc]

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Evaluate all properties in one call; the polarizability if it is among those asked for.

        Raises
        ------
        InputError
            If there are no atoms, the cell is periodic in some directions only, or stress is asked
            of a molecule.
        UnitsError
            If two atoms nearly coincide.
        """
        super().calculate(atoms, list(properties), list(system_changes))
        atoms = self.atoms
        if atoms is None:
            raise InputError("nothing to calculate: attach the calculator to an ASE Atoms object")
        periodic = bool(atoms.pbc.all())
        if atoms.pbc.any() and not periodic:
            raise InputError(
                f"pbc = {atoms.pbc.tolist()}: the model takes molecules (no pbc) or cells that are "
                "periodic in all three directions"
            )
        if "stress" in properties and not periodic:
            raise InputError("a molecule without a periodic cell has no stress")
        positions = atoms.get_positions() / BOHR_ANGSTROM
        check_closest_pair(positions)
        self._compare(atoms.numbers, positions)
        cell = atoms.cell.array / BOHR_ANGSTROM if periodic else None
        with_response = "polarizability" in properties
        prediction = self.model.evaluate(
            atoms.numbers, positions, cell, polarizability=with_response
        )
        energy = float(prediction.energy[0]) * HARTREE_EV
        self.results = {
            "energy": energy,
            "free_energy": energy,
            "forces": prediction.forces[0] * (HARTREE_EV / BOHR_ANGSTROM),
            "dipole": prediction.dipole[0] * BOHR_ANGSTROM,
            "charges": -prediction.charges[0],
            "density_coefficients": prediction.coefficients[0],
        }
        if prediction.polarizability is not None:
            # Dipole (e·Å) over field (eV per e·Å).
            unit = BOHR_ANGSTROM**2 / HARTREE_EV
            self.results["polarizability"] = prediction.polarizability[0] * unit
        if periodic:
            stress = -prediction.virial[0] * HARTREE_EV / atoms.get_volume()
            voigt = [0, 4, 8, 5, 2, 1]
            self.results["stress"] = np.asarray(0.5 * (stress + stress.T).reshape(-1)[voigt])

    def _compare(self, numbers: NDArray[np.int64], positions: NDArray[np.float64]) -> None:
        """Warn once, at the first structure, if it is not the molecule of the model."""
        if self._compared:
            return
        self._compared = True
        try:
            template = Template.from_manifest(self.model.manifest)
            check_molecule(template, numbers, positions, any_order=True)
        except InputError as error:
            warnings.warn(f"{self.model.name}: {error}", stacklevel=4)
