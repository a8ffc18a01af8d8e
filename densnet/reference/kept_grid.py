"""Exchange–correlation on a grid whose orbital values stay in memory through the SCF.

PySCF evaluates the atomic orbitals on the grid again in every SCF cycle. For a molecule they fit in
memory, so they are computed once a geometry. Densities come from the occupied orbitals, ψ = Cᵀφ,
which is cheaper than from the density matrix by the ratio of basis functions to occupied orbitals.
"""

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyscf import gto
from pyscf.dft import numint

logger = logging.getLogger(__name__)

# Points in one block: the values and derivatives of some hundred orbitals then stay in the cache.
BLOCK_POINTS = 768
# Rows of GTOval_sph_deriv2 that hold ∂x∂y φ, for the 3 x 3 pairs of Cartesian axes.
SECOND_DERIVATIVE = ((4, 5, 6), (5, 7, 8), (6, 8, 9))


class KeptGridIntegrator(numint.NumInt):  # type: ignore[misc]
    """Numerical integrator that keeps orbital values; restricted closed-shell LDA and GGA.

    Other kinds of functional, and density matrices without occupied orbitals attached, are passed
    on to PySCF's own loop: the same numbers, slower. The memory is reused from one geometry to
    the next; call :meth:`forget` when the geometry changes.
    """

    def __init__(self) -> None:
        super().__init__()
        self._store: NDArray[np.float64] = np.empty(0)
        self._blocks: list[tuple[slice, NDArray[np.float64]]] = []
        self._coords: NDArray[np.float64] | None = None
        self._told = False

    def forget(self) -> None:
        """Drop the orbital values of the last geometry; its memory is kept for the next."""
        self._blocks = []
        self._coords = None

    def handles(self, xc: str) -> bool:
        """Whether this functional takes the fast path."""
        return self._xc_type(xc) in ("LDA", "GGA") and not self.libxc.is_nlc(xc)

    def fits(self, mol: gto.Mole, n_points: int, n_components: int) -> bool:
        """Whether the orbital values fit into PySCF's `max_memory`; says so once if they do not."""
        megabytes = 8e-6 * n_components * mol.nao * n_points
        enough = bool(megabytes < mol.max_memory)
        if not enough and not self._told:
            logger.warning(
                "orbital values on the grid need %.0f MB, more than PySCF's max_memory of %.0f MB: "
                "they are computed anew in every cycle; set PYSCF_MAX_MEMORY if there is more",
                megabytes,
                mol.max_memory,
            )
            self._told = True
        return enough

    def nr_rks(
        self,
        mol: gto.Mole,
        grids: Any,
        xc_code: str,
        dms: NDArray[np.float64],
        relativity: int = 0,
        hermi: int = 1,
        max_memory: float = 2000,
        verbose: int | None = None,
    ) -> tuple[float, float, NDArray[np.float64]]:
        """Electrons, exchange–correlation energy and potential matrix, as PySCF's `nr_rks`."""
        orbitals = occupied_orbitals(dms)
        n_components = 1 if self._xc_type(xc_code) == "LDA" else 4
        if (
            orbitals is None
            or not self.handles(xc_code)
            or not self.fits(mol, len(grids.coords), n_components)
        ):
            plain: tuple[float, float, NDArray[np.float64]] = super().nr_rks(
                mol, grids, xc_code, dms, relativity, hermi, max_memory, verbose
            )
            return plain
        return self.integrate(
            mol, grids, xc_code, n_components, lambda points, ao: density_of(ao, orbitals)
        )

    def integrate(
        self,
        mol: gto.Mole,
        grids: Any,
        xc_code: str,
        n_components: int,
        density: Callable[[slice, NDArray[np.float64]], NDArray[np.float64]],
    ) -> tuple[float, float, NDArray[np.float64]]:
        """Electrons, exchange–correlation energy and potential matrix of any density.

        Parameters
        ----------
        n_components : int
            1 for LDA, 4 for GGA.
        density : callable
            From a slice of the grid and the orbital values there, (n_components, n_basis, n), to
            the density and its gradient, (n_components, n).
        """
        n_electrons = 0.0
        energy = 0.0
        matrix = np.zeros((mol.nao, mol.nao))
        for points, ao in self.blocks(mol, grids.coords, n_components):
            weights = grids.weights[points]
            rho = density(points, ao)
            xc, potential = self.weighted_potential(xc_code, rho, weights)
            n_electrons += float(rho[0] @ weights)
            energy += float((rho[0] * weights) @ xc)
            potential[0] *= 0.5
            dressed = ao[0] * potential[0]
            for x in range(1, n_components):
                dressed += ao[x] * potential[x]
            matrix += dressed @ ao[0].T
        return n_electrons, energy, matrix + matrix.T

    def gradient_per_orbital(
        self, mol: gto.Mole, grids: Any, xc: str, orbitals: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Derivative of the energy with respect to the centre of each basis function.

        The weights of the grid are held fixed, as in PySCF without `grid_response`.

        Parameters
        ----------
        orbitals : (n_basis, n_occupied) float64
            Occupied orbitals, each multiplied by the square root of its occupation.

        Returns
        -------
        gradient : (3, n_basis) float64, hartree/bohr
        """
        lda = self._xc_type(xc) == "LDA"
        total = np.zeros((3, mol.nao))
        comp = 4 if lda else 10
        name = f"GTOval_sph_deriv{1 if lda else 2}"
        buffer = np.empty((comp, mol.nao, BLOCK_POINTS))
        for start in range(0, len(grids.coords), BLOCK_POINTS):
            points = slice(start, min(start + BLOCK_POINTS, len(grids.coords)))
            ao = evaluate_orbitals(mol, grids.coords[points], name, comp, buffer)
            rho = density_of(ao[: 1 if lda else 4], orbitals)
            _, potential = self.weighted_potential(xc, rho, grids.weights[points])
            psi = orbitals.T @ ao[0]
            density_ao = orbitals @ psi
            dressed = density_ao * potential[0]
            if not lda:
                slope = psi * 0.0
                for y in range(3):
                    slope += (orbitals.T @ ao[1 + y]) * potential[1 + y]
                dressed += orbitals @ slope
            for x in range(3):
                total[x] += np.einsum("mg,mg->m", ao[1 + x], dressed)
                if lda:
                    continue
                bent = ao[SECOND_DERIVATIVE[x][0]] * potential[1]
                bent += ao[SECOND_DERIVATIVE[x][1]] * potential[2]
                bent += ao[SECOND_DERIVATIVE[x][2]] * potential[3]
                total[x] += np.einsum("mg,mg->m", bent, density_ao)
        return -2.0 * total

    def weighted_potential(
        self, xc: str, rho: NDArray[np.float64], weights: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Energy per electron (n,), and ∂e/∂ρ and ∂e/∂∇ρ times the weights (1 or 4, n)."""
        lda = len(rho) == 1
        energy, potential = self.eval_xc_eff(
            xc, rho[0] if lda else rho, deriv=1, xctype="LDA" if lda else "GGA"
        )[:2]
        return energy, np.atleast_2d(potential) * weights

    def blocks(
        self, mol: gto.Mole, coords: NDArray[np.float64], n_components: int
    ) -> list[tuple[slice, NDArray[np.float64]]]:
        """Orbital values (n_components, n_basis, n) of each block of points, from memory."""
        if self._coords is coords:
            return self._blocks
        size = n_components * mol.nao * len(coords)
        if self._store.size < size:
            self._store = np.empty(size)
        name = f"GTOval_sph_deriv{0 if n_components == 1 else 1}"
        self._blocks = []
        used = 0
        for start in range(0, len(coords), BLOCK_POINTS):
            points = slice(start, min(start + BLOCK_POINTS, len(coords)))
            size = n_components * mol.nao * (points.stop - start)
            ao = evaluate_orbitals(
                mol, coords[points], name, n_components, self._store[used : used + size]
            )
            used += size
            self._blocks.append((points, ao))
        self._coords = coords
        return self._blocks


def evaluate_orbitals(
    mol: gto.Mole,
    coords: NDArray[np.float64],
    name: str,
    n_components: int,
    memory: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Values and derivatives (n_components, n_basis, n_points) of the basis, placed in `memory`."""
    size = n_components * mol.nao * len(coords)
    out = memory.reshape(-1)[:size]
    values = mol.eval_gto(name, coords, comp=n_components if n_components > 1 else None, out=out)
    return values.reshape(n_components, len(coords), mol.nao).transpose(0, 2, 1)


def density_of(ao: NDArray[np.float64], orbitals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Density, and its gradient if `ao` holds first derivatives, (1 or 4, n_points)."""
    psi = orbitals.T @ ao[0]
    rho = np.empty((len(ao), psi.shape[1]))
    rho[0] = np.einsum("ig,ig->g", psi, psi)
    for x in range(1, len(ao)):
        rho[x] = 2.0 * np.einsum("ig,ig->g", psi, orbitals.T @ ao[x])
    return rho


def occupied_orbitals(dm: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Orbitals attached to a density matrix, times √occupation; None if there are none."""
    coefficients = getattr(dm, "mo_coeff", None)
    occupations = getattr(dm, "mo_occ", None)
    if coefficients is None or occupations is None or np.ndim(dm) != 2:
        return None
    filled = occupations > 0.0
    return np.ascontiguousarray(coefficients[:, filled] * np.sqrt(occupations[filled]))
