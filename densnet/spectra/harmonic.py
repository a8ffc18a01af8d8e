"""Harmonic frequencies, infrared intensities and Raman activities from derivatives at a minimum."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from densnet.errors import InputError
from densnet.spectra.infrared import SPEED_OF_LIGHT_AU, UNIT
from densnet.spectra.raman import mode_activity
from densnet.spectra.spectrum import Spectrum
from densnet.units import AU_WAVENUMBER_CM1, AVOGADRO, BOHR_M, DALTON_AU

Array = NDArray[np.float64]

# (e)²/m_e → km/mol: N_A π/(3·4πε₀c²). One (D/Å)²/amu is 42.256 km/mol.
INTENSITY_KM_MOL = np.pi / (3.0 * SPEED_OF_LIGHT_AU**2) * AVOGADRO * BOHR_M / 1000.0


@dataclass(frozen=True, eq=False)
class HarmonicModes:
    """Normal modes of a molecule.

    Parameters
    ----------
    wavenumber_cm1 : (n_modes,) float64
        Ascending; imaginary frequencies are negative numbers.
    intensity_km_mol : (n_modes,) float64 or None
        Integrated infrared intensities.
    displacements : (n_modes, n_atoms, 3) float64
        ∂r/∂Q with Q mass-weighted in √m_e·bohr: Σ m |∂r/∂Q|² = 1.
    activity_angstrom4_amu : (n_modes,) float64 or None
        Raman activities.
    """

    wavenumber_cm1: Array
    intensity_km_mol: Array | None
    displacements: Array
    activity_angstrom4_amu: Array | None = None


def harmonic_modes(
    hessian: Array,
    masses: Array,
    positions: Array,
    polar_tensors: Array | None = None,
    polarizability_tensors: Array | None = None,
) -> HarmonicModes:
    """Diagonalise a mass-weighted Hessian without translations and rotations.

    Parameters
    ----------
    hessian : (3 n_atoms, 3 n_atoms) or (n_atoms, 3, n_atoms, 3) float64, hartree/bohr²
    masses : (n_atoms,) float64, electron masses
    positions : (n_atoms, 3) float64, bohr
        Of the stationary point.
    polar_tensors : (n_atoms, 3, 3) float64, e, optional
        ``polar_tensors[A, i, x]`` = ∂μ_x/∂r_{A,i}.
    polarizability_tensors : (n_atoms, 3, 3, 3) float64, bohr², optional
        ``polarizability_tensors[A, i, x, y]`` = ∂α_xy/∂r_{A,i}.

    Returns
    -------
    HarmonicModes
        3N − 6 modes (3N − 5 for a linear molecule).

    Raises
    ------
    InputError
        If shapes do not fit or the Hessian is not symmetric.
    """
    n = len(masses)
    h = np.asarray(hessian, dtype=np.float64).reshape(3 * n, -1)
    if h.shape != (3 * n, 3 * n) or positions.shape != (n, 3):
        raise InputError(
            f"a Hessian of {np.shape(hessian)} and positions of {positions.shape} do not fit "
            f"{n} masses"
        )
    asymmetry = np.abs(h - h.T).max()
    if asymmetry > 1e-3 * np.abs(h).max():
        raise InputError(
            f"the Hessian is not symmetric (largest difference {asymmetry:.2e} hartree/bohr²): "
            "is it ordered (atom, xyz, atom, xyz)?"
        )
    root = np.repeat(np.sqrt(masses), 3)
    weighted = 0.5 * (h + h.T) / np.outer(root, root)
    internal = _internal_space(positions, masses)
    eigenvalues, vectors = np.linalg.eigh(internal.T @ weighted @ internal)
    displacements = ((internal @ vectors).T / root).reshape(-1, n, 3)
    wavenumber = np.sign(eigenvalues) * np.sqrt(np.abs(eigenvalues)) * AU_WAVENUMBER_CM1
    intensity = None
    if polar_tensors is not None:
        if np.shape(polar_tensors) != (n, 3, 3):
            raise InputError(
                f"polar_tensors must have shape ({n}, 3, 3), got {np.shape(polar_tensors)}"
            )
        derivative = np.einsum("qai,aix->qx", displacements, polar_tensors)
        intensity = INTENSITY_KM_MOL * (derivative**2).sum(axis=1)
    activity = None
    if polarizability_tensors is not None:
        if np.shape(polarizability_tensors) != (n, 3, 3, 3):
            raise InputError(
                f"polarizability_tensors must have shape ({n}, 3, 3, 3), got "
                f"{np.shape(polarizability_tensors)}"
            )
        by_mode = np.einsum("qai,aixy->qxy", displacements, polarizability_tensors)
        activity = mode_activity(by_mode)
    return HarmonicModes(wavenumber, intensity, displacements, activity)


def broadened(modes: HarmonicModes, wavenumber_cm1: Array, width_cm1: float) -> Array:
    """Infrared line spectrum with Gaussian lines.

    Parameters
    ----------
    modes : HarmonicModes
        With intensities.
    wavenumber_cm1 : (n,) float64
    width_cm1 : float
        Full width at half maximum.

    Returns
    -------
    (n,) float64
        km/mol per cm⁻¹: comparable with :func:`densnet.spectra.infrared.infrared`.
    """
    if modes.intensity_km_mol is None:
        raise InputError("these modes have no intensities: give polar_tensors to harmonic_modes")
    sigma = width_cm1 / np.sqrt(8.0 * np.log(2.0))
    distance = wavenumber_cm1[:, None] - modes.wavenumber_cm1[None, :]
    lines = np.exp(-0.5 * (distance / sigma) ** 2) / (sigma * np.sqrt(2.0 * np.pi))
    return np.asarray(lines @ modes.intensity_km_mol, dtype=np.float64)


def harmonic_spectrum(modes: HarmonicModes, width_cm1: float, high_cm1: float = 4200.0) -> Spectrum:
    """Infrared line spectrum as a :class:`Spectrum`, to be saved and drawn beside dynamics.

    Parameters
    ----------
    modes : HarmonicModes
        With intensities.
    width_cm1 : float
        Full width at half maximum of the Gaussian lines.
    high_cm1 : float
        End of the grid, which begins at zero.
    """
    grid = np.arange(0.0, high_cm1, width_cm1 / 8.0)
    curve = broadened(modes, grid, width_cm1)
    return Spectrum(
        wavenumber_cm1=grid,
        intensity=curve,
        error=None,
        samples=curve[None, :],
        weights=np.ones(1),
        quantity="infrared absorption, harmonic",
        unit=UNIT,
        resolution_cm1=width_cm1,
        error_method="none: a harmonic calculation has no statistical error",
    )


def _internal_space(positions: Array, masses: Array) -> Array:
    """Orthonormal basis of what is left after translation and rotation, (3n, 3n − 6 or 5)."""
    root = np.sqrt(masses)[:, None]
    centred = positions - (masses @ positions) / masses.sum()
    rigid = [(root * np.eye(3)[axis]).ravel() for axis in range(3)]
    rigid += [(root * np.cross(np.eye(3)[axis], centred)).ravel() for axis in range(3)]
    u, s, _ = np.linalg.svd(np.array(rigid).T, full_matrices=True)
    # A linear molecule has one rotation less; its singular value vanishes.
    rank = int((s > 1e-6 * s.max()).sum())
    return np.asarray(u[:, rank:], dtype=np.float64)


def masses_from_dalton(masses_dalton: Array) -> Array:
    """Convert atomic masses from dalton to electron masses."""
    return np.asarray(masses_dalton, dtype=np.float64) * DALTON_AU
