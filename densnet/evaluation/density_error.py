"""L1 error of a density in % of the electrons, beside its fitting floor and the free atoms.

    ε = 100 · ∫ |ρ − ρ_ref| dr / N_e

by quadrature on a grid, against the *unfitted* density of the reference calculation. The fitting
floor is the same number for the fitted coefficients, the baseline that of ρ_SAD alone.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from densnet.basis import DensityBasis
from densnet.density import prior_density_on_points
from densnet.errors import InputError
from densnet.integrals import density_on_points


@dataclass(frozen=True)
class DensityErrors:
    """Errors of one frame, in % of all electrons.

    Parameters
    ----------
    predicted : float
        Of the predicted coefficients.
    floor : float
        Of the fitted ones: what the basis can do.
    baseline : float
        Of the free atoms.
    n_electrons : int
        All electrons.
    n_valence : int
        Electrons outside closed noble-gas cores.
    """

    predicted: float
    floor: float
    baseline: float
    n_electrons: int
    n_valence: int

    @property
    def predicted_valence(self) -> float:
        """The same error in % of the valence electrons."""
        return self.predicted * self.n_electrons / self.n_valence


def density_l1_error(
    density: ArrayLike, reference: ArrayLike, weights: ArrayLike, n_electrons: int
) -> float:
    """Return 100 · Σ_p w_p |ρ_p − ρ_ref,p| / N_e.

    Parameters
    ----------
    density, reference : (n_points,) float64, e/bohr³
    weights : (n_points,) float64, bohr³
    n_electrons : int
    """
    difference = np.abs(np.asarray(density) - np.asarray(reference))
    return float(100.0 * (np.asarray(weights) @ difference) / n_electrons)


def compute_density_errors(
    basis: DensityBasis,
    numbers: ArrayLike,
    positions: ArrayLike,
    *,
    predicted: ArrayLike,
    fitted: ArrayLike,
    points: ArrayLike,
    weights: ArrayLike,
    reference: ArrayLike,
    charge: int = 0,
) -> DensityErrors:
    """Return the L1 errors of predicted, fitted and free-atom densities of one frame.

    Parameters
    ----------
    basis : DensityBasis
    numbers : (n_atoms,) int
    positions : (n_atoms, 3) float64, bohr
    predicted, fitted : (n_functions,) float64
        Coefficients of Δρ.
    points : (n_points, 3) float64, bohr
    weights : (n_points,) float64, bohr³
    reference : (n_points,) float64, e/bohr³
        The unfitted density on the points.
    charge : int
        Total charge, e.

    Raises
    ------
    InputError
        If the grid does not integrate the reference to the number of electrons within 0.05 %: the
        density belongs to other positions, or the grid is too coarse.
    """
    z = np.asarray(numbers, dtype=np.int64)
    n_electrons = int(z.sum()) - charge
    rho = np.asarray(reference, dtype=np.float64)
    found = float(np.asarray(weights) @ rho)
    if abs(found - n_electrons) > 5e-4 * n_electrons:
        raise InputError(
            f"the reference density integrates to {found:.4f} electrons on its grid, the molecule "
            f"has {n_electrons}: another geometry, or a grid too coarse"
        )
    atoms = prior_density_on_points(basis, z, positions, points)

    def error(coefficients: ArrayLike | None) -> float:
        density = atoms
        if coefficients is not None:
            density = atoms + density_on_points(basis, z, positions, coefficients, points)
        return density_l1_error(density, rho, weights, n_electrons)

    return DensityErrors(
        predicted=error(predicted),
        floor=error(fitted),
        baseline=error(None),
        n_electrons=n_electrons,
        n_valence=n_electrons - int(core_electrons(z).sum()),
    )


def core_electrons(numbers: ArrayLike) -> NDArray[np.int64]:
    """Return the electrons of each atom's closed noble-gas core, (n_atoms,) int64."""
    z = np.asarray(numbers, dtype=np.int64)
    noble = np.array([0, 2, 10, 18, 36, 54, 86])
    return np.asarray(noble[np.searchsorted(noble, z, side="left") - 1])
