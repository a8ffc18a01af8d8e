"""The torch function of the training loss."""

import numpy as np
import pytest
import torch

from densnet.basis import DensityBasis
from densnet.integrals import coulomb_metric, flat_exponents, kernel_info
from densnet.integrals.autograd import quadratic_form


@pytest.fixture
def batch(positions: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
    return torch.from_numpy(positions + rng.normal(scale=0.2, size=(3, *positions.shape)))


@pytest.mark.parametrize("metric", ["overlap", "coulomb"])
def test_first_derivatives_match_finite_differences(
    metric: str, basis: DensityBasis, numbers: np.ndarray, batch: torch.Tensor
) -> None:
    z = torch.from_numpy(numbers)
    torch.manual_seed(3)
    c = torch.randn(3, basis.n_functions(numbers), dtype=torch.float64, requires_grad=True)
    r = batch.clone().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x, y: quadratic_form(metric, basis, z, x, y), (r, c), fast_mode=True
    )


@pytest.mark.parametrize("metric", ["overlap", "coulomb"])
def test_derivatives_by_exponents_match_finite_differences(
    metric: str, basis: DensityBasis, numbers: np.ndarray, batch: torch.Tensor
) -> None:
    """Structures of different weight and sign, and contracted shells that stay normalised."""
    z = torch.from_numpy(numbers)
    torch.manual_seed(4)
    c = torch.randn(3, basis.n_functions(numbers), dtype=torch.float64)
    weights = torch.tensor([1.0, -0.4, 0.0], dtype=torch.float64)
    logarithms = torch.from_numpy(np.log(flat_exponents(basis))).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: (
            weights * quadratic_form(metric, basis, z, batch, c, exponents=torch.exp(x))
        ).sum(),
        (logarithms,),
        rtol=1e-5,
    )


def test_loss_calls_the_kernel_once_and_returns_the_type_of_the_coefficients(
    basis: DensityBasis, numbers: np.ndarray, batch: torch.Tensor
) -> None:
    c = torch.ones(3, basis.n_functions(numbers), dtype=torch.float32, requires_grad=True)
    before = kernel_info().calls
    value = quadratic_form("coulomb", basis, torch.from_numpy(numbers), batch, c)
    value.sum().backward()
    assert kernel_info().calls == before + 1
    assert value.dtype == torch.float32
    matrix = coulomb_metric(basis, numbers, batch[0].numpy())
    assert c.grad is not None
    assert torch.allclose(c.grad[0], torch.from_numpy(2 * matrix.sum(1)).float(), rtol=1e-5)


def test_second_derivative_is_refused(
    basis: DensityBasis, numbers: np.ndarray, batch: torch.Tensor
) -> None:
    c = torch.ones(3, basis.n_functions(numbers), dtype=torch.float64, requires_grad=True)
    value = quadratic_form("overlap", basis, torch.from_numpy(numbers), batch, c).square().sum()
    (gradient,) = torch.autograd.grad(value, c, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()
