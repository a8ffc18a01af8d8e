"""Random bases and structures for the tests of the integrals."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.typing import NDArray

from densnet.basis import DensityBasis, Shell
from densnet.integrals import _kernel  # type: ignore[attr-defined]

INSTRUCTION_SETS = _kernel.instruction_sets()


@pytest.fixture(params=INSTRUCTION_SETS)
def instruction_set(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run a test with each instruction set of this processor."""
    before = _kernel.instruction_set()
    _kernel.use_instruction_set(request.param)
    yield request.param
    _kernel.use_instruction_set(before)


@pytest.fixture
def basis() -> DensityBasis:
    """Return a small basis with contracted and primitive shells up to l = 5."""
    return DensityBasis(
        "test",
        {
            1: (
                Shell(0, (0.15,)),
                Shell(0, (0.9, 4.0), (0.7, 0.5)),
                Shell(1, (0.6,)),
                Shell(1, (2.5,)),
                Shell(2, (1.1,)),
            ),
            8: (
                Shell(0, (0.25, 0.8, 5.0), (0.2, 0.5, 0.4)),
                Shell(0, (12.0,)),
                Shell(0, (600.0,)),
                Shell(1, (0.4,)),
                Shell(1, (1.5, 9.0), (0.8, 0.3)),
                Shell(2, (0.5,)),
                Shell(2, (3.0,)),
                Shell(3, (0.9,)),
                Shell(4, (1.2,)),
                Shell(5, (1.6,)),
            ),
        },
        {},
    )


@pytest.fixture
def numbers() -> NDArray[np.int64]:
    """Return the nuclear charges of a water dimer and a distant hydrogen."""
    return np.array([8, 1, 1, 8, 1, 1, 1])


@pytest.fixture
def positions() -> NDArray[np.float64]:
    """Return positions in bohr; the first two atoms lie along z, the last one is far away."""
    return np.array(
        [
            [0.0, 0.0, 0.0],
            [0.0, 0.0, 1.8],
            [1.7, 0.0, -0.5],
            [0.4, 5.2, 0.3],
            [1.3, 5.9, -1.1],
            [-1.2, 5.8, 1.0],
            [9.0, 14.0, 7.0],
        ]
    )


@st.composite
def random_shells(draw: st.DrawFn, lowest: float = -2.0, highest: float = 6.0) -> tuple[Shell, ...]:
    """Draw one to four shells with l ≤ 5 and exponents from 10^lowest to 10^highest."""
    shells = []
    for _ in range(draw(st.integers(1, 4))):
        n = draw(st.integers(1, 3))
        logs = draw(st.lists(st.floats(lowest, highest), min_size=n, max_size=n, unique=True))
        weights = draw(st.lists(st.floats(0.1, 1.0), min_size=n, max_size=n))
        exponents = tuple(sorted(float(10.0**x) for x in logs))
        shells.append(Shell(draw(st.integers(0, 5)), exponents, tuple(weights)))
    return tuple(shells)


@st.composite
def random_positions(draw: st.DrawFn, n_atoms: int) -> NDArray[np.float64]:
    """Draw positions whose distances reach from 0 (coincident) to 20 bohr."""
    scale = draw(st.sampled_from([0.0, 1e-6, 0.5, 3.0, 11.0]))
    flat = draw(st.lists(st.floats(-1.0, 1.0), min_size=3 * n_atoms, max_size=3 * n_atoms))
    return scale * np.array(flat).reshape(n_atoms, 3)


@st.composite
def random_pair(draw: st.DrawFn) -> tuple[Shell, Shell]:
    """Draw two shells, primitive or of two primitives, l ≤ 5 and exponents from 1e-2 to 1e6."""
    shells = []
    for _ in range(2):
        l, n = draw(st.tuples(st.integers(0, 5), st.sampled_from([1, 1, 2])))
        logs = draw(st.lists(st.floats(-2.0, 6.0), min_size=n, max_size=n, unique=True))
        shells.append(Shell(l, tuple(sorted(float(10.0**x) for x in logs)), (1.0, 0.6)[:n]))
    return shells[0], shells[1]


@st.composite
def random_separation(draw: st.DrawFn) -> NDArray[np.float64]:
    """Draw a vector of 0 to 20 bohr, in any direction or along an axis."""
    length = draw(st.one_of(st.sampled_from([0.0, 1e-8, 20.0]), st.floats(0.0, 20.0)))
    axis = draw(st.sampled_from([None, 0, 1, 2]))
    if axis is not None:
        return length * np.eye(3)[axis]
    height, angle = draw(st.tuples(st.floats(-1.0, 1.0), st.floats(0.0, 2.0 * np.pi)))
    across = np.sqrt(1.0 - height**2)
    return length * np.array([across * np.cos(angle), across * np.sin(angle), height])
