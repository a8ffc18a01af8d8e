"""The parts of the torch twin against SciPy and e3nn."""

import numpy as np
import pytest
import torch
from e3nn import o3
from scipy.special import gamma, gammainc

from densnet.integrals.boys import boys
from densnet.integrals.harmonics import gaunt_coefficients, solid_harmonics


@pytest.mark.parametrize("n", range(14))
def test_boys_function_matches_the_incomplete_gamma_function(n: int) -> None:
    t = np.concatenate([np.linspace(1e-3, 60.0, 200), [100.0, 1e4]])
    expected = gamma(n + 0.5) * gammainc(n + 0.5, t) / (2.0 * t ** (n + 0.5))
    assert np.allclose(boys(n, torch.from_numpy(t)).numpy(), expected, rtol=1e-12)
    assert boys(n, torch.zeros((), dtype=torch.float64)).item() == pytest.approx(1 / (2 * n + 1))


def test_boys_function_is_differentiable() -> None:
    t = torch.tensor([0.0, 0.3, 7.0, 36.0, 80.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: boys(3, x), (t + 1e-3,))


@pytest.mark.parametrize("l", range(8))
def test_solid_harmonics_match_e3nn(l: int) -> None:
    """The degrees of e3nn's polar axis y are those of ours with (x, y, z) renamed (z, x, y)."""
    points = torch.randn(20, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    ours = solid_harmonics(l, points)
    renamed = points[:, [1, 2, 0]]
    theirs = o3.spherical_harmonics(l, renamed, normalize=False, normalization="integral")
    assert torch.allclose(ours, theirs, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(("l_a", "l_b"), [(0, 0), (1, 1), (2, 3), (5, 4), (6, 6)])
def test_products_of_harmonics_are_sums_of_harmonics(l_a: int, l_b: int) -> None:
    point = torch.tensor([[0.3, -0.8, 0.5]], dtype=torch.float64)
    r = float(point.norm())
    order_a = [1, -1, 0] if l_a == 1 else range(-l_a, l_a + 1)
    order_b = [1, -1, 0] if l_b == 1 else range(-l_b, l_b + 1)
    a = solid_harmonics(l_a, point)[0, [m + l_a for m in order_a]].numpy()
    b = solid_harmonics(l_b, point)[0, [m + l_b for m in order_b]].numpy()
    total = sum(
        r ** (l_a + l_b - l) * gaunt @ solid_harmonics(l, point)[0].numpy()
        for l, gaunt in gaunt_coefficients(l_a, l_b).items()
    )
    assert np.allclose(total, np.outer(a, b), rtol=0, atol=1e-12)
