"""Is this the molecule of the model? The first frame against the bundle's template.

i-PI sends numbers only: no species, no unit. A structure file in angstrom, with its atoms in
another order, or of another molecule would be simulated without a word. The checks compare
distances, so they hold for any orientation and any thermal geometry.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from densnet.errors import AtomOrderError, InputError, UnitsError, UnknownElementError
from densnet.units import BOHR_ANGSTROM

SYMBOLS = (
    "X H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As "
    "Se Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe"
).split()

# Two atoms are bonded when they are closer than this multiple of the sum of their radii.
BOND_TOLERANCE = 1.25
# Thermal bonds of light molecules stay within ±25 % of the template at 1000 K (quantum beads too);
# a unit error changes every distance by 0.53 or 1.89.
BOND_RATIO_MIN = 0.7
BOND_RATIO_MAX = 1.5
# The inverse cell that travels with the cell is i-PI's own: equal to rounding.
CELL_INVERSE_TOLERANCE = 1e-6

# Single-bond covalent radii, Å (Cordero et al. 2008, doi:10.1039/b801115j).
_COVALENT_RADIUS_ANGSTROM = {
    1: 0.31, 2: 0.28, 3: 1.28, 4: 0.96, 5: 0.84, 6: 0.76, 7: 0.71, 8: 0.66, 9: 0.57, 10: 0.58,
    11: 1.66, 12: 1.41, 13: 1.21, 14: 1.11, 15: 1.07, 16: 1.05, 17: 1.02, 18: 1.06, 35: 1.20,
    53: 1.39,
}  # fmt: skip


def bonded_pairs(numbers: NDArray[np.int64], positions: NDArray[np.float64]) -> NDArray[np.intp]:
    """Pairs of atoms closer than 1.25 times the sum of their covalent radii.

    Parameters
    ----------
    numbers : (n_atoms,) int64
    positions : (n_atoms, 3) float64, bohr

    Returns
    -------
    (n_bonds, 2) integers, first < second
    """
    radii = np.array([_COVALENT_RADIUS_ANGSTROM.get(int(z), 1.4) for z in numbers]) / BOHR_ANGSTROM
    first, second = np.triu_indices(len(numbers), k=1)
    distances = np.linalg.norm(positions[first] - positions[second], axis=1)
    bonded = distances < BOND_TOLERANCE * (radii[first] + radii[second])
    return np.stack([first[bonded], second[bonded]], axis=1)


@dataclass(frozen=True)
class Template:
    """The molecule a model was trained on.

    Parameters
    ----------
    numbers : (n_atoms,) int64
    positions : (n_atoms, 3) float64, bohr
        A geometry near equilibrium.
    charge : int
    bonds : (n_bonds, 2) integers
    """

    numbers: NDArray[np.int64]
    positions: NDArray[np.float64]
    charge: int
    bonds: NDArray[np.intp]

    @classmethod
    def from_manifest(cls, manifest: Mapping[str, object]) -> "Template":
        """Read ``template`` and ``charge`` of a bundle's manifest."""
        template = manifest.get("template")
        if not isinstance(template, Mapping):
            raise InputError(
                "the bundle's manifest has no template geometry, so the first frame of i-PI could "
                "not be checked; export the model again with this version of densnet"
            )
        numbers = np.array(template["numbers"], dtype=np.int64)
        positions = np.array(template["positions"], dtype=np.float64).reshape(-1, 3)
        charge = manifest.get("charge", 0)
        if not isinstance(charge, int):
            raise InputError(f"the charge in the bundle's manifest is {charge!r}, not an integer")
        return cls(numbers, positions, charge, bonded_pairs(numbers, positions))

    @property
    def symbols(self) -> list[str]:
        """Element symbols in order."""
        return [SYMBOLS[int(z)] for z in self.numbers]

    def bond_ratios(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Bond lengths over the template's.

        Parameters
        ----------
        positions : (..., n_atoms, 3) float64, bohr

        Returns
        -------
        (..., n_bonds) float64
        """
        first, second = self.bonds.T
        lengths = np.linalg.norm(positions[..., first, :] - positions[..., second, :], axis=-1)
        reference = np.linalg.norm(self.positions[first] - self.positions[second], axis=-1)
        return np.asarray(lengths / reference)


def check_parameters(template: Template, parameters: Mapping[str, str]) -> None:
    """Compare what INIT declares (``elements``, ``charge``) with the model.

    ``<parameters>{elements: C C O H H H H H H, charge: 0}</parameters>`` in the i-PI input makes
    the server say which molecule it means; both keys are optional.

    Raises
    ------
    UnknownElementError
        If an element is declared that the model does not have.
    AtomOrderError
        If the elements are declared in another order.
    InputError
        If the charge differs.
    """
    declared = parameters.get("elements", "").split()
    if declared:
        unseen = sorted(set(declared) - set(template.symbols))
        if unseen:
            raise UnknownElementError(
                f"the i-PI input declares the elements {' '.join(unseen)}, which the model has "
                f"never seen; it knows {' '.join(sorted(set(template.symbols)))}"
            )
        if declared != template.symbols:
            raise AtomOrderError(
                f"the i-PI input declares the atoms {' '.join(declared)}, the model has them in "
                f"the order {' '.join(template.symbols)}: reorder the structure file"
            )
    charge = parameters.get("charge", str(template.charge))
    if charge.lstrip("+") != str(template.charge):
        raise InputError(
            f"the i-PI input declares the charge {charge}, the model is of charge "
            f"{template.charge}: use a model trained for that charge"
        )


@dataclass(frozen=True)
class Origin:
    """Where positions come from: what messages call them, and what to do about a wrong unit.

    Parameters
    ----------
    name : str
    in_angstrom : str
        Advice where the numbers are angstrom, read as bohr.
    converted_twice : str
        Advice where they were bohr before they were converted.
    """

    name: str
    in_angstrom: str
    converted_twice: str


FIRST_FRAME = Origin(
    "the first frame of i-PI",
    "they are angstrom: write units='angstrom' in <initialize> of the i-PI input",
    "they were converted twice: the structure file is already in bohr (atomic_unit)",
)
# Of a file that is read as angstrom, or of an object of ASE.
STRUCTURE = Origin(
    "the structure",
    "its coordinates were divided by 1.89 before: they are to be in angstrom",
    "its coordinates are in bohr: multiply them by 0.529177, they are to be in angstrom",
)


def check_molecule(
    template: Template,
    numbers: NDArray[np.int64],
    positions: NDArray[np.float64],
    *,
    any_order: bool = False,
) -> None:
    """Refuse a structure that is not the template's molecule.

    Parameters
    ----------
    numbers : (n_atoms,) int64
    positions : (n_atoms, 3) float64, bohr
    any_order : bool
        The order of the atoms is free, as it is for a model; single bonds are then not compared.

    Raises
    ------
    InputError, UnitsError, AtomOrderError
        As :func:`check_structure`, and if the atoms are others or in another order.
    """
    found, expected = numbers.tolist(), template.numbers.tolist()
    if sorted(found) != sorted(expected) if any_order else found != expected:
        symbols = " ".join(SYMBOLS[z] if z < len(SYMBOLS) else f"Z={z}" for z in numbers.tolist())
        raise AtomOrderError(
            f"the structure has the atoms {symbols}, the model's molecule "
            f"{' '.join(template.symbols)}{'' if any_order else ', in this order'}"
        )
    if any_order:
        _check_finite(positions, STRUCTURE)
        _check_unit(template, positions, STRUCTURE)
    else:
        check_structure(template, positions, STRUCTURE)


def check_structure(
    template: Template, positions: NDArray[np.float64], origin: Origin = FIRST_FRAME
) -> None:
    """Refuse a frame that is not the template's molecule in bohr, atom by atom.

    Parameters
    ----------
    positions : (n_atoms, 3) float64, bohr
    origin : Origin
        Where they come from, for messages.

    Raises
    ------
    InputError, UnitsError, AtomOrderError
        With the unit, the atoms, and what to change.
    """
    _check_finite(positions, origin)
    _check_unit(template, positions, origin)
    ratios = template.bond_ratios(positions)
    found = {(int(i), int(j)) for i, j in bonded_pairs(template.numbers, positions)}
    expected = {(int(i), int(j)) for i, j in template.bonds}
    # A stretched bond may leave the radius criterion without leaving the molecule.
    stretched = {
        pair for pair, ratio in zip(sorted(expected), ratios, strict=True) if ratio < BOND_RATIO_MAX
    }
    missing, added = sorted(expected - found - stretched), sorted(found - expected)
    outliers = (ratios < BOND_RATIO_MIN) | (ratios > BOND_RATIO_MAX)
    if missing or added or outliers.any():
        raise AtomOrderError(
            f"{origin.name} is not the molecule of the model with its atoms in order: "
            + _describe_bonds(template, missing, added, positions)
            + f"; the order must be {' '.join(template.symbols)}: reorder the structure file "
            "(or remove periodic wrapping, or choose the model of this molecule)"
        )


def _check_finite(positions: NDArray[np.float64], origin: Origin) -> None:
    if not np.isfinite(positions).all():
        atom = int(np.argwhere(~np.isfinite(positions))[0, 0])
        raise InputError(
            f"{origin.name} has a position that is not finite, atom {atom}: {positions[atom]}"
        )


def _check_unit(template: Template, positions: NDArray[np.float64], origin: Origin) -> None:
    """Compare the shortest distances, whatever atoms they belong to."""
    n_bonds = len(template.bonds)
    if n_bonds == 0:
        return
    ratio = float(
        np.median(_distances(positions)[:n_bonds])
        / np.median(_distances(template.positions)[:n_bonds])
    )
    if BOND_RATIO_MIN < ratio < BOND_RATIO_MAX:
        return
    closest = _distances(positions)[0]
    if abs(ratio - BOHR_ANGSTROM) < 0.12:
        advice = origin.in_angstrom
    elif abs(ratio - 1.0 / BOHR_ANGSTROM) < 0.4:
        advice = origin.converted_twice
    else:
        advice = "this is not a geometry of the molecule in any unit; look at the structure file"
    raise UnitsError(
        f"bonds of {origin.name} are {ratio:.2f} times those of the model's molecule (closest "
        f"pair {closest:.3f} bohr); {advice}"
    )


def _distances(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    first, second = np.triu_indices(len(positions), k=1)
    return np.sort(np.linalg.norm(positions[first] - positions[second], axis=1))


def _describe_bonds(
    template: Template,
    missing: Sequence[tuple[int, int]],
    added: Sequence[tuple[int, int]],
    positions: NDArray[np.float64],
) -> str:
    """Name at most three bonds that are too many, too few or of the wrong length."""

    def named(pair: tuple[int, int]) -> str:
        i, j = pair
        distance = np.linalg.norm(positions[i] - positions[j]) * BOHR_ANGSTROM
        return f"{template.symbols[i]}{i}-{template.symbols[j]}{j} ({distance:.2f} Å)"

    parts = []
    if missing:
        parts.append("no bond " + ", ".join(map(named, missing[:3])))
    if added:
        parts.append("unexpected bond " + ", ".join(map(named, added[:3])))
    if not parts:
        ratios = template.bond_ratios(positions)
        worst = int(np.abs(np.log(ratios)).argmax())
        i, j = template.bonds[worst]
        parts.append("bond of a wrong length " + named((int(i), int(j))))
    return "; ".join(parts)


def check_cell(cell: NDArray[np.float64], inverse: NDArray[np.float64]) -> None:
    """Refuse a cell that was transposed on its way, or that is not what its inverse says.

    Parameters
    ----------
    cell : (3, 3) float64, bohr
        Rows are lattice vectors, as decoded. All zero means no cell.
    inverse : (3, 3) float64, 1/bohr
        As decoded, transposed like `cell`.

    Raises
    ------
    InputError
        If a component is not finite, the two are not inverse to each other, or the first vector
        has y and z components while the third has no x and y (i-PI and ASE send the reverse).
    """
    if not cell.any():
        return
    if not (np.isfinite(cell).all() and np.isfinite(inverse).all()):
        raise InputError(f"i-PI sent a cell that is not finite: {cell.tolist()}")
    product = cell @ inverse
    if not np.allclose(product, np.eye(3), atol=CELL_INVERSE_TOLERANCE):
        raise InputError(
            "the cell and the inverse cell that the server sent do not belong together; one of "
            f"them is transposed or in another unit: cell rows {cell.tolist()}"
        )
    above, below = cell[np.triu_indices(3, 1)], cell[np.tril_indices(3, -1)]
    if above.any() and not below.any():
        raise InputError(
            "the server sent a transposed cell: lattice vectors must travel as the columns of the "
            f"matrix; read as columns, the first vector is {cell[0].tolist()} and the third has no "
            "x and y components; transpose the cell in the server's input"
        )
