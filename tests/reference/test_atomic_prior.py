"""Free atoms as sums of Gaussians."""

import gc
import warnings

import numpy as np
import pytest

from densnet.errors import InputError
from densnet.reference.atomic_prior import (
    RadialDensity,
    compute_radial_density,
    fit_atomic_prior,
    prior_l1_percent,
)


def free_atom(number: int) -> RadialDensity:
    with warnings.catch_warnings():
        # PySCF leaves temporary files of its atoms to the garbage collector, and warns of itself.
        warnings.simplefilter("ignore", ResourceWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        atom = compute_radial_density(number, xc="pbe", orbital_basis="cc-pvdz")
        gc.collect()
    return atom


def test_radial_density_holds_the_electrons() -> None:
    atom = free_atom(6)
    electrons = np.sum(4.0 * np.pi * atom.radius**3 * atom.density) * atom.step
    assert electrons == pytest.approx(6.0, abs=1e-6)


def test_fit_of_hydrogen_is_close_and_keeps_the_charge() -> None:
    atom = free_atom(1)
    prior = fit_atomic_prior(atom)
    assert sum(prior.populations) == pytest.approx(1.0, abs=1e-14)
    assert list(prior.exponents) == sorted(prior.exponents)
    # FACTS: optimised Gaussians reach 0.02–0.03 %; cc-pVDZ hydrogen is four Gaussian products.
    assert prior_l1_percent(prior, atom) < 0.05


def test_a_sum_of_gaussians_is_recovered() -> None:
    log_r = np.linspace(np.log(1e-4), np.log(25.0), 1000)
    r = np.exp(log_r)
    density = sum(q * (a / np.pi) ** 1.5 * np.exp(-a * r * r) for a, q in [(0.5, 1.2), (4.0, 0.8)])
    atom = RadialDensity(2, r, density, float(log_r[1] - log_r[0]))
    prior = fit_atomic_prior(atom, n_gaussians=2)
    np.testing.assert_allclose(prior.exponents, [0.5, 4.0], rtol=1e-3)
    np.testing.assert_allclose(prior.populations, [1.2, 0.8], rtol=1e-3)


def test_one_gaussian_is_refused() -> None:
    atom = RadialDensity(1, np.ones(3), np.ones(3), 0.1)
    with pytest.raises(InputError, match="at least two Gaussians"):
        fit_atomic_prior(atom, n_gaussians=1)
