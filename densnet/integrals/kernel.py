"""Which implementation computes the integrals: the C++ extension, or the torch twin without it."""

import logging
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import import_module
from types import ModuleType
from typing import Any

from densnet.integrals import twin_backend
from densnet.integrals.shell_table import ShellTable

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class KernelInfo:
    """What ``densnet doctor`` shows of the kernel.

    Parameters
    ----------
    available : bool
        Whether the C++ extension is in use.
    instruction_set : str
        The widest vector instructions that this processor and the extension share.
    compiler : str
    l_max : int
        Highest angular momentum of a shell.
    reason : str
        Why the extension is not in use; empty if it is.
    calls : int
        Calls of the kernel since the process started.
    """

    available: bool
    instruction_set: str
    compiler: str
    l_max: int
    reason: str
    calls: int


@cache
def _load() -> tuple[ModuleType, str]:
    try:
        return import_module("densnet.integrals._kernel"), ""
    except ImportError as error:
        logger.warning(
            "the C++ kernel densnet.integrals._kernel is missing (%s); integrals run in torch, "
            "hundreds of times slower. Build it with: python setup.py build_ext --inplace",
            error,
        )
        return twin_backend, str(error)


def backend() -> ModuleType:
    """Return the module that computes: the extension, or the twin with the same functions."""
    return _load()[0]


class _Handle:
    """The key of a basis in the cache of handles: the table itself, by identity."""

    def __init__(self, table: ShellTable) -> None:
        self.table = table

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Handle) and other.table is self.table

    def __hash__(self) -> int:
        return id(self.table)


@lru_cache(maxsize=64)
def _make_basis(key: _Handle) -> Any:
    return backend().make_basis(key.table)


def kernel_basis(table: ShellTable) -> Any:
    """Return what the kernel made of a basis: exponent pairs and the blocks of one atom, cached."""
    return _make_basis(_Handle(table))


def kernel_info() -> KernelInfo:
    """Return which implementation is in use and why."""
    module, reason = _load()
    return KernelInfo(
        available=not reason,
        instruction_set=module.instruction_set(),
        compiler=module.compiler(),
        l_max=module.L_MAX,
        reason=reason,
        calls=module.calls(),
    )
