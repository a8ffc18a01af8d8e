"""Charge, dipole and quadrupole of a molecule from the coefficients of Δρ, in closed form.

The free atoms of the prior are neutral and spherical: they carry no charge and no dipole, so

    q = −∫Δρ,    μ = −∫ r Δρ,    Q = −∫ r rᵀ Δρ − (1/3) Σ_A ⟨r²⟩_A,

electrons counted negative. The dipole is independent of the origin if and only if q = 0.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from densnet.basis import DensityBasis
from densnet.density.prior import prior_spread
from densnet.integrals import moments


@dataclass(frozen=True, eq=False)
class MolecularMoments:
    """Multipole moments of a molecule, nuclei and electrons together, in atomic units.

    Parameters
    ----------
    charge : () or (n_batch,) float64, e
    dipole : (3,) or (n_batch, 3) float64, e·bohr
    second_moment : (3, 3) or (n_batch, 3, 3) float64, e·bohr²
        Σ_A Z_A R_A R_Aᵀ − ∫ r rᵀ ρ, the trace included.
    """

    charge: NDArray[np.float64]
    dipole: NDArray[np.float64]
    second_moment: NDArray[np.float64]

    @property
    def quadrupole(self) -> NDArray[np.float64]:
        """Traceless quadrupole Θ = (3Q − tr Q) / 2 of Buckingham, e·bohr²."""
        trace = np.trace(self.second_moment, axis1=-2, axis2=-1)
        return 1.5 * self.second_moment - 0.5 * trace[..., None, None] * np.eye(3)


def compute_moments(
    basis: DensityBasis,
    numbers: ArrayLike,
    positions: ArrayLike,
    coefficients: ArrayLike,
    *,
    origin: ArrayLike = (0.0, 0.0, 0.0),
) -> MolecularMoments:
    """Return charge, dipole and second moment of molecules.

    Parameters
    ----------
    basis : DensityBasis
    numbers : (n_atoms,) int
    positions : (n_atoms, 3) or (n_batch, n_atoms, 3) float64, bohr
    coefficients : (n_functions,) or (n_batch, n_functions) float64
        Of Δρ.
    origin : (3,) float64, bohr
    """
    difference = moments(basis, numbers, positions, coefficients, origin=origin)
    atoms = prior_spread(basis, numbers) / 3.0 * np.eye(3)
    return MolecularMoments(
        charge=-difference.charge,
        dipole=-difference.dipole,
        second_moment=-difference.quadrupole - atoms,
    )
