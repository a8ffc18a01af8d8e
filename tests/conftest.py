"""What all tests share: one thread, and a seed, so that a failure repeats."""

import os
import signal
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis
import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")
# The same examples every time, however slow the machine: a failure repeats, a pass stays one.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None)
hypothesis.settings.load_profile("repeatable")
# A shell starts background jobs with SIGINT ignored, and children inherit that: then no Ctrl-C of a
# test would reach anything. With a handler here, children start with the default again.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def rng() -> np.random.Generator:
    """Return a random generator of fixed seed."""
    return np.random.default_rng(20260424)


@pytest.fixture(scope="session")
def polarizable_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bundle that offers polarizabilities, untrained."""
    # Imported here: most tests need no torch.
    from tests.polarizable import write_polarizable_bundle

    folder = tmp_path_factory.mktemp("polarizable") / "bundle"
    write_polarizable_bundle(folder)
    return folder
