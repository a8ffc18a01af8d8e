"""The tree of exceptions: what a caller may catch."""

import inspect

import pytest

from densnet import errors

TREE = [
    cls
    for _, cls in inspect.getmembers(errors, inspect.isclass)
    if issubclass(cls, BaseException) and cls.__module__ == "densnet.errors"
]


@pytest.mark.parametrize("cls", TREE)
def test_every_error_is_a_densnet_error(cls: type[Exception]) -> None:
    assert issubclass(cls, errors.DensnetError)


@pytest.mark.parametrize(
    "cls",
    [
        errors.UnitsError,
        errors.AtomOrderError,
        errors.UnknownElementError,
        errors.MissingLabelError,
        errors.NonFiniteError,
    ],
)
def test_wrong_input_can_be_caught_as_value_error(cls: type[Exception]) -> None:
    with pytest.raises(ValueError, match="what is wrong"):
        raise cls("what is wrong")


def test_a_failed_run_is_not_a_wrong_input() -> None:
    assert not issubclass(errors.SimulationError, errors.InputError)
    assert not issubclass(errors.ConvergenceError, errors.InputError)
    assert not issubclass(errors.BundleError, errors.InputError)
