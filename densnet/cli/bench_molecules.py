"""The molecules of the benchmarks: ethanol, resorcinol, alkanes and planar oligothiophenes."""

from collections.abc import Callable

import numpy as np
from ase.build import molecule
from numpy.typing import NDArray

from densnet.structure import Structure
from densnet.units import BOHR_ANGSTROM

# Bond lengths in Å, of the size that gas-phase electron diffraction finds.
AROMATIC_CC, AROMATIC_CH, PHENOL_CO, PHENOL_OH = 1.396, 1.085, 1.365, 0.966
THIOPHENE_SC, THIOPHENE_SHORT_CC, THIOPHENE_LONG_CC = 1.714, 1.370, 1.423
THIOPHENE_HALF_WIDTH, RING_BOND = 1.239, 1.450
ALKANE_CC, ALKANE_CH = 1.531, 1.096
COH_ANGLE = np.deg2rad(109.0)


def ethanol() -> Structure:
    """Return ethanol, C2H6O."""
    atoms = molecule("CH3CH2OH")
    return Structure(atoms.numbers, atoms.positions / BOHR_ANGSTROM)


def alkane(n_carbons: int) -> Structure:
    """Return the all-trans chain C_n H_2n+2 with tetrahedral angles.

    Parameters
    ----------
    n_carbons : int
        One or more.
    """
    half = 0.5 * np.arccos(-1.0 / 3.0)
    along, across = ALKANE_CC * np.sin(half), ALKANE_CC * np.cos(half)
    carbons = np.array([[along * k, 0.5 * across * (-1) ** k, 0.0] for k in range(n_carbons)])
    hydrogens = []
    for k, r in enumerate(carbons):
        outward = np.array([0.0, np.cos(half) * (-1) ** k, 0.0])
        sideways = np.array([0.0, 0.0, np.sin(half)])
        hydrogens += [r + ALKANE_CH * (outward + sideways), r + ALKANE_CH * (outward - sideways)]
    for k, sign in ((0, -1.0), (n_carbons - 1, 1.0)):
        beyond = np.array([sign * np.sin(half), -np.cos(half) * (-1) ** k, 0.0])
        hydrogens.append(carbons[k] + ALKANE_CH * beyond)
    numbers = np.array([6] * n_carbons + [1] * len(hydrogens))
    return Structure(numbers, np.concatenate([carbons, hydrogens]) / BOHR_ANGSTROM)


def resorcinol() -> Structure:
    """Return planar 1,3-dihydroxybenzene, C6H6O2, both hydroxyl groups pointing the same way."""
    numbers: list[int] = []
    positions: list[NDArray[np.float64]] = []
    for k in range(6):
        outward = _direction(np.pi / 3.0 * k)
        carbon = AROMATIC_CC * outward
        numbers.append(6)
        positions.append(carbon)
        if k in (0, 2):
            oxygen = carbon + PHENOL_CO * outward
            numbers += [8, 1]
            positions += [
                oxygen,
                oxygen + PHENOL_OH * _direction(np.pi / 3.0 * k + np.pi - COH_ANGLE),
            ]
        else:
            numbers.append(1)
            positions.append(carbon + AROMATIC_CH * outward)
    return Structure(np.array(numbers), np.array(positions) / BOHR_ANGSTROM)


def oligothiophene(n_rings: int) -> Structure:
    """Return a planar chain of α-linked thiophene rings, alternately turned (all trans).

    Parameters
    ----------
    n_rings : int
        One or more.
    """
    numbers, ring = _thiophene_ring()
    out_left = _exocyclic(ring, carbon=1)
    out_right = _exocyclic(ring, carbon=2)
    all_numbers: list[int] = [1]
    all_positions: list[NDArray[np.float64]] = [ring[1] + AROMATIC_CH * out_left]
    sign, shift = 1.0, np.zeros(3)
    for k in range(n_rings):
        all_numbers += numbers
        all_positions += list(sign * ring + shift)
        # Odd rings are inverted, so that their right-hand α carbon is the image of the left one.
        last, outward = (2, out_right) if sign > 0 else (1, out_left)
        end, direction = sign * ring[last] + shift, sign * outward
        if k + 1 < n_rings:
            # inversion in the middle of the bond between the rings
            sign, shift = -sign, 2.0 * end + RING_BOND * direction - shift
        else:
            all_numbers.append(1)
            all_positions.append(end + AROMATIC_CH * direction)
    return Structure(np.array(all_numbers), np.array(all_positions) / BOHR_ANGSTROM)


def _direction(angle: float) -> NDArray[np.float64]:
    return np.array([np.cos(angle), np.sin(angle), 0.0])


def _thiophene_ring() -> tuple[list[int], NDArray[np.float64]]:
    """Return S, both α carbons (left, right), both β carbons, and the hydrogens of the latter."""
    alpha_y = np.sqrt(THIOPHENE_SC**2 - THIOPHENE_HALF_WIDTH**2)
    beta_x = 0.5 * THIOPHENE_LONG_CC
    beta_y = alpha_y + np.sqrt(THIOPHENE_SHORT_CC**2 - (THIOPHENE_HALF_WIDTH - beta_x) ** 2)
    ring = np.array(
        [
            [0.0, 0.0, 0.0],
            [-THIOPHENE_HALF_WIDTH, alpha_y, 0.0],
            [THIOPHENE_HALF_WIDTH, alpha_y, 0.0],
            [-beta_x, beta_y, 0.0],
            [beta_x, beta_y, 0.0],
        ]
    )
    hydrogens = [
        ring[3] + AROMATIC_CH * _bisector(ring[3], ring[1], ring[4]),
        ring[4] + AROMATIC_CH * _bisector(ring[4], ring[2], ring[3]),
    ]
    return [16, 6, 6, 6, 6, 1, 1], np.vstack([ring, hydrogens])


def _exocyclic(ring: NDArray[np.float64], carbon: int) -> NDArray[np.float64]:
    return _bisector(ring[carbon], ring[0], ring[carbon + 2])


def _bisector(
    centre: NDArray[np.float64], first: NDArray[np.float64], second: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the unit vector that points away from two neighbours."""
    inward = sum((p - centre) / np.linalg.norm(p - centre) for p in (first, second))
    return np.asarray(-inward / np.linalg.norm(inward))


MOLECULES: dict[str, Callable[[], Structure]] = {
    "ethanol": ethanol,
    "resorcinol": resorcinol,
    "thiophene-12": lambda: oligothiophene(12),
}
