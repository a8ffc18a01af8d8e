from pathlib import Path

import numpy as np
import pytest

from densnet.structure import Structure
from densnet.units import BOHR_ANGSTROM

FRAMES = Path(__file__).with_name("ethanol_two_frames.npz")
WATER_ANGSTROM = np.array([[0.0, 0.0, 0.0], [0.76, 0.59, 0.05], [-0.78, 0.57, 0.0]])


@pytest.fixture
def water() -> Structure:
    """Return a bent water molecule without symmetry."""
    return Structure(np.array([8, 1, 1]), WATER_ANGSTROM / BOHR_ANGSTROM)


@pytest.fixture(scope="session")
def ethanol_frames() -> dict[str, np.ndarray]:
    """Return two ethanol frames labelled by independent code."""
    with np.load(FRAMES) as archive:
        return dict(archive)
