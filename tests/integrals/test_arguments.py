"""Wrong arguments are refused with the offender named."""

from collections.abc import Callable

import numpy as np
import pytest

from densnet.basis import DensityBasis, Shell
from densnet.errors import InputError, NonFiniteError, UnknownElementError
from densnet.integrals import (
    _kernel,  # type: ignore[attr-defined]
    apply_metric,
    density_on_points,
    metric_between,
    metric_vjp,
    overlap,
    quadratic_form_with_gradients,
)
from densnet.integrals.kernel import kernel_basis
from densnet.integrals.shell_table import shell_table

BASIS = DensityBasis("s", {1: (Shell(0, (1.0,)),)}, {})
TWO = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 2.0]])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: overlap(BASIS, [1], TWO), InputError, r"positions must have shape \(1, 3\)"),
        (lambda: overlap(BASIS, [[1, 1]], TWO), InputError, "numbers must be"),
        (lambda: overlap(BASIS, [1.0, 1.0], TWO), InputError, "numbers must be"),
        (lambda: overlap(BASIS, [1, 9], TWO), UnknownElementError, "Z = "),
        (lambda: overlap(BASIS, [1, 1], TWO * np.nan), NonFiniteError, "positions must be finite"),
        (lambda: overlap(BASIS, [1, 1], [["a"] * 3] * 2), InputError, "positions must be an array"),
        (lambda: overlap(BASIS, [1, 1], TWO, n_threads=0), InputError, "n_threads"),
        (lambda: overlap(BASIS, [1, 1], TWO, n_threads=1.5), InputError, "n_threads"),
        (lambda: overlap(BASIS, [1, 1], TWO, out=np.zeros((3, 3))), InputError, "out must be"),
        (lambda: overlap(BASIS, [1, 1], TWO, out=np.zeros((2, 4))[:, ::2]), InputError, "out must"),
        (lambda: apply_metric("metric", BASIS, [1, 1], TWO, [1, 1]), InputError, "metric must be"),
        (lambda: apply_metric("overlap", BASIS, [1, 1], TWO, [1]), InputError, "coefficients must"),
        (
            lambda: quadratic_form_with_gradients("coulomb", BASIS, [1, 1], TWO, [1, np.inf]),
            NonFiniteError,
            "coefficients must be finite",
        ),
        (
            lambda: metric_vjp("overlap", BASIS, [1, 1], TWO, np.zeros((2, 3))),
            InputError,
            "weights must have shape",
        ),
        (
            lambda: metric_between("overlap", BASIS, [1, 1], TWO, [1, 1], TWO[None]),
            InputError,
            "other_positions must be batches",
        ),
        (
            lambda: metric_between("overlap", BASIS, [1, 1], TWO, [1], TWO),
            InputError,
            "other_positions must have shape",
        ),
        (
            lambda: density_on_points(BASIS, [1, 1], TWO, [1, 1], np.zeros(3)),
            InputError,
            "points must have shape",
        ),
        (
            lambda: density_on_points(BASIS, [1, 1], TWO, [1, 1], np.full((1, 3), np.inf)),
            NonFiniteError,
            "points must be finite",
        ),
    ],
)
def test_wrong_argument_is_named(
    call: Callable[[], object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        call()


class Table:
    """The arrays of a shell table, to be spoilt one at a time."""

    def __init__(self, **changes: object) -> None:
        table = shell_table(BASIS)
        for name in ("shell_offset", "l", "primitive_offset", "exponents", "weights"):
            setattr(self, name, changes.get(name, getattr(table, name)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("l", [7]),
        ("l", [-1]),
        ("exponents", [-1.0]),
        ("exponents", [np.nan]),
        ("weights", [np.inf]),
        ("weights", [1.0, 2.0]),
        ("shell_offset", [0, 2]),
        ("primitive_offset", [0, 0]),
    ],
)
def test_extension_refuses_a_spoilt_basis(name: str, value: list[float]) -> None:
    with pytest.raises(ValueError, match=name):
        _kernel.make_basis(Table(**{name: value}))


def test_extension_checks_what_python_handed_over() -> None:
    handle = kernel_basis(shell_table(BASIS))
    species = np.zeros(2, dtype=np.int64)
    with pytest.raises(ValueError, match="metric"):
        _kernel.metric_matrix("other", handle, species, TWO[None], 1)
    with pytest.raises(ValueError, match="species"):
        _kernel.metric_matrix("overlap", handle, species + 1, TWO[None], 1)
    with pytest.raises(ValueError, match="positions"):
        _kernel.metric_matrix("overlap", handle, species, TWO[None, :1], 1)
    with pytest.raises(ValueError, match="n_threads"):
        _kernel.metric_matrix("overlap", handle, species, TWO[None], 0)
    with pytest.raises(ValueError, match="coefficients"):
        _kernel.metric_apply("overlap", handle, species, TWO[None], np.zeros((1, 3)), 1)
    with pytest.raises(ValueError, match="weights"):
        _kernel.metric_vjp("overlap", handle, species, TWO[None], np.zeros((1, 2, 3)), 1)
    with pytest.raises(ValueError, match="points"):
        _kernel.density_on_points(handle, species, TWO, np.zeros(2), np.zeros((1, 2)), 1)
