"""Frames with their response to a field, the loss of the response map, and its errors."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from densnet.basis import DensityBasis
from densnet.data.coefficients import check_basis, check_neutral
from densnet.data.store import FrameFile, Frames
from densnet.errors import InputError
from densnet.models import DensNet
from densnet.nn.graph import Graph
from densnet.training.frames import batch_graph
from densnet.training.metric import MetricWeights, loss_metric

RESPONSE_COLUMNS = ("polarizability", "coefficient_response")


@dataclass(frozen=True, eq=False)
class ResponseFrames:
    """Frames of one molecule on the training device.

    Parameters
    ----------
    species : (n_atoms,) int64
    positions : (n_frames, n_atoms, 3) float64, bohr
    polarizability : (n_frames, 3, 3) float64, bohr³
    response : (n_frames, 3, n_functions) float64
        ∂c/∂E for the three directions of the field.
    metric : (n_frames, n_functions, n_functions) float32
        Of the loss.
    cutoff : float, bohr
    """

    species: Tensor
    positions: Tensor
    polarizability: Tensor
    response: Tensor
    metric: Tensor
    cutoff: float

    def __len__(self) -> int:
        return len(self.positions)

    def batch(self, index: Tensor) -> "ResponseBatch":
        """Return the frames of an index, (n,) int64, as one batch."""
        positions = self.positions[index]
        return ResponseBatch(
            species=self.species.repeat(len(index)),
            positions=positions.reshape(-1, 3),
            graph=batch_graph(positions, self.cutoff),
            polarizability=self.polarizability[index],
            response=self.response[index],
            metric=self.metric[index],
        )


@dataclass(frozen=True, eq=False)
class ResponseBatch:
    """Some frames of one molecule, their atoms one after the other; targets as in the frames."""

    species: Tensor
    positions: Tensor
    graph: Graph
    polarizability: Tensor
    response: Tensor
    metric: Tensor

    def predict(self, model: DensNet) -> dict[str, Tensor]:
        """Return the model's response, as :meth:`DensNet.response` does."""
        graph = self.graph
        return model.response(
            self.positions,
            self.species,
            graph.receivers,
            graph.senders,
            graph.shifts,
            graph.structure,
            graph.n_structures,
        )

    def residual(self, output: dict[str, Tensor]) -> Tensor:
        """Return predicted minus reference coefficients, (n_structures, 3, n_functions) float64."""
        flat = output["coefficient_response"].view(3, self.graph.n_structures, -1)
        return flat.transpose(0, 1) - self.response

    def quadratic(self, output: dict[str, Tensor]) -> Tensor:
        """Return Σ_d Δc_dᵀMΔc_d of every frame, (n_structures,), d the directions of the field."""
        residual = self.residual(output).to(self.metric.dtype)
        return (torch.bmm(residual, self.metric) * residual).sum(dim=(1, 2))


def read_response_sets(paths: Iterable[Path], basis: DensityBasis, tag: str) -> list[Frames]:
    """Read the frames of one tag, each with its response in the model's basis.

    Raises
    ------
    MissingLabelError
        If a frame lacks its response.
    InputError
        If the responses were fitted in another basis, or are those of an ion.
    """
    sets = []
    for path in paths:
        frames = FrameFile.read(path, require=RESPONSE_COLUMNS, select={"tag": tag})
        check_basis(frames, basis)
        check_neutral(frames)
        sets.append(frames)
    return sets


def response_frames(
    frames: Frames,
    basis: DensityBasis,
    elements: tuple[int, ...],
    weights: MetricWeights,
    cutoff: float,
    device: torch.device,
) -> ResponseFrames:
    """Put frames on the device, with the quadratic form of the loss.

    Raises
    ------
    InputError
        If the model does not have one of the elements.
    """
    strangers = sorted(set(frames.numbers.tolist()) - set(elements))
    if strangers:
        raise InputError(
            f"{frames.path} holds atoms with Z = {strangers}; the initial model has only "
            f"Z = {list(elements)}"
        )

    def tensor(values: NDArray[np.float64]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float64)).to(device)

    return ResponseFrames(
        species=torch.tensor([elements.index(int(z)) for z in frames.numbers], device=device),
        positions=tensor(frames.positions),
        polarizability=tensor(frames.polarizability),
        response=tensor(frames["coefficient_response"]),
        metric=loss_metric(basis, frames.numbers, frames.positions, weights).to(device),
        cutoff=cutoff,
    )


def response_loss(model: DensNet, batch: ResponseBatch) -> Tensor:
    """Return the mean over frames of Σ_d Δc_dᵀMΔc_d; M holds Coulomb, overlap and dipole terms.

    The dipole of Δc_d is the error of a column of α, so M weighs |Δα|² too.
    """
    return batch.quadratic(batch.predict(model)).mean()


@dataclass(frozen=True)
class ResponseErrors:
    """Errors of the response on a set of frames.

    Parameters
    ----------
    response_coulomb : float
        √⟨Σ_d Δc_dᵀMΔc_d⟩ of the loss metric.
    polarizability_mae_bohr3 : float
        Mean over frames and all nine elements.
    polarizability_mae_percent : float
        The same in percent of the mean isotropic polarizability.
    isotropic_mae_bohr3 : float
        Of a third of the trace.
    asymmetry_bohr3 : float
        Mean antisymmetric element before symmetrising; zero for an exact response.
    """

    response_coulomb: float
    polarizability_mae_bohr3: float
    polarizability_mae_percent: float
    isotropic_mae_bohr3: float
    asymmetry_bohr3: float


@torch.no_grad()
def compute_response_errors(model: DensNet, batches: list[ResponseBatch]) -> ResponseErrors:
    """Measure the errors of a model's response on some batches."""
    alphas, references, asymmetries = [], [], []
    total = 0.0
    for batch in batches:
        output = batch.predict(model)
        total += float(batch.quadratic(output).sum())
        alphas.append(output["polarizability"])
        references.append(batch.polarizability)
        asymmetries.append(output["asymmetry"])
    reference = torch.cat(references)
    error = torch.cat(alphas) - reference
    trace = error.diagonal(dim1=1, dim2=2).mean(dim=1)
    mae = float(error.abs().mean())
    # Three of nine elements vanish identically.
    asymmetry = float(torch.cat(asymmetries).abs().mean()) * 1.5
    return ResponseErrors(
        response_coulomb=float(np.sqrt(total / len(reference))),
        polarizability_mae_bohr3=mae,
        polarizability_mae_percent=100.0 * mae / float(reference.diagonal(dim1=1, dim2=2).mean()),
        isotropic_mae_bohr3=float(trace.abs().mean()),
        asymmetry_bohr3=asymmetry,
    )
