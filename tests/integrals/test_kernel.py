"""Which implementation runs, that it is counted, and life without the extension."""

import subprocess
import sys

import numpy as np
import pytest

from densnet.basis import DensityBasis, Shell
from densnet.integrals import _kernel, kernel_info, overlap  # type: ignore[attr-defined]

BASIS = DensityBasis("s", {1: (Shell(0, (1.0,)),)}, {})

WITHOUT_EXTENSION = """
import logging, sys
logging.basicConfig(format="%(levelname)s %(message)s")
sys.modules["densnet.integrals._kernel"] = None
from densnet.basis import DensityBasis, Shell
from densnet.integrals import kernel_info, overlap, density_on_points
basis = DensityBasis("s", {1: (Shell(0, (1.0,)),)}, {})
for _ in range(2):
    s = overlap(basis, [1, 1], [[0, 0, 0], [0, 0, 2]])
info = kernel_info()
print(round(s[0, 1], 12), info.available, info.calls, bool(info.reason))
"""


def test_extension_is_in_use_and_says_how_it_was_built() -> None:
    info = kernel_info()
    assert info.available
    assert info.reason == ""
    assert info.l_max == 6
    assert info.instruction_set in _kernel.instruction_sets()
    assert info.compiler.startswith(("gcc", "clang"))


def test_every_call_is_counted() -> None:
    before = kernel_info().calls
    overlap(BASIS, [1, 1], np.eye(2, 3))
    assert kernel_info().calls == before + 1


def test_unknown_instruction_set_is_refused() -> None:
    with pytest.raises(ValueError, match="instruction set"):
        _kernel.use_instruction_set("abacus")


def test_package_works_without_the_extension_and_says_so_once() -> None:
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTENSION], capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == [str(round(float(np.exp(-2.0)), 12)), "False", "2", "True"]
    assert result.stderr.count("WARNING the C++ kernel densnet.integrals._kernel is missing") == 1
