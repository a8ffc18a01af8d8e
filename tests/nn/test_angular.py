"""Harmonics and the quadrature on the sphere against e3nn and SciPy."""

import numpy as np
import pytest
import torch
from e3nn import o3
from scipy.special import sph_harm_y

from densnet.nn.angular import SphereGrid, SphericalHarmonics, l_of_m, n_harmonics
from tests.tolerances import ROUNDING


def unit_vectors(n: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    v = torch.randn(n, 3, generator=generator, dtype=torch.float64)
    return v / torch.linalg.vector_norm(v, dim=1, keepdim=True)


@pytest.mark.parametrize("l_max", [1, 2, 3, 4])
def test_harmonics_equal_e3nn_in_permuted_axes(l_max):
    v = unit_vectors(40)
    found = SphericalHarmonics(l_max)(v.T).T
    expected = o3.spherical_harmonics(
        list(range(l_max + 1)), v[:, [1, 2, 0]], normalize=False, normalization="component"
    )
    torch.testing.assert_close(found, expected, atol=ROUNDING, rtol=0.0)


def test_harmonics_are_the_standard_real_ones_in_order_of_m():
    v = unit_vectors(40)
    found = SphericalHarmonics(4)(v.T).numpy() / np.sqrt(4.0 * np.pi)
    theta, phi = np.arccos(v[:, 2].numpy()), np.arctan2(v[:, 1].numpy(), v[:, 0].numpy())
    for l in range(5):
        for m in range(-l, l + 1):
            y = sph_harm_y(l, abs(m), theta, phi)
            part = y.real if m == 0 else np.sqrt(2.0) * (-1) ** m * (y.real if m > 0 else y.imag)
            np.testing.assert_allclose(found[l * l + l + m], part, atol=ROUNDING)


def test_a_product_on_the_grid_is_the_product_of_the_functions():
    l_in, l_out = 2, 4
    grid = SphereGrid(l_in, l_out, degree=2 * l_in + l_out)
    generator = torch.Generator().manual_seed(5)
    a, b = torch.randn(2, n_harmonics(l_in), 1, 1, generator=generator, dtype=torch.float64)
    found = grid.project(grid.evaluate(a) * grid.evaluate(b), 0, n_harmonics(l_out))
    # The grid carries features divided by √(number of harmonics); the projection undoes it once.
    found = found[:, 0, 0] * n_harmonics(l_in) ** 0.5
    v = unit_vectors(200)
    harmonics = o3.spherical_harmonics(
        list(range(l_out + 1)), v[:, [1, 2, 0]], normalize=False, normalization="component"
    )
    values = (harmonics[:, :9] @ a[:, 0, 0]) * (harmonics[:, :9] @ b[:, 0, 0])
    expected = torch.linalg.lstsq(harmonics, values.unsqueeze(1)).solution[:, 0]
    torch.testing.assert_close(found, expected, atol=1e-11, rtol=0.0)


def test_the_product_of_two_vectors_couples_as_e3nn_says():
    grid = SphereGrid(1, 2, degree=4)
    generator = torch.Generator().manual_seed(6)
    a, b = torch.randn(2, 4, 1, 1, generator=generator, dtype=torch.float64)
    a[0], b[0] = 0.0, 0.0
    found = grid.project(grid.evaluate(a) * grid.evaluate(b), 0, 9)[:, 0, 0]
    for l in (0, 2):
        w3j = o3.wigner_3j(1, 1, l, dtype=torch.float64)
        expected = torch.einsum("ijk,i,j->k", w3j, a[1:, 0, 0], b[1:, 0, 0])
        mine = found[l * l : (l + 1) ** 2]
        cosine = torch.dot(mine, expected) / (mine.norm() * expected.norm())
        assert abs(abs(float(cosine)) - 1.0) < ROUNDING
    # The antisymmetric coupling to l = 1 is not of natural parity and must be absent.
    assert found[1:4].abs().max() < ROUNDING


def test_evaluating_and_projecting_is_the_identity():
    grid = SphereGrid(3, 3, degree=6)
    x = torch.randn(16, 2, 5, dtype=torch.float64)
    torch.testing.assert_close(grid.project(grid.evaluate(x), 0, 16), x, atol=ROUNDING, rtol=0.0)


def test_every_harmonic_knows_its_l():
    assert l_of_m(2).tolist() == [0, 1, 1, 1, 2, 2, 2, 2, 2]
