"""Optimisation of the exponents of a density basis for Δρ of given molecules.

A good exponent set leaves the least Coulomb self-energy behind,

    E(a) = (Δρ|Δρ) − bᵀ c,    (J + η diag J) c = b,

summed over some frames. The ridge η > 0 makes functions that nearly depend on each other useless,
so the optimum is well conditioned and its coefficients are small. Because b is a smooth function
of ln a, it is tabulated once per frame on a ladder of exponents; after that every step needs
two-centre integrals only. The gradient is analytic: dE = −2 cᵀ db + cᵀ d(J + η diag J) c.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

from densnet.basis import DensityBasis
from densnet.errors import InputError
from densnet.integrals import (
    bilinear_form_with_gradients,
    coulomb_metric,
    flat_exponents,
    with_exponents,
)

Array = NDArray[np.float64]

# Neighbouring exponents of one element and l stay apart by at least this factor, and at most this.
CLOSEST_RATIO = 1.75
WIDEST_RATIO = 30.0
DEFAULT_RIDGE = 1e-6
# Added to ln E for an exponent that would leave its ladder by a factor e.
OUTSIDE_PENALTY = 10.0


@dataclass(frozen=True, eq=False)
class ProjectionLadder:
    """(φ_a|Δρ) of one molecule for a ladder of exponents on every atom.

    Parameters
    ----------
    numbers : (n_atoms,) int64
    positions : (n_atoms, 3) float64, bohr
    self_energy : float, hartree
        (Δρ|Δρ), twice the electrostatic self-energy.
    exponents : mapping from (Z, l) to (n_rungs,) float64, bohr⁻², ascending
    projections : mapping from (atom, l) to (n_rungs, 2l + 1) float64
        Normalised functions, m in PySCF's order.
    """

    numbers: NDArray[np.int64]
    positions: Array
    self_energy: float
    exponents: Mapping[tuple[int, int], Array]
    projections: Mapping[tuple[int, int], Array]

    @cached_property
    def splines(self) -> dict[tuple[int, int], CubicSpline]:
        """Cubic splines of the projections in ln a, for each (atom, l)."""
        return {
            (atom, l): CubicSpline(np.log(self.exponents[int(self.numbers[atom]), l]), values)
            for (atom, l), values in self.projections.items()
        }

    def project(self, basis: DensityBasis) -> tuple[Array, Array]:
        """Return b and db/d ln a of the functions of a basis of primitives, each (n_functions,).

        Raises
        ------
        InputError
            If an exponent or an l lies outside the ladder.
        """
        values, slopes = [], []
        for atom, z in enumerate(self.numbers.tolist()):
            for shell in basis.shells[z]:
                rungs = self.exponents.get((z, shell.l))
                log_a = float(np.log(shell.exponents[0]))
                if rungs is None or not on_ladder(log_a, rungs):
                    raise InputError(
                        f"exponent {np.exp(log_a):.4g} of Z = {z}, l = {shell.l} lies outside the "
                        "ladder of projections"
                    )
                spline = self.splines[atom, shell.l]
                values.append(spline(log_a))
                slopes.append(spline(log_a, 1))
        return np.concatenate(values), np.concatenate(slopes)


def on_ladder(log_exponent: float, rungs: Array) -> bool:
    """Whether ln a lies between the first and the last rung, give or take rounding."""
    return bool(np.log(rungs[0]) - 1e-9 <= log_exponent <= np.log(rungs[-1]) + 1e-9)


@dataclass(frozen=True, eq=False)
class OptimizedExponents:
    """Result of :func:`optimize_exponents`.

    Parameters
    ----------
    basis : DensityBasis
    residual : float
        Self-energy that is left over, relative to that of Δρ, ridge included.
    n_evaluations : int
    """

    basis: DensityBasis
    residual: float
    n_evaluations: int


def residual_and_gradient(
    basis: DensityBasis, ladder: ProjectionLadder, ridge: float = DEFAULT_RIDGE
) -> tuple[float, Array]:
    """Return E of one molecule and its gradient with respect to ln a.

    Parameters
    ----------
    basis : DensityBasis
        Of primitive shells.
    ladder : ProjectionLadder
    ridge : float
        η.

    Returns
    -------
    float, hartree
    (n_primitives,) float64, hartree
        In the order of :func:`densnet.integrals.flat_exponents`.
    """
    if not all(shell.is_primitive for shells in basis.shells.values() for shell in shells):
        raise InputError(f"basis {basis.name!r} is contracted; only primitives can be optimised")
    numbers, positions = ladder.numbers, ladder.positions
    b, slope = ladder.project(basis)
    metric = coulomb_metric(basis, numbers, positions)
    diagonal = metric.diagonal().copy()
    metric[np.diag_indices_from(metric)] += ridge * diagonal
    c = cho_solve(cho_factor(metric), b)
    energy = ladder.self_energy - float(b @ c)
    form = bilinear_form_with_gradients("coulomb", basis, numbers, positions, c, c)
    gradient = form.exponents * flat_exponents(basis)
    # (φ|φ) of a normalised Gaussian falls as 1/a, so its derivative in ln a is −(φ|φ).
    per_function = -2.0 * c * slope - ridge * diagonal * c * c
    gradient += np.bincount(
        primitive_of_function(basis, numbers), per_function, minlength=len(gradient)
    )
    return energy, gradient


def primitive_of_function(basis: DensityBasis, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the index in the flat exponents of every function of a basis of primitives."""
    counts = [len(basis.shells[z]) for z in basis.elements]
    first = dict(zip(basis.elements, np.cumsum([0, *counts[:-1]]).tolist(), strict=True))
    layout = basis.layout(numbers)
    start = np.array([first[z] for z in np.asarray(numbers).tolist()])
    return np.asarray(start[layout.atom] + layout.shell)


def optimize_exponents(
    basis: DensityBasis,
    ladders: Sequence[ProjectionLadder],
    *,
    ridge: float = DEFAULT_RIDGE,
    max_iterations: int = 60,
) -> OptimizedExponents:
    """Return the basis with the exponents that leave the least self-energy over all molecules.

    The optimum is local: start from several sets. Neighbouring exponents keep a ratio between 1.75
    and 30.

    Parameters
    ----------
    basis : DensityBasis
        Of primitives: the number of shells, and the start.
    ladders : sequence of ProjectionLadder
        Four to eight frames of different conformers are enough.
    ridge : float
        η; larger values give smoother, better conditioned bases with a larger fitting error.
    max_iterations : int
    """
    groups = exponent_groups(basis)
    low, high = ladder_limits(basis, ladders, groups)
    scale = sum(ladder.self_energy for ladder in ladders)
    best = np.inf

    def objective(parameters: Array) -> tuple[float, Array]:
        nonlocal best
        free = logarithms(parameters, groups)
        log_a = np.clip(free, low, high)
        trial = with_exponents(basis, np.exp(log_a))
        energy, slope = 0.0, np.zeros(len(parameters))
        for ladder in ladders:
            value, gradient = residual_and_gradient(trial, ladder, ridge)
            energy += value
            slope += gradient
        best = min(best, energy / scale)
        outside = free - log_a
        slope = np.where(outside == 0.0, slope / energy, 2.0 * OUTSIDE_PENALTY * outside)
        penalty = OUTSIDE_PENALTY * float(outside @ outside)
        return float(np.log(energy / scale)) + penalty, pull_back(slope, groups)

    start = parameters_of(np.log(flat_exponents(basis)), groups)
    result = minimize(
        objective,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=parameter_bounds(low, high, groups),
        options={"maxiter": max_iterations, "maxcor": 30, "ftol": 1e-6},
    )
    final = with_exponents(basis, np.exp(np.clip(logarithms(result.x, groups), low, high)))
    return OptimizedExponents(final, best, int(result.nfev))


def exponent_groups(basis: DensityBasis) -> list[slice]:
    """Return the slices of the flat exponents that share an element and an l."""
    keys = [(z, shell.l) for z in basis.elements for shell in basis.shells[z]]
    edges = [0, *(k for k in range(1, len(keys)) if keys[k] != keys[k - 1]), len(keys)]
    return [slice(a, b) for a, b in zip(edges[:-1], edges[1:], strict=True)]


def parameters_of(log_exponents: Array, groups: list[slice]) -> Array:
    """Return, for each group, the smallest ln a and the gaps that follow, clipped to the limits."""
    parameters = log_exponents.copy()
    for group in groups:
        gaps = np.diff(log_exponents[group])
        parameters[group][1:] = np.clip(gaps, np.log(CLOSEST_RATIO), np.log(WIDEST_RATIO))
    return parameters


def logarithms(parameters: Array, groups: list[slice]) -> Array:
    """Return ln a from the smallest of each group and the gaps."""
    return np.concatenate([np.cumsum(parameters[group]) for group in groups])


def pull_back(gradient: Array, groups: list[slice]) -> Array:
    """Return the gradient with respect to the parameters from that with respect to ln a."""
    return np.concatenate([np.cumsum(gradient[group][::-1])[::-1] for group in groups])


def ladder_limits(
    basis: DensityBasis, ladders: Sequence[ProjectionLadder], groups: list[slice]
) -> tuple[Array, Array]:
    """Return the lowest and highest ln a of every exponent, each (n_primitives,).

    They lie within all ladders, and leave room for the closer neighbours below and above.
    """
    keys = [(z, shell.l) for z in basis.elements for shell in basis.shells[z]]
    low, high = np.empty(len(keys)), np.empty(len(keys))
    for group in groups:
        key = keys[group.start]
        rungs = [ladder.exponents[key] for ladder in ladders if key in ladder.exponents]
        if not rungs:
            raise InputError(f"no molecule has Z = {key[0]} with l = {key[1]} on its ladder")
        order = np.arange(group.stop - group.start) * np.log(CLOSEST_RATIO)
        low[group] = max(np.log(r[0]) for r in rungs) + order
        high[group] = min(np.log(r[-1]) for r in rungs) - order[::-1]
    return low, high


def parameter_bounds(low: Array, high: Array, groups: list[slice]) -> list[tuple[float, float]]:
    """Return the limits of every parameter: the ladder for the smallest ln a, ratios above."""
    bounds = [(float(np.log(CLOSEST_RATIO)), float(np.log(WIDEST_RATIO)))] * len(low)
    for group in groups:
        bounds[group.start] = (float(low[group.start]), float(high[group.start]))
    return bounds
