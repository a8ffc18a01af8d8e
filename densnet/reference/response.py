"""Static polarizability and orbital response of a labelled frame, from its stored orbitals.

Coupled-perturbed Kohn–Sham for a uniform electric field. The perturbation of the energy is +r·E for
the electrons; with U the first-order mixing of occupied with empty orbitals,

    (ε_a − ε_i) U_ai + (a|V[D¹]|i) = −(a|r|i),   α_xy = −4 Σ_ai (a|x|i) U_y,ai.

A coarse grid is enough for the response (0.1 % of the polarizability at level 0), and the stored
occupied orbitals are all that is needed: the empty ones follow from one Fock matrix.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyscf import dft, lib
from pyscf.scf import cphf

from densnet.data.store import FrameFile
from densnet.errors import ConvergenceError
from densnet.reference.fill import Values, fill_columns
from densnet.reference.level import Level
from densnet.reference.method import build_molecule, write_no_checkpoint
from densnet.structure import Structure


@dataclass(frozen=True)
class Response:
    """How the field response is computed.

    Parameters
    ----------
    grid_level : int
        PySCF grid of the response kernel.
    tolerance : float
        Residual of the coupled-perturbed equations.
    """

    grid_level: int = 0
    tolerance: float = 1e-3


@dataclass(frozen=True, eq=False)
class FieldResponse:
    """Response to a uniform electric field, atomic units.

    Parameters
    ----------
    polarizability : (3, 3) float64, bohr³
        Symmetric.
    orbital_response : (3, n_basis, n_occupied) float64
        Derivative of the occupied orbitals with respect to the field; the derivative of the density
        matrix is 2 (C¹Cᵀ + C C¹ᵀ).
    """

    polarizability: NDArray[np.float64]
    orbital_response: NDArray[np.float64]


def compute_response(
    structure: Structure, orbitals: NDArray[np.float64], level: Level, settings: Response
) -> FieldResponse:
    """Solve the coupled-perturbed equations of the three field directions.

    Parameters
    ----------
    orbitals : (n_basis, n_occupied) float64
        Doubly occupied orbitals of the converged label.

    Raises
    ------
    ConvergenceError
        If the response is not finite, or the polarizability is not positive definite, as for
        orbitals that belong to another geometry or are not a minimum.
    """
    method = build_coarse_method(structure, level, settings)
    occupied, empty, energies = canonical_orbitals(method, orbitals)
    coefficients = np.hstack([occupied, empty])
    n_occupied = occupied.shape[1]
    occupations = np.where(np.arange(coefficients.shape[1]) < n_occupied, 2.0, 0.0)
    kernel = method.gen_response(coefficients, occupations, hermi=1)
    with method.mol.with_common_orig((0.0, 0.0, 0.0)):
        position = method.mol.intor_symmetric("int1e_r", comp=3)
    perturbation = np.einsum("xpq,pa,qi->xai", position, empty, occupied, optimize=True)

    def induced(mixing: NDArray[np.float64]) -> NDArray[np.float64]:
        """Potential of first-order densities, those not solved yet, between empty and occupied."""
        u = mixing.reshape(-1, empty.shape[1], n_occupied)
        half = 2.0 * np.einsum("pa,xai,qi->xpq", empty, u, occupied, optimize=True)
        potential = kernel(half + half.transpose(0, 2, 1))
        between = np.einsum("xpq,pa,qi->xai", potential, empty, occupied, optimize=True)
        return np.asarray(between).reshape(mixing.shape)

    mixing = cphf.solve(
        induced, energies, occupations, perturbation, tol=settings.tolerance, verbose=0
    )[0].reshape(perturbation.shape)
    alpha = -4.0 * np.einsum("xai,yai->xy", perturbation, mixing)
    alpha = 0.5 * (alpha + alpha.T)
    if not np.isfinite(alpha).all() or np.linalg.eigvalsh(alpha).min() <= 0.0:
        raise ConvergenceError(
            f"the polarizability is not positive definite ({alpha.round(3).tolist()}): the "
            "orbitals are not those of a converged ground state at this geometry"
        )
    return FieldResponse(alpha, rotate_back(orbitals, occupied, empty, mixing, method))


def build_coarse_method(structure: Structure, level: Level, settings: Response) -> Any:
    """Density-fitted Kohn–Sham on the grid of the response."""
    mol = build_molecule(structure, level)
    method = dft.RKS(mol, xc=level.xc).density_fit(auxbasis=level.auxiliary_basis)
    method.grids.level = settings.grid_level
    write_no_checkpoint(method)
    method.with_df.build()
    return method


def canonical_orbitals(
    method: Any, orbitals: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Occupied and empty orbitals that diagonalise their blocks of the Fock matrix, and energies.

    The occupied space is that of `orbitals`; on the coarse grid it is not quite stationary, which
    is of second order in the response.
    """
    overlap = method.get_ovlp()
    values, vectors = np.linalg.eigh(overlap)
    root = vectors * np.sqrt(values) @ vectors.T
    inverse_root = vectors / np.sqrt(values) @ vectors.T
    n_occupied = orbitals.shape[1]
    basis, _ = np.linalg.qr(root @ orbitals, mode="complete")
    full = inverse_root @ basis
    occupied = full[:, :n_occupied]
    density = 2.0 * occupied @ occupied.T
    tagged = lib.tag_array(density, mo_coeff=occupied, mo_occ=np.full(n_occupied, 2.0))
    fock = method.get_hcore() + np.asarray(method.get_veff(dm=tagged))
    blocks = []
    energies = []
    for block in (occupied, full[:, n_occupied:]):
        energy, rotation = np.linalg.eigh(block.T @ fock @ block)
        blocks.append(block @ rotation)
        energies.append(energy)
    return blocks[0], blocks[1], np.concatenate(energies)


def rotate_back(
    orbitals: NDArray[np.float64],
    occupied: NDArray[np.float64],
    empty: NDArray[np.float64],
    mixing: NDArray[np.float64],
    method: Any,
) -> NDArray[np.float64]:
    """Response of the stored orbitals themselves, from that of the canonical ones."""
    rotation = occupied.T @ method.get_ovlp() @ orbitals
    return np.asarray(np.einsum("pa,xai,ij->xpj", empty, mixing, rotation, optimize=True))


@dataclass(frozen=True)
class RespondFrame:
    """Computes the field response of one stored frame."""

    numbers: NDArray[np.int64]
    charge: int
    level: Level
    settings: Response

    def __call__(self, row: Mapping[str, NDArray[np.float64]]) -> Values:
        """Return `polarizability` and `orbital_response`."""
        structure = Structure(self.numbers, row["positions"], charge=self.charge)
        response = compute_response(structure, row["orbitals"], self.level, self.settings)
        return {
            "polarizability": response.polarizability,
            "orbital_response": response.orbital_response,
        }


def add_response(
    path: str | Path,
    level: Level,
    settings: Response,
    executor: Executor,
    *,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[int, dict[int, str]]:
    """Add polarizability and orbital response to every frame that has none.

    Returns
    -------
    count : int
        Frames that were computed.
    failures : dict
        Frames whose response failed, with the reason; they stay without one.

    Raises
    ------
    MissingLabelError
        If the file has no orbitals.
    """
    frames = FrameFile.read(path, require=("orbitals",))
    n_basis, n_occupied = frames["orbitals"].shape[1:]
    shapes = {"polarizability": (3, 3), "orbital_response": (3, n_basis, n_occupied)}
    columns = {}
    for name, shape in shapes.items():
        columns[name] = np.full((len(frames), *shape), np.nan)
        if name in frames.columns:
            columns[name][:] = frames[name]
    todo = np.flatnonzero(np.isnan(columns["orbital_response"]).any(axis=(1, 2, 3)))
    if not len(todo):
        return 0, {}
    charge = int(frames.attributes.get("charge", 0))
    failures = fill_columns(
        frames,
        RespondFrame(frames.numbers, charge, level, settings),
        ("positions", "orbitals"),
        columns,
        todo,
        executor,
        {"response": asdict(settings)},
        on_progress,
    )
    return len(todo) - len(failures), failures
