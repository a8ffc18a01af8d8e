"""Errors of polarizabilities: units, missing labels, and what is compared at all."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from densnet.data.store import FrameFile
from densnet.evaluation.frame_errors import Predictions, predict
from densnet.evaluation.polarizability_error import compute_polarizability_errors
from densnet.export.loading import load_model

LABELS = Path(__file__).parents[2] / "examples" / "01_ethanol" / "ethanol_response.h5"


@pytest.fixture(scope="module")
def frames():
    return FrameFile.read(LABELS, select={"tag": "test"})


@pytest.fixture
def shifted(frames):
    """Predictions that are off by 0.3 bohr³ on the diagonal and by 0.06 beside it."""
    error = 0.06 + 0.24 * np.eye(3)
    return Predictions(
        frames.energy,
        frames.forces,
        frames.dipole,
        frames.coefficients,
        frames.polarizability + error,
    )


def test_known_shifts_give_known_errors(frames, shifted):
    errors = compute_polarizability_errors(frames, shifted)
    assert errors.n_frames == len(frames)
    assert errors.mae_bohr3 == pytest.approx((3 * 0.3 + 6 * 0.06) / 9.0)
    assert errors.rmse_bohr3 == pytest.approx(np.sqrt((3 * 0.09 + 6 * 0.0036) / 9.0))
    assert errors.isotropic_mae_bohr3 == pytest.approx(0.3)
    isotropic = np.trace(frames.polarizability, axis1=1, axis2=2) / 3.0
    assert errors.mae_percent == pytest.approx(100.0 * errors.mae_bohr3 / isotropic.mean())
    assert errors.isotropic_spread_bohr3 == pytest.approx(isotropic.std())


def test_frames_without_a_label_are_left_out_and_counted(frames, shifted):
    alpha = frames.polarizability.copy()
    alpha[0, 1, 1] = np.nan
    some = replace(frames, columns={**frames.columns, "polarizability": alpha})
    errors = compute_polarizability_errors(some, shifted)
    assert errors.n_frames == len(frames) - 1
    assert errors.isotropic_mae_bohr3 == pytest.approx(0.3)
    none = replace(
        frames, columns={**frames.columns, "polarizability": np.full_like(alpha, np.nan)}
    )
    assert compute_polarizability_errors(none, shifted) is None


def test_a_model_without_polarizability_is_not_compared(frames, shifted):
    assert compute_polarizability_errors(frames, replace(shifted, polarizability=None)) is None


def test_the_shipped_ethanol_passes_its_gate_on_unseen_frames(frames):
    errors = compute_polarizability_errors(frames, predict(load_model("ethanol"), frames))
    assert errors.n_frames == 60
    assert errors.mae_percent < 0.2
    assert errors.isotropic_mae_bohr3 < 0.2 * errors.isotropic_spread_bohr3


def test_subsets_keep_the_polarizability_with_its_frame(frames, shifted):
    mask = np.arange(len(frames)) % 2 == 1
    part = shifted.subset(mask)
    np.testing.assert_array_equal(part.polarizability, shifted.polarizability[mask])
    np.testing.assert_array_equal(part.energy, shifted.energy[mask])
    assert replace(shifted, polarizability=None).subset(mask).polarizability is None
