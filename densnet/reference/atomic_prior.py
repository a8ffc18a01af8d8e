"""Free-atom densities as sums of s Gaussians: the prior of a density basis.

Spherical restricted Kohn–Sham atoms with fractional occupation, fitted by minimising the L1 error
of the radial density over exponents and populations together. The populations sum to Z exactly.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pyscf import gto
from pyscf.scf import atom_ks
from scipy.optimize import minimize

from densnet.basis import AtomicPrior
from densnet.errors import InputError

Array = NDArray[np.float64]

# Gaussians that reach an L1 error of about 0.03 % with correlation-consistent bases.
GAUSSIANS = {1: 7, 2: 8}
GAUSSIANS_SECOND_ROW = 12
GAUSSIANS_BEYOND = 15
# Largest starting exponents tried, in units of Z² (of 0.1 Z² for hydrogen, which has no core).
STARTS = (60.0, 170.0, 500.0)
# The absolute value is smoothed, in steps; each is the start of the next. Electrons per unit ln r.
SMOOTHING = (1e-1, 1e-2, 1e-3, 1e-4)


@dataclass(frozen=True, eq=False)
class RadialDensity:
    """The density of a spherical atom on a logarithmic grid.

    Parameters
    ----------
    number : int
        Nuclear charge.
    radius : (n_points,) float64, bohr
    density : (n_points,) float64, e/bohr³
    step : float
        Of ln r.
    """

    number: int
    radius: Array
    density: Array
    step: float


def compute_radial_density(number: int, *, xc: str, orbital_basis: str) -> RadialDensity:
    """Return the spherical, fractionally occupied Kohn–Sham density of a free atom.

    Parameters
    ----------
    number : int
    xc : str
        Functional in PySCF's notation.
    orbital_basis : str
        That of the molecules: then the cores of atom and molecule cancel in Δρ.
    """
    symbol = gto.elements.ELEMENTS[number]
    molecule = gto.M(
        atom=[(symbol, (0.0, 0.0, 0.0))], basis=orbital_basis, spin=number % 2, verbose=0
    )
    _, _, orbitals, occupation = atom_ks.get_atm_nrks(molecule, xc=xc)[symbol]
    log_r = np.linspace(np.log(1e-4), np.log(25.0), 1500)
    radius = np.exp(log_r)
    values = molecule.eval_gto("GTOval_sph", np.outer(radius, [0.0, 0.0, 1.0])) @ orbitals
    return RadialDensity(number, radius, values**2 @ occupation, float(log_r[1] - log_r[0]))


def fit_atomic_prior(atom: RadialDensity, n_gaussians: int | None = None) -> AtomicPrior:
    """Return the sum of s Gaussians nearest to a free atom.

    Parameters
    ----------
    atom : RadialDensity
    n_gaussians : int, optional
        7 for hydrogen, 12 for the second row, 15 beyond, if not given.

    Raises
    ------
    InputError
        If fewer than two Gaussians are asked for.
    """
    z = atom.number
    n = n_gaussians or GAUSSIANS.get(z, GAUSSIANS_SECOND_ROW if z <= 10 else GAUSSIANS_BEYOND)
    if n < 2:
        raise InputError(f"a free atom needs at least two Gaussians, got {n}")
    unit = 0.1 * z**2 if z <= 2 else float(z**2)
    trials = [optimize_prior(atom, n, start * unit) for start in STARTS]
    return min(trials, key=lambda prior: prior_l1_percent(prior, atom))


def optimize_prior(atom: RadialDensity, n: int, tightest: float) -> AtomicPrior:
    """Return a local optimum of n Gaussians, from even-tempered exponents up to a limit."""
    z = atom.number
    volume = 4.0 * np.pi * atom.radius**3
    log_a = np.linspace(np.log(0.07), np.log(tightest), n)
    populations = weighted_populations(atom, np.exp(log_a), 1.0 / (atom.density + 1e-6) * volume)
    for smoothing in SMOOTHING:
        scale = np.abs(populations[1:]) + 0.01

        def split(x: Array, scale: Array = scale) -> tuple[Array, Array]:
            rest = x[n:] * scale
            return np.exp(x[:n]), np.concatenate([[z - rest.sum()], rest])

        def objective(
            x: Array, scale: Array = scale, smoothing: float = smoothing
        ) -> tuple[float, Array]:
            a, q = split(x, scale)
            shape = gaussians(a, atom.radius)
            error = volume * (shape @ q - atom.density)
            smooth = np.sqrt(error**2 + smoothing**2)
            pull = volume * error / smooth
            by_population = shape.T @ pull
            by_log_a = q * np.einsum("ri,ri,r->i", shape, 1.5 - np.outer(atom.radius**2, a), pull)
            gradient = np.concatenate([by_log_a, (by_population[1:] - by_population[0]) * scale])
            return float(atom.step * smooth.sum()), atom.step * gradient

        start = np.concatenate([log_a, populations[1:] / scale])
        result = minimize(
            objective,
            start,
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": 4000, "maxfun": 8000, "maxcor": 50, "ftol": 1e-12, "gtol": 1e-9},
        )
        exponents, populations = split(result.x)
        log_a = np.log(exponents)
    order = np.argsort(exponents)
    populations = populations[order]
    # Rounding of the sum goes to the largest population.
    largest = int(np.argmax(populations))
    populations[largest] += z - populations.sum()
    return AtomicPrior(tuple(exponents[order].tolist()), tuple(populations.tolist()))


def prior_l1_percent(prior: AtomicPrior, atom: RadialDensity) -> float:
    """Return 100 ∫ |ρ_fit − ρ| dr / Z."""
    density = gaussians(np.array(prior.exponents), atom.radius) @ np.array(prior.populations)
    shells = 4.0 * np.pi * atom.radius**3 * atom.step
    return float(100.0 * shells @ np.abs(density - atom.density) / atom.number)


def gaussians(exponents: Array, radius: Array) -> Array:
    """Return (a/π)^{3/2} exp(−a r²), (n_points, n_gaussians)."""
    return np.asarray((exponents / np.pi) ** 1.5 * np.exp(-np.outer(radius**2, exponents)))


def weighted_populations(atom: RadialDensity, exponents: Array, weight: Array) -> Array:
    """Return the populations of least weighted squares that sum to Z, for fixed exponents."""
    shape = gaussians(exponents, atom.radius)
    root = np.sqrt(weight)[:, None]
    difference = (shape[:, 1:] - shape[:, :1]) * root
    target = (atom.density - atom.number * shape[:, 0]) * root[:, 0]
    rest = np.linalg.lstsq(difference, target, rcond=None)[0]
    return np.concatenate([[atom.number - rest.sum()], rest])
