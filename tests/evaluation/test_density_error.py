"""The L1 error of densities against numbers known without a grid."""

import numpy as np
import pytest

from densnet.basis import DensityBasis
from densnet.data.store import FrameFile, Frames
from densnet.data.writer import FrameWriter
from densnet.density import prior_density_on_points
from densnet.errors import InputError, MissingLabelError
from densnet.evaluation.density_error import (
    compute_density_errors,
    compute_frame_errors,
    core_electrons,
    density_l1_error,
    spread_over,
    summarize_errors,
)
from densnet.integrals import density_on_points
from densnet.reference.density_fit import DensityFitter
from tests.reference_densities import water_density


@pytest.fixture(scope="module")
def basis() -> DensityBasis:
    return DensityBasis.load("densnet-dz-367")


@pytest.fixture(scope="module")
def hydrogen_grid() -> tuple[np.ndarray, np.ndarray]:
    """Return a quadrature for one atom at the origin: radial × Gauss–Legendre × uniform."""
    log_r = np.linspace(np.log(1e-4), np.log(25.0), 200)
    cosine, weight = np.polynomial.legendre.leggauss(12)
    angle = 2.0 * np.pi * np.arange(24) / 24
    r, c, p = np.meshgrid(np.exp(log_r), cosine, angle, indexing="ij")
    s = np.sqrt(1.0 - c * c)
    points = np.stack([r * s * np.cos(p), r * s * np.sin(p), r * c], axis=-1).reshape(-1, 3)
    weights = r**3 * (log_r[1] - log_r[0]) * weight[None, :, None] * 2.0 * np.pi / 24
    return points, weights.reshape(-1)


def test_l1_error_of_a_scaled_density_is_the_scale() -> None:
    density, weights = np.array([1.0, 2.0, 1.0]), np.array([0.5, 0.5, 0.5])
    assert density_l1_error(1.01 * density, density, weights, 2) == pytest.approx(1.0)


def test_errors_vanish_for_the_exact_coefficients_and_add_up_otherwise(
    basis, hydrogen_grid
) -> None:
    points, weights = hydrogen_grid
    where = np.zeros((1, 3))
    exact = np.zeros(basis.n_functions([1]))
    layout = basis.layout([1])
    # A p function: its positive half holds as much as its negative one, the charge stays.
    p = int(np.flatnonzero(layout.l == 1)[0])
    exact[p] = 0.05
    difference = density_on_points(basis, [1], where, exact, points)
    reference = prior_density_on_points(basis, [1], where, points) + difference
    errors = compute_density_errors(
        basis,
        [1],
        where,
        predicted=2.0 * exact,
        fitted=exact,
        points=points,
        weights=weights,
        reference=reference,
    )
    expected = 100.0 * weights @ np.abs(difference)
    assert errors.floor < 1e-10
    assert errors.predicted == pytest.approx(expected, rel=1e-9)
    assert errors.baseline == pytest.approx(expected, rel=1e-9)
    assert errors.n_electrons == errors.n_valence == 1


def test_a_reference_of_another_molecule_is_refused(basis, hydrogen_grid) -> None:
    points, weights = hydrogen_grid
    zero = np.zeros(basis.n_functions([1]))
    with pytest.raises(InputError, match="integrates to"):
        compute_density_errors(
            basis,
            [1],
            np.zeros((1, 3)),
            predicted=zero,
            fitted=zero,
            points=points,
            weights=weights,
            reference=np.full(len(weights), 1e-3),
        )


def test_core_electrons_are_those_of_the_noble_gas_below() -> None:
    assert core_electrons([1, 2, 3, 6, 8, 10, 11, 16, 18, 19]).tolist() == [
        0, 0, 2, 2, 2, 2, 10, 10, 10, 18,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def frames(basis, tmp_path_factory) -> Frames:
    """Return two labelled frames of water in a file, with orbitals and fitted coefficients."""
    water = water_density()
    path = tmp_path_factory.mktemp("frames") / "water.h5"
    attributes = {
        "level": {"basis": "aug-cc-pvdz"},
        "basis": basis.restricted_to(water.numbers).to_dict(),
    }
    writer = FrameWriter(path, water.numbers, attributes)
    fitter = DensityFitter(basis, water.numbers, "aug-cc-pvdz")
    for frame in range(2):
        shift = 0.5 * frame
        writer.append(
            {
                "frame": frame,
                "positions": water.positions + shift,
                "tag": "test",
                "temperature": 300.0,
                "trajectory": 0,
                "orbitals": water.orbitals,
                # A neutral molecule: its dipole does not move with it.
                "coefficients": fitter.fit(water.positions + shift, water.orbitals, water.dipole),
            }
        )
    writer.close()
    return FrameFile.read(path)


def test_errors_of_frames_put_floor_below_prediction_below_free_atoms(basis, frames) -> None:
    seen = []
    errors = compute_frame_errors(
        basis,
        frames,
        0.9 * frames.coefficients,
        grid_level=1,
        on_progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 2), (2, 2)]
    for error in errors:
        assert error.floor < error.predicted < error.baseline
        # A tenth of Δρ is missing, so the error is a tenth of the baseline, give or take the floor.
        assert abs(error.predicted - 0.1 * error.baseline) < error.floor
        assert (error.n_electrons, error.n_valence) == (10, 8)
        assert error.predicted_valence == pytest.approx(1.25 * error.predicted)
    summary = summarize_errors(errors, grid_level=1)
    assert summary.n_frames == 2
    assert summary.predicted == pytest.approx(np.mean([e.predicted for e in errors]))
    # The same molecule, moved: the quadrature moves with it.
    assert errors[0].floor == pytest.approx(errors[1].floor, rel=1e-6)


def test_a_finer_grid_changes_the_error_by_a_few_percent_of_itself(basis, frames) -> None:
    one = frames.subset(np.array([0]))
    coarse, fine = (
        compute_frame_errors(basis, one, one.coefficients, grid_level=level)[0].floor
        for level in (1, 3)
    )
    assert coarse == pytest.approx(fine, rel=0.05)


def test_predictions_in_another_basis_are_refused(basis, frames) -> None:
    with pytest.raises(InputError, match="predicted must have shape"):
        compute_frame_errors(basis, frames, np.zeros((2, 5)))


def test_frames_without_orbitals_are_refused(basis, frames) -> None:
    columns = {name: values for name, values in frames.columns.items() if name != "orbitals"}
    bare = Frames(frames.path, frames.numbers, columns, frames.attributes)
    with pytest.raises(MissingLabelError, match="has no orbitals"):
        compute_frame_errors(basis, bare, frames.coefficients)


def test_no_frames_have_no_summary() -> None:
    with pytest.raises(InputError, match="no frame to summarize"):
        summarize_errors([], grid_level=3)


def test_frames_are_picked_evenly_and_never_twice() -> None:
    assert spread_over(10, 4).tolist() == [0, 3, 6, 9]
    assert spread_over(3, 10).tolist() == [0, 1, 2]
