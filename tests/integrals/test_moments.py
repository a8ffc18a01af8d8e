"""Charge, dipole and quadrupole against quadrature."""

import numpy as np
from numpy.typing import NDArray
from pyscf.dft import gen_grid

from densnet.basis import DensityBasis
from densnet.integrals import density_on_points, moments
from densnet.reference import libcint
from tests.tolerances import BECKE_GRID


def test_moments_match_quadrature(
    basis: DensityBasis,
    numbers: NDArray[np.int64],
    positions: NDArray[np.float64],
    rng: np.random.Generator,
) -> None:
    z, r = numbers[:3], positions[:3]
    c = rng.normal(size=basis.n_functions(z))
    grid = gen_grid.Grids(libcint.mole_of(basis, z, r))
    grid.level = 6
    grid.build()
    density = density_on_points(basis, z, r, c, grid.coords) * grid.weights
    origin = np.array([0.5, -0.3, 0.2])
    shifted = grid.coords - origin
    result = moments(basis, z, r, c, origin=origin)
    assert abs(result.charge - density.sum()) < BECKE_GRID
    assert np.abs(result.dipole - density @ shifted).max() < BECKE_GRID
    quadrupole = np.einsum("p,px,py->xy", density, shifted, shifted)
    assert np.abs(result.quadrupole - quadrupole).max() < 5 * BECKE_GRID


def test_moments_of_a_batch_are_those_of_its_structures(
    basis: DensityBasis,
    numbers: NDArray[np.int64],
    positions: NDArray[np.float64],
    rng: np.random.Generator,
) -> None:
    batch = positions + rng.normal(scale=0.3, size=(3, *positions.shape))
    c = rng.normal(size=(3, basis.n_functions(numbers)))
    together = moments(basis, numbers, batch, c)
    for k in range(3):
        single = moments(basis, numbers, batch[k], c[k])
        assert np.allclose(together.charge[k], single.charge, rtol=1e-14)
        assert np.allclose(together.dipole[k], single.dipole, rtol=1e-13)
        assert np.allclose(together.quadrupole[k], single.quadrupole, rtol=1e-13)
