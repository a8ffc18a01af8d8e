"""Errors on labelled frames: units, and the gates that the shipped model must pass."""

from pathlib import Path

import numpy as np
import pytest

from densnet.data.store import FrameFile
from densnet.evaluation.density_error import compute_frame_errors, spread_over, summarize_errors
from densnet.evaluation.density_parity import sample_difference_density
from densnet.evaluation.frame_errors import (
    Predictions,
    by_temperature,
    compute_property_errors,
    predict,
)
from densnet.export.loading import load_model
from densnet.units import AU_DEBYE, BOHR_ANGSTROM, HARTREE_EV

LABELS = Path(__file__).parents[2] / "examples" / "01_ethanol" / "ethanol.h5"


@pytest.fixture(scope="module")
def frames():
    return FrameFile.read(LABELS, select={"tag": "test", "temperature": 300.0})


def test_known_shifts_give_known_errors_in_their_units(frames):
    ev_angstrom = HARTREE_EV / BOHR_ANGSTROM
    shifted = Predictions(
        energy=frames.energy + 0.005 / HARTREE_EV,
        forces=frames.forces - 0.012 / ev_angstrom,
        dipole=frames.dipole + np.array([0.003, 0.0, 0.004]) / AU_DEBYE,
        coefficients=frames.coefficients,
    )
    errors = compute_property_errors(frames, shifted)
    assert errors.energy_mae_mev == pytest.approx(5.0)
    assert errors.energy_bias_mev == pytest.approx(5.0)
    assert errors.forces_mae_mev_angstrom == pytest.approx(12.0)
    assert errors.dipole_vector_mae_millidebye == pytest.approx(5.0)
    assert errors.dipole_mae_millidebye == pytest.approx(7.0 / 3.0)
    assert errors.n_frames == 150


def test_temperatures_are_kept_apart():
    frames = FrameFile.read(LABELS, select={"tag": "test"})
    counts = {label: int(mask.sum()) for label, mask in by_temperature(frames)}
    assert counts == {"300 K": 150, "500 K": 150}


def test_the_shipped_ethanol_passes_its_gates_on_unseen_frames(frames):
    model = load_model("ethanol")
    predictions = predict(model, frames)
    errors = compute_property_errors(frames, predictions)
    assert errors.energy_mae_mev <= 2.0
    assert errors.forces_mae_mev_angstrom <= 12.0
    assert errors.dipole_vector_mae_millidebye <= 10.0
    index = spread_over(len(frames), 5)
    density = summarize_errors(
        compute_frame_errors(
            model.basis, frames.subset(index), predictions.coefficients[index], grid_level=2
        ),
        2,
    )
    assert density.predicted <= 0.6
    assert density.floor < density.predicted < density.baseline


def test_points_of_the_parity_picture_agree_for_the_fitted_density(frames):
    basis = load_model("ethanol").basis
    few = frames.subset(np.arange(2))
    reference, fitted = sample_difference_density(basis, few, few.coefficients, points_per_frame=50)
    assert reference.shape == fitted.shape == (100,)
    # The density moves by some 0.05 e/bohr³ on bonding; the fit leaves a few percent of it.
    assert np.abs(fitted - reference).mean() < 0.1 * np.abs(reference).mean()
    again, _ = sample_difference_density(basis, few, few.coefficients, points_per_frame=50)
    np.testing.assert_array_equal(again, reference)
