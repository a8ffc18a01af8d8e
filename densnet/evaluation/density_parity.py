"""Points at which a predicted density is drawn against the reference."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from densnet.basis import DensityBasis
from densnet.data.store import Frames, check_present
from densnet.density import prior_density_on_points
from densnet.integrals import density_on_points

# PySCF's coarsest grid: enough to draw points from.
GRID_LEVEL = 0
# No points closer to a nucleus, bohr: in the cusp ρ − ρ_SAD is a small difference of large numbers
# that holds next to no electrons and would set the scale of the picture.
CORE_RADIUS = 0.4


def sample_difference_density(
    basis: DensityBasis,
    frames: Frames,
    predicted: ArrayLike,
    *,
    points_per_frame: int = 200,
    seed: int = 0,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return Δρ = ρ − ρ_SAD of the reference orbitals and of the prediction at random points.

    Points are drawn from a molecular grid in proportion to the electrons they stand for, so the
    picture shows where the electrons are and not the empty space around them; within 0.4 bohr of a
    nucleus none are drawn.

    Parameters
    ----------
    basis : DensityBasis
    frames : Frames
        With orbitals.
    predicted : (n_frames, n_functions) float64
        Coefficients of Δρ.
    points_per_frame, seed : int

    Returns
    -------
    reference, predicted : (n_frames · points_per_frame,) float64, e/bohr³

    Raises
    ------
    MissingLabelError
        If a frame has no orbitals.
    """
    # PySCF belongs to labelling; the unfitted density is where it is needed too.
    from densnet.reference.grid_density import compute_grid_density

    rng = np.random.default_rng(seed)
    orbitals = frames["orbitals"]
    check_present(frames, "orbitals", "")
    coefficients = np.asarray(predicted, dtype=np.float64)
    references, predictions = [], []
    for k, positions in enumerate(frames.positions):
        grid = compute_grid_density(
            frames.numbers,
            positions,
            orbitals[k],
            orbital_basis=str(frames.attributes["level"]["basis"]),
            grid_level=GRID_LEVEL,
        )
        nearest = cKDTree(positions).query(grid.points)[0]
        electrons = np.clip(grid.weights * grid.density, 0.0, None) * (nearest > CORE_RADIUS)
        chosen = rng.choice(len(electrons), points_per_frame, p=electrons / electrons.sum())
        points = grid.points[chosen]
        atoms = prior_density_on_points(basis, frames.numbers, positions, points)
        references.append(grid.density[chosen] - atoms)
        predictions.append(
            density_on_points(basis, frames.numbers, positions, coefficients[k], points)
        )
    return np.concatenate(references), np.concatenate(predictions)
