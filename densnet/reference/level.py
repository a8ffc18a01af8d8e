"""The electronic-structure level of a set of labels."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Level:
    """The electronic-structure level of a label.

    Parameters
    ----------
    xc : str
        Functional, in PySCF's notation.
    basis : str
        Orbital basis.
    auxiliary_basis : str
        Density-fitting basis of the Coulomb (and exchange) integrals.
    grid_level : int
        PySCF's grid level, 0 to 9.
    convergence_hartree : float
        Largest energy change between the last two SCF cycles.
    convergence_gradient : float
        Largest norm of the orbital gradient, hartree. PySCF's default, the square root of the
        energy threshold, leaves errors of some 1e-5 e·bohr in dipoles.
    max_cycles : int
        SCF cycles before an attempt is given up.
    minimum_gap_hartree : float
        A smaller gap between occupied and empty orbitals is a failure.
    coarse_grid_level : int
        Grid on which the SCF iterates; -1 iterates on the fine grid.
    max_corrections : int
        Visits to the fine grid before the coarse one is given up as no guide to it.
    """

    xc: str = "pbe"
    basis: str = "aug-cc-pvdz"
    auxiliary_basis: str = "def2-universal-jkfit"
    grid_level: int = 3
    convergence_hartree: float = 1e-9
    convergence_gradient: float = 1e-6
    max_cycles: int = 60
    minimum_gap_hartree: float = 0.05
    coarse_grid_level: int = 0
    max_corrections: int = 10

    def identity(self) -> dict[str, object]:
        """What decides the numbers; the other fields only decide how they are reached."""
        names = (
            "xc",
            "basis",
            "auxiliary_basis",
            "grid_level",
            "convergence_hartree",
            "convergence_gradient",
        )
        return {name: getattr(self, name) for name in names}
