"""The functions of the C++ extension, computed by the torch twin: same names, arrays and shapes."""

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from densnet.integrals import twin
from densnet.integrals.shell_table import ShellTable
from densnet.integrals.twin import Metric

L_MAX = 6
Array = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass
class _Counter:
    calls: int = field(default=0)


_counter = _Counter()


def calls() -> int:
    """Return how often a function of this module has computed something."""
    return _counter.calls


def instruction_set() -> str:
    """Return what the twin computes with."""
    return "torch"


def compiler() -> str:
    """Return the library in the place of a compiler."""
    return f"torch {torch.__version__}"


def make_basis(table: ShellTable) -> ShellTable:
    """Return the handle of a basis: for the twin the table itself."""
    return table


def metric_matrix(
    metric: Metric,
    basis: ShellTable,
    species: Indices,
    positions: Array,
    n_threads: int,
    out: Array | None = None,
) -> Array:
    """Return (n_batch, n_functions, n_functions)."""
    _counter.calls += 1
    s = torch.from_numpy(species)
    matrices = _stack(
        [twin.metric_matrix(metric, basis, s, torch.from_numpy(r)) for r in positions]
    )
    if out is None:
        return matrices
    out[...] = matrices
    return out


def cross_matrix(
    metric: Metric,
    basis: ShellTable,
    species: Indices,
    positions: Array,
    other_basis: ShellTable,
    other_species: Indices,
    other_positions: Array,
    n_threads: int,
) -> Array:
    """Return (n_batch, n_functions, n_other_functions)."""
    _counter.calls += 1
    s, t = torch.from_numpy(species), torch.from_numpy(other_species)
    return _stack(
        [
            twin.cross_matrix(
                metric, basis, s, torch.from_numpy(r), other_basis, t, torch.from_numpy(q)
            )
            for r, q in zip(positions, other_positions, strict=True)
        ]
    )


def metric_vjp(
    metric: Metric,
    basis: ShellTable,
    species: Indices,
    positions: Array,
    weights: Array,
    n_threads: int,
) -> tuple[Array, Array]:
    """Return the gradient of Σ W M: (n_batch, n_atoms, 3) and (n_primitives,)."""
    _counter.calls += 1
    s = torch.from_numpy(species)
    r = torch.from_numpy(positions.copy()).requires_grad_()
    a = torch.from_numpy(basis.exponents.copy()).requires_grad_()
    with torch.enable_grad():
        total = torch.zeros((), dtype=torch.float64)
        for w, x in zip(weights, r.unbind(0), strict=True):
            matrix = twin.metric_matrix(metric, basis, s, x, a)
            total = total + (torch.from_numpy(w) * matrix).sum()
        by_position, by_exponent = torch.autograd.grad(total, (r, a))
    return by_position.numpy(), by_exponent.numpy()


def metric_apply(
    metric: Metric,
    basis: ShellTable,
    species: Indices,
    positions: Array,
    coefficients: Array,
    n_threads: int,
) -> Array:
    """Return M c, (n_batch, n_functions)."""
    matrices = metric_matrix(metric, basis, species, positions, n_threads)
    return np.einsum("bij,bj->bi", matrices, coefficients)


def quadratic_gradient(
    metric: Metric,
    basis: ShellTable,
    species: Indices,
    positions: Array,
    coefficients: Array,
    n_threads: int,
) -> tuple[Array, Array, Array]:
    """Return M c, and the gradient of cᵀM c: (n_batch, n_atoms, 3) and (n_primitives,)."""
    applied = metric_apply(metric, basis, species, positions, coefficients, n_threads)
    outer = coefficients[:, :, None] * coefficients[:, None, :]
    by_position, by_exponent = metric_vjp(metric, basis, species, positions, outer, n_threads)
    return applied, by_position, by_exponent


def density_on_points(
    basis: ShellTable,
    species: Indices,
    positions: Array,
    coefficients: Array,
    points: Array,
    n_threads: int,
) -> Array:
    """Return the density, (n_points,)."""
    _counter.calls += 1
    return twin.density(
        basis,
        torch.from_numpy(species),
        torch.from_numpy(positions),
        torch.from_numpy(coefficients),
        torch.from_numpy(points),
    ).numpy()


def density_and_gradient_on_points(
    basis: ShellTable,
    species: Indices,
    positions: Array,
    coefficients: Array,
    points: Array,
    n_threads: int,
) -> tuple[Array, Array]:
    """Return the density, (n_points,), and its gradient, (n_points, 3)."""
    _counter.calls += 1
    r = torch.from_numpy(points.copy()).requires_grad_()
    with torch.enable_grad():
        density = twin.density(
            basis,
            torch.from_numpy(species),
            torch.from_numpy(positions),
            torch.from_numpy(coefficients),
            r,
        )
        (gradient,) = torch.autograd.grad(density.sum(), r)
    return density.detach().numpy(), gradient.numpy()


def potential_on_points(
    basis: ShellTable,
    species: Indices,
    positions: Array,
    coefficients: Array,
    points: Array,
    n_threads: int,
) -> Array:
    """Return the electrostatic potential, (n_points,)."""
    _counter.calls += 1
    return twin.potential(
        basis,
        torch.from_numpy(species),
        torch.from_numpy(positions),
        torch.from_numpy(coefficients),
        torch.from_numpy(points),
    ).numpy()


def _stack(matrices: list[Tensor]) -> Array:
    return torch.stack(matrices).numpy()
