"""The density itself: free-atom prior, constrained fit, moments, values on points, cubes."""

from densnet.density.fit import fit_difference_density, fit_error, moment_rows, solve_constrained
from densnet.density.moments import MolecularMoments, compute_moments
from densnet.density.points import electron_density_on_points, electrostatic_potential_on_points
from densnet.density.prior import (
    prior_basis,
    prior_coefficients,
    prior_density_on_points,
    prior_potential_on_points,
)

__all__ = [
    "MolecularMoments",
    "compute_moments",
    "electron_density_on_points",
    "electrostatic_potential_on_points",
    "fit_difference_density",
    "fit_error",
    "moment_rows",
    "prior_basis",
    "prior_coefficients",
    "prior_density_on_points",
    "prior_potential_on_points",
    "solve_constrained",
]
