"""What all tests share: one thread, and a seed, so that a failure repeats."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")


@pytest.fixture
def rng() -> np.random.Generator:
    """Return a random generator of fixed seed."""
    return np.random.default_rng(20260424)
