"""The quadratic form of the density loss, Δcᵀ(J/N_e + w_S S + w_μ DᵀD)Δc, by the C++ kernel.

Geometries and exponents do not change while a model is trained, so as long as they fit, the
matrices of all frames are made once and kept. Otherwise the kernel's fused forms give value and
gradient batch by batch, and no matrix is ever built: a little slower, and no memory.
tests/benchmarks/density_loss.py measures both, beside metrics made by libcint for every batch.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from densnet.basis import DensityBasis
from densnet.density import moment_rows
from densnet.integrals import coulomb_metric, overlap
from densnet.integrals.autograd import quadratic_form

# Matrices of one set of frames beyond this size are not kept: 2000 frames of 738 functions.
STORED_BYTES = 4 * 1024**3


@dataclass(frozen=True)
class MetricWeights:
    """The density loss Δcᵀ(J/N_e + w_S S + w_μ DᵀD)Δc; D gives the dipole of Δc."""

    overlap: float
    dipole: float


@dataclass(frozen=True, eq=False)
class StoredMetric:
    """Matrices of some frames.

    Parameters
    ----------
    matrices : (n_frames, n_functions, n_functions) float32
    """

    matrices: Tensor

    def __getitem__(self, index: Tensor) -> "StoredMetric":
        """Return the metric of the frames of an index, (n,) int64."""
        return StoredMetric(self.matrices[index])

    def quadratic(self, residual: Tensor) -> Tensor:
        """Return ΔcᵀMΔc of every frame, (n_frames,), from Δc, (n_frames, n_functions)."""
        residual = residual.to(self.matrices.dtype)
        fixed = residual.detach()
        # Rows times matrices: the same from the right takes ten times as long. M is symmetric, so
        # that the gradient 2MΔc needs no second product.
        weighted = torch.bmm(fixed.unsqueeze(1), self.matrices).squeeze(1)
        return (weighted * (2.0 * residual - fixed)).sum(dim=1)


@dataclass(frozen=True, eq=False)
class FusedMetric:
    """What the kernel's fused forms need of some frames; they compute on the CPU in float64.

    Parameters
    ----------
    basis : DensityBasis
    numbers : (n_atoms,) int64
    positions : (n_frames, n_atoms, 3) float64, bohr
    weights : MetricWeights
    dipole : DipoleRows
    """

    basis: DensityBasis
    numbers: NDArray[np.int64]
    positions: NDArray[np.float64]
    weights: MetricWeights
    dipole: "DipoleRows"

    def __getitem__(self, index: Tensor) -> "FusedMetric":
        """Return the metric of the frames of an index, (n,) int64."""
        return replace(self, positions=self.positions[index.cpu().numpy()])

    def quadratic(self, residual: Tensor) -> Tensor:
        """Return ΔcᵀMΔc of every frame, (n_frames,), from Δc, (n_frames, n_functions)."""
        z, r = torch.from_numpy(self.numbers), torch.from_numpy(self.positions)
        rows = torch.from_numpy(self.dipole.rows(self.positions)).to(residual)
        dipole = (rows * residual.unsqueeze(1)).sum(dim=2)
        total = self.weights.dipole * torch.square(dipole).sum(dim=1)
        factors = {"coulomb": 1.0 / float(np.sum(self.numbers)), "overlap": self.weights.overlap}
        for metric, factor in factors.items():
            if factor != 0.0:
                form = quadratic_form(
                    metric, self.basis, z, r, residual, n_threads=torch.get_num_threads()
                )
                total = total + factor * form
        return total


@dataclass(frozen=True, eq=False)
class DipoleRows:
    """D, with D c the dipole of Σ_i c_i φ_i about the mean of the nuclei.

    Parameters
    ----------
    own : (3, n_functions) float64, e·bohr
        Dipoles of the functions about their atoms.
    monopole : (n_functions,) float64
    atom : (n_functions,) int64
    """

    own: NDArray[np.float64]
    monopole: NDArray[np.float64]
    atom: NDArray[np.int64]

    @classmethod
    def of(cls, basis: DensityBasis, numbers: NDArray[np.int64]) -> "DipoleRows":
        """Collect what does not depend on the geometry."""
        moments = moment_rows(basis, numbers, np.zeros((len(numbers), 3)))
        return cls(moments[1:], moments[0], basis.layout(numbers).atom)

    def rows(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return D of every frame, (n_frames, 3, n_functions), from (n_frames, n_atoms, 3)."""
        centred = (positions - positions.mean(axis=1, keepdims=True)).transpose(0, 2, 1)
        return self.own + self.monopole * centred[:, :, self.atom]


def metric_of_frames(
    basis: DensityBasis,
    numbers: NDArray[np.int64],
    positions: NDArray[np.float64],
    weights: MetricWeights,
    device: torch.device,
) -> StoredMetric | FusedMetric:
    """Return the metric of all frames: stored on the device, or fused where that is too large."""
    size = 4 * len(positions) * basis.n_functions(numbers) ** 2
    if size > STORED_BYTES:
        return FusedMetric(basis, numbers, positions, weights, DipoleRows.of(basis, numbers))
    return StoredMetric(loss_metric(basis, numbers, positions, weights).to(device))


def loss_metric(
    basis: DensityBasis,
    numbers: NDArray[np.int64],
    positions: NDArray[np.float64],
    weights: MetricWeights,
) -> Tensor:
    """Return J/N_e + w_S S + w_μ DᵀD of every frame, (n_frames, n_functions, n_functions) float32.

    Every term of the density loss is quadratic in Δc, so all of them are one matrix a frame.
    """
    n = basis.n_functions(numbers)
    n_electrons = float(np.sum(numbers))
    result = torch.empty(len(positions), n, n, dtype=torch.float32)
    for k, rows in enumerate(DipoleRows.of(basis, numbers).rows(positions)):
        metric = coulomb_metric(basis, numbers, positions[k]) / n_electrons
        metric += weights.overlap * overlap(basis, numbers, positions[k])
        metric += weights.dipole * rows.T @ rows
        result[k] = torch.from_numpy(metric)
    return result
