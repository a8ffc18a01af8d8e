"""Which normal mode of one calculation is which of another."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.transform import Rotation

from densnet.errors import InputError
from densnet.spectra.harmonic import HarmonicModes
from densnet.units import BOHR_ANGSTROM

Array = NDArray[np.float64]

# Minima of the shipped models and of their references lie at most 0.002 bohr apart, conformers of
# ethanol and of ethanethiol 0.4 and 0.5, mirror images 1.0 (superposition, below).
SAME_MINIMUM_BOHR = 0.1


@dataclass(frozen=True, eq=False)
class ModeComparison:
    """Modes of a calculation beside those of its reference, in the reference's order.

    Parameters
    ----------
    order : (n_modes,) int64
        Mode of the calculation that belongs to each of the reference.
    overlap : (n_modes,) float64
        |⟨q|q′⟩| of the mass-weighted displacements, 1 for the same motion.
    wavenumber_error_cm1 : (n_modes,) float64
        Calculation minus reference.
    intensity_error_km_mol : (n_modes,) float64 or None
    """

    order: NDArray[np.int64]
    overlap: Array
    wavenumber_error_cm1: Array
    intensity_error_km_mol: Array | None


def compare_modes(
    modes: HarmonicModes,
    positions: Array,
    reference: HarmonicModes,
    reference_positions: Array,
    masses: Array,
) -> ModeComparison:
    """Pair the modes so that the sum of squared overlaps is largest.

    Parameters
    ----------
    modes, reference : HarmonicModes
        Of the same atoms in the same order.
    positions, reference_positions : (n_atoms, 3) float64, bohr
        The two minima; the calculation is turned onto its reference first.
    masses : (n_atoms,) float64, electron masses

    Raises
    ------
    InputError
        If the numbers of modes differ, or the minima are not of one conformer.
    """
    if modes.displacements.shape != reference.displacements.shape:
        raise InputError(
            f"{len(modes.wavenumber_cm1)} modes cannot be compared with "
            f"{len(reference.wavenumber_cm1)}: these are not the same molecule"
        )
    turn, distance = superposition(positions, reference_positions, masses)
    if distance > SAME_MINIMUM_BOHR:
        raise InputError(
            f"the minima lie {distance * BOHR_ANGSTROM:.2f} Å apart (root mean square, weighted by "
            "mass): other conformers, mirror images or another order of atoms, whose modes cannot "
            "be paired"
        )
    turned = modes.displacements @ turn.as_matrix().T
    overlap = np.abs(np.einsum("a,pax,qax->pq", masses, reference.displacements, turned))
    _, order = linear_sum_assignment(-(overlap**2))
    intensity_error = None
    if modes.intensity_km_mol is not None and reference.intensity_km_mol is not None:
        intensity_error = modes.intensity_km_mol[order] - reference.intensity_km_mol
    return ModeComparison(
        order,
        np.asarray(overlap[np.arange(len(order)), order]),
        modes.wavenumber_cm1[order] - reference.wavenumber_cm1,
        intensity_error,
    )


def superposition(
    positions: Array, reference_positions: Array, masses: Array
) -> tuple[Rotation, float]:
    """Turn a structure onto another one of the same atoms; mirror images stay what they are.

    Parameters
    ----------
    positions, reference_positions : (n_atoms, 3) float64, bohr
    masses : (n_atoms,) float64

    Returns
    -------
    Rotation
        About the centre of mass, of the first.
    float
        Root of the mass-weighted mean square distance that is left, bohr.
    """
    centred = positions - masses @ positions / masses.sum()
    target = reference_positions - masses @ reference_positions / masses.sum()
    turn, root_sum = Rotation.align_vectors(target, centred, weights=masses)
    return turn, float(root_sum / np.sqrt(masses.sum()))


def relative_error(
    difference: Array, expected: Array, wavenumber_cm1: Array, degenerate_cm1: float = 0.0
) -> float:
    """Σ|ΔI|/ΣI over the bands of a reference.

    Modes that lie closer than the calculation's own error mix differently in it, and share their
    intensity differently, without any effect on a spectrum: they may be counted as one band.

    Parameters
    ----------
    difference, expected : (n_modes,) float64
        Calculation minus reference, and the reference, of any intensity.
    wavenumber_cm1 : (n_modes,) float64
        Of the reference.
    degenerate_cm1 : float
        Modes nearer to the next than this are one band; 0: every mode is a band.
    """
    order = np.argsort(wavenumber_cm1)
    starts = np.flatnonzero(np.diff(wavenumber_cm1[order], prepend=-np.inf) >= degenerate_cm1)
    return float(np.abs(np.add.reduceat(difference[order], starts)).sum() / expected.sum())
