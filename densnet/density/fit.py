"""Fit of Δρ = ρ − ρ_SAD in the Coulomb metric, with exact charge and dipole.

The least Coulomb self-energy of what is left over, under linear constraints:

    J c = b + Cᵀλ,    C c = t,    J_ij = (φ_i|φ_j),    b_i = (φ_i|Δρ),

where the four rows of C hold the charge and the first moments of the functions, and t those of Δρ.
The number of electrons and the dipole then are those of the reference to rounding, at a price of
less than 0.02 % of the electrons in the L1 error.

References
----------
B. I. Dunlap, J. W. D. Connolly and J. R. Sabin, J. Chem. Phys. 71, 3396 (1979),
doi:10.1063/1.438728.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from densnet.basis import DensityBasis
from densnet.errors import InputError, NonFiniteError
from densnet.integrals import coulomb_metric

Array = NDArray[np.float64]


def moment_rows(
    basis: DensityBasis, numbers: ArrayLike, positions: ArrayLike, *, origin: ArrayLike = (0, 0, 0)
) -> Array:
    """Return charge and first moments of every function.

    Parameters
    ----------
    basis : DensityBasis
    numbers : (n_atoms,) int
    positions : (n_atoms, 3) float64, bohr
    origin : (3,) float64, bohr

    Returns
    -------
    (4, n_functions) float64
        Rows ∫φ, ∫xφ, ∫yφ, ∫zφ about the origin; the last three in bohr.
    """
    layout = basis.layout(numbers)
    r = np.asarray(positions, dtype=np.float64) - np.asarray(origin, dtype=np.float64)
    rows = np.empty((4, layout.n_functions))
    rows[0] = layout.monopole
    # p functions come as x, y, z, which is m = 1, −1, 0.
    for axis, m in enumerate((1, -1, 0)):
        own = np.where((layout.l == 1) & (layout.m == m), layout.first_moment, 0.0)
        rows[1 + axis] = layout.monopole * r[layout.atom, axis] + own
    return rows


def solve_constrained(
    metric: ArrayLike, projection: ArrayLike, rows: ArrayLike, targets: ArrayLike
) -> Array:
    """Minimise ½ cᵀJc − bᵀc under C c = t.

    Parameters
    ----------
    metric : (n_functions, n_functions) float64
        J, positive definite.
    projection : (n_functions,) or (n_functions, n_densities) float64
        b.
    rows : (n_constraints, n_functions) float64
        C, linearly independent; may have no row.
    targets : (n_constraints,) or (n_constraints, n_densities) float64
        t.

    Returns
    -------
    (n_functions,) or (n_functions, n_densities) float64

    Raises
    ------
    InputError
        If J is not positive definite: functions of the basis are linearly dependent.
    NonFiniteError
        If J or b is not finite.
    """
    j, b = np.asarray(metric, dtype=np.float64), np.asarray(projection, dtype=np.float64)
    c_rows, t = np.asarray(rows, dtype=np.float64), np.asarray(targets, dtype=np.float64)
    if not (np.isfinite(j).all() and np.isfinite(b).all()):
        raise NonFiniteError("the metric or the projection of a density fit is not finite")
    try:
        factor = cho_factor(j, lower=True, check_finite=False)
    except LinAlgError as error:
        raise InputError(
            f"the Coulomb metric of {len(j)} functions is not positive definite: two exponents of "
            "one l are too close, or two atoms coincide"
        ) from error
    coefficients = cho_solve(factor, b, check_finite=False)
    if len(c_rows) == 0:
        return np.asarray(coefficients)
    response = cho_solve(factor, c_rows.T, check_finite=False)
    reduced = c_rows @ response
    # The second pass removes the rounding that the first leaves in the constraints.
    for _ in range(2):
        multipliers = np.linalg.solve(reduced, t - c_rows @ coefficients)
        coefficients = coefficients + response @ multipliers
    return np.asarray(coefficients)


def fit_difference_density(
    basis: DensityBasis,
    numbers: ArrayLike,
    positions: ArrayLike,
    projection: ArrayLike,
    *,
    charge: float,
    dipole: ArrayLike,
    ridge: float = 0.0,
) -> Array:
    """Return the coefficients of Δρ from its Coulomb projection on the basis.

    Parameters
    ----------
    basis : DensityBasis
    numbers : (n_atoms,) int
    positions : (n_atoms, 3) float64, bohr
    projection : (n_functions,) float64
        (φ_i|ρ − ρ_SAD), electrons counted positive.
    charge : float
        Total charge of the molecule, e.
    dipole : (3,) float64, e·bohr
        Of the molecule about the coordinate origin, electrons counted negative.
    ridge : float
        J is fitted with J + ridge · diag(J). A small value keeps coefficients small where functions
        nearly depend on each other; the constraints stay exact.

    Returns
    -------
    (n_functions,) float64
    """
    r = np.asarray(positions, dtype=np.float64)
    b = np.asarray(projection, dtype=np.float64)
    metric = coulomb_metric(basis, numbers, r)
    if b.shape != (len(metric),):
        raise InputError(f"projection must have shape ({len(metric)},), got {b.shape}")
    if ridge < 0.0:
        raise InputError(f"ridge must not be negative, got {ridge}")
    metric[np.diag_indices_from(metric)] *= 1.0 + ridge
    # About the centroid the four constraints are as independent as they can be.
    centroid = r.mean(axis=0)
    targets = np.empty(4)
    targets[0] = -charge
    targets[1:] = -(np.asarray(dipole, dtype=np.float64) - charge * centroid)
    rows = moment_rows(basis, numbers, r, origin=centroid)
    return solve_constrained(metric, b, rows, targets)


def fit_error(
    metric: ArrayLike, coefficients: ArrayLike, reference: ArrayLike
) -> NDArray[np.float64]:
    """Return Δcᵀ M Δc, the squared distance of two densities in a metric.

    Parameters
    ----------
    metric : (n_functions, n_functions) float64
    coefficients, reference : (..., n_functions) float64

    Returns
    -------
    (...) float64
        In hartree for the Coulomb metric (twice the self-energy of the difference).
    """
    difference = np.asarray(coefficients) - np.asarray(reference)
    return np.asarray(np.einsum("...i,ij,...j->...", difference, np.asarray(metric), difference))
