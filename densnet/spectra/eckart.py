"""Overall rotation taken out of a trajectory: the Eckart frame of a reference geometry.

In the frame that turns with the molecule a band has no P and R branches, and the pure rotational
spectrum is gone. The Eckart condition Σ m r_ref × r = 0 holds for the rotation that brings the
mass-weighted positions closest to the reference (Kabsch; Kudin and Dymarsky 2005,
https://doi.org/10.1063/1.1929739).
"""

import numpy as np
from numpy.typing import NDArray

from densnet.errors import InputError

Array = NDArray[np.float64]


def eckart_rotations(positions: Array, masses: Array, reference: Array) -> Array:
    """Rotations from the laboratory to the Eckart frame of a reference.

    Parameters
    ----------
    positions : (n_times, n_atoms, 3) float64
    masses : (n_atoms,) float64
    reference : (n_atoms, 3) float64
        Same unit as the positions.

    Returns
    -------
    (n_times, 3, 3) float64
        R with r_eckart = R r, proper (determinant +1).
    """
    if positions.shape[1:] != reference.shape:
        raise InputError(
            f"positions of {positions.shape[1:]} do not fit a reference of {reference.shape}"
        )
    weights = masses / masses.sum()
    centred = positions - np.einsum("a,tax->tx", weights, positions)[:, None, :]
    target = reference - weights @ reference
    covariance = np.einsum("a,ax,tay->txy", weights, target, centred)
    left, _, right = np.linalg.svd(covariance)
    handedness = np.sign(np.linalg.det(left @ right))
    left[:, :, 2] *= handedness[:, None]
    return np.asarray(left @ right, dtype=np.float64)


def rotate_vectors(rotations: Array, vectors: Array) -> Array:
    """Turn one vector a frame, R v: (n, 3) → (n, 3)."""
    return np.einsum("txy,ty->tx", rotations, vectors)


def rotate_tensors(rotations: Array, tensors: Array) -> Array:
    """Turn second-rank tensors, R T Rᵀ: (n, 3, 3) → (n, 3, 3)."""
    return np.einsum("txy,tyz,twz->txw", rotations, tensors, rotations)


def remove_rigid_motion(positions: Array, velocities: Array, masses: Array) -> Array:
    """Velocities without the translation and rotation of the whole molecule.

    Parameters
    ----------
    positions, velocities : (n_times, n_atoms, 3) float64
    masses : (n_atoms,) float64

    Returns
    -------
    (n_times, n_atoms, 3) float64
        Zero momentum and zero angular momentum in every frame.
    """
    weights = masses / masses.sum()
    r = positions - np.einsum("a,tax->tx", weights, positions)[:, None, :]
    v = velocities - np.einsum("a,tax->tx", weights, velocities)[:, None, :]
    angular_momentum = np.einsum("a,tax->tx", masses, np.cross(r, v))
    squared = np.einsum("a,tax,tax->t", masses, r, r)
    inertia = squared[:, None, None] * np.eye(3) - np.einsum("a,tax,tay->txy", masses, r, r)
    turning = np.einsum("txy,ty->tx", np.linalg.pinv(inertia, hermitian=True), angular_momentum)
    return np.asarray(v - np.cross(turning[:, None, :], r), dtype=np.float64)
