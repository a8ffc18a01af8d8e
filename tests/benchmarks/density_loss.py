"""The density loss of a training batch: what the kernel saves, and what it leaves of the step.

Value and gradient with respect to the coefficients for batches of frames of the shipped ethanol
labels, four ways in turns, then the whole training step (density stage, shipped configuration) with
each of them::

    libcint   J and S of every frame of the batch by libcint (hermi=1), quadratic form in torch
    kernel    the same with J and S by the kernel, one call each for the batch
    fused     the kernel's fused forms, no matrix (training beyond STORED_BYTES)
    stored    matrices made once and kept (training below)

    python tests/benchmarks/density_loss.py --json times.json
"""

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path

import numpy as np
import torch

from densnet.basis import DensityBasis
from densnet.cli.bench_timing import interleaved
from densnet.cli.output import write_json
from densnet.configuration import load_yaml
from densnet.integrals import coulomb_metric, overlap
from densnet.reference import libcint
from densnet.training.config import TrainingConfig
from densnet.training.losses import density_loss
from densnet.training.metric import DipoleRows, FusedMetric, MetricWeights, StoredMetric
from densnet.training.run import TrainingRun
from densnet.training.stages import StageLoss, trainable

CONFIGURATION = Path(__file__).parents[2] / "examples" / "01_ethanol" / "train.yaml"
Maker = Callable[[torch.Tensor], StoredMetric | FusedMetric]


@dataclass(frozen=True)
class MadeForEveryBatch:
    """Stands for the metric of all frames; that of a batch is made when it is asked for."""

    make: Maker

    def __getitem__(self, index: torch.Tensor) -> StoredMetric | FusedMetric:
        return self.make(index)


def assembled(j: np.ndarray, s: np.ndarray, fused: FusedMetric) -> StoredMetric:
    """Return the metric of a batch from its J and S."""
    rows = fused.dipole.rows(fused.positions)
    dipole = np.einsum("bxi,bxj->bij", rows, rows, optimize=True)
    weights, n_electrons = fused.weights, float(np.sum(fused.numbers))
    metric = j / n_electrons + weights.overlap * s + weights.dipole * dipole
    return StoredMetric(torch.from_numpy(metric).float())


def makers(basis: DensityBasis, run: TrainingRun, weights: MetricWeights) -> dict[str, Maker]:
    """Return the four ways from the index of a batch to its metric."""
    frames = run.train[0]
    dipole = DipoleRows.of(basis, frames.numbers)
    whole = FusedMetric(basis, frames.numbers, frames.positions.numpy(), weights, dipole)
    mole = libcint.mole_of(basis, frames.numbers, whole.positions[0])

    def by_libcint(index: torch.Tensor) -> StoredMetric:
        batch = whole[index]
        matrices = []
        for r in batch.positions:
            mole.set_geom_(r, unit="bohr")
            matrices.append([libcint.metric_matrix(m, mole) for m in ("coulomb", "overlap")])
        j, s = np.array(matrices).transpose(1, 0, 2, 3)
        return assembled(j, s, batch)

    def by_kernel(index: torch.Tensor) -> StoredMetric:
        batch = whole[index]
        arguments = (basis, batch.numbers, batch.positions)
        return assembled(coulomb_metric(*arguments), overlap(*arguments), batch)

    stored = frames.metric
    assert isinstance(stored, StoredMetric)
    return {
        "libcint": by_libcint,
        "kernel": by_kernel,
        "fused": whole.__getitem__,
        "stored": stored.__getitem__,
    }


def calls(run: TrainingRun, ways: dict[str, Maker], batch_size: int) -> dict[str, Callable]:
    """Return loss and whole step of one batch, each way, under names like "libcint, loss"."""
    loss = StageLoss("density", run.config.loss, run.force_scale)
    parameters = trainable(run.model, "density")
    noise = torch.Generator()
    frames = run.train[0]
    coefficients = frames.coefficients.float()
    order = torch.randperm(len(frames), generator=torch.Generator().manual_seed(1))
    indices = cycle(part for part in order.split(batch_size) if len(part) == batch_size)

    def loss_of(way: Maker) -> None:
        index = next(indices)
        residual = coefficients[index].requires_grad_()
        density_loss(residual, way(index)).backward()

    def step_of(way: Maker) -> None:
        batch = replace(frames, metric=MadeForEveryBatch(way)).batch(next(indices))
        for parameter in parameters:
            parameter.grad = None
        loss(run.model, batch, noise).backward()

    result: dict[str, Callable] = {}
    for name, way in ways.items():
        result[f"{name}, loss"] = lambda way=way: loss_of(way)
        result[f"{name}, step"] = lambda way=way: step_of(way)
    return result


def main() -> None:
    """Time and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=200, help="training frames that are read")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        config = load_yaml(CONFIGURATION, TrainingConfig)
        data = tuple(CONFIGURATION.parent / path for path in config.data)
        config = replace(config, data=data, n_train=args.frames, output=Path(folder))
        run = TrainingRun(config)
        batch_size = config.density.batch_size
        weights = MetricWeights(config.loss.overlap, config.loss.dipole)
        timings = interleaved(calls(run, makers(run.basis, run, weights), batch_size), args.seconds)
    print(f"{batch_size} frames of ethanol, {run.basis.name}, milliseconds a batch, one thread")
    print(f"{'':16}{'elapsed':>10}{'processor':>12}")
    for name, timing in timings.items():
        print(f"{name:16}{timing.wall_ms:10.2f}{timing.cpu_ms:12.2f}")
    write_json(args.json, {name: vars(timing) for name, timing in timings.items()})


if __name__ == "__main__":
    main()
