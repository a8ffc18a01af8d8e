"""A whole training step of every stage, beside PyTorch's sum over edges and beside Adam.

Forward, loss (with forces where the stage has them), backward, clipping, optimiser and average of
the weights for batches of the shipped ethanol labels, with the networks and batch sizes of
``examples/01_ethanol/train.yaml``; the ways take turns, and each has a model of its own::

    compiled  densnet.nn.edge_sum, loops in cpp/convolution, and Muon for the matrices of weights
    PyTorch   the same sum by PyTorch's operations, as where the loops were not built
    Adam      the compiled sum, and Adam for all weights

    OMP_NUM_THREADS=1 python tests/benchmarks/training_step.py --json times.json
"""

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from unittest.mock import patch

import torch
from torch import nn

import densnet.training.epochs as epochs_module
from densnet.cli.bench_timing import interleaved
from densnet.cli.output import write_json
from densnet.configuration import load_yaml
from densnet.nn import edge_sum
from densnet.training.config import TrainingConfig
from densnet.training.epochs import Epochs
from densnet.training.run import TrainingRun
from densnet.training.stages import STAGES, StageLoss, trainable

CONFIGURATION = Path(__file__).parents[2] / "examples" / "01_ethanol" / "train.yaml"


def step(run: TrainingRun, stage: str) -> Callable[[], None]:
    """Return one step of a stage as a function; batches follow one another."""
    settings = getattr(run.config, stage)
    loss = StageLoss(stage, run.config.loss, run.force_scale)
    epochs = Epochs(
        stage,
        STAGES.index(stage),
        settings,
        seed=run.config.seed,
        frames=run.train,
        loss=lambda batch, noise: loss(run.model, batch, noise),
        parameters=trainable(run.model, stage),
        module=run.model,
        average=run.average,
        group=run.group,
    )
    order = torch.randperm(len(run.train[0]), generator=torch.Generator().manual_seed(1))
    batches = [p for p in order.split(settings.batch_size) if len(p) == settings.batch_size]
    steps = enumerate(cycle(batches))

    def call() -> None:
        number, index = next(steps)
        epochs.step(number, 0, index)

    return call


def by_pytorch(call: Callable[[], None]) -> Callable[[], None]:
    """Return the same step without the compiled loops."""

    def without() -> None:
        with patch.object(edge_sum, "compiled", lambda: None):
            call()

    return without


def only_adam(
    _: nn.Module, parameters: list[nn.Parameter], rate: float, __: float
) -> list[torch.optim.Optimizer]:
    """Return what a training with Adam for all weights would have."""
    return [torch.optim.Adam(parameters, lr=rate)]


def main() -> None:
    """Time and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=100, help="training frames that are read")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if edge_sum.compiled() is None:
        parser.error("the compiled sum over edges was not built; run densnet doctor")
    with tempfile.TemporaryDirectory() as folder:
        config = load_yaml(CONFIGURATION, TrainingConfig)
        data = tuple(CONFIGURATION.parent / path for path in config.data)
        config = replace(config, data=data, n_train=args.frames, output=Path(folder))
        calls: dict[str, Callable[[], None]] = {}
        for stage in STAGES:
            calls[f"{stage}, compiled"] = step(TrainingRun(config), stage)
            calls[f"{stage}, PyTorch"] = by_pytorch(step(TrainingRun(config), stage))
            with patch.object(epochs_module, "make_optimizers", only_adam):
                calls[f"{stage}, Adam"] = step(TrainingRun(config), stage)
        timings = interleaved(calls, args.seconds)
    print("ethanol, milliseconds of processor time a step, one thread; ratios to the first")
    print(
        f"{'stage':10}{'frames':>8}{'compiled':>11}{'PyTorch':>10}{'ratio':>8}{'Adam':>8}{'ratio':>8}"
    )
    report = {}
    for stage in STAGES:
        size = getattr(config, stage).batch_size
        one, other = timings[f"{stage}, compiled"], timings[f"{stage}, PyTorch"]
        adam = timings[f"{stage}, Adam"]
        ratios = other.cpu_ms / one.cpu_ms, adam.cpu_ms / one.cpu_ms
        print(
            f"{stage:10}{size:8d}{one.cpu_ms:11.1f}{other.cpu_ms:10.1f}{ratios[0]:8.2f}"
            f"{adam.cpu_ms:8.1f}{ratios[1]:8.2f}"
        )
        report[stage] = {
            "batch_size": size,
            "compiled": vars(one),
            "pytorch": vars(other),
            "adam": vars(adam),
            "pytorch_over_compiled": ratios[0],
            "adam_over_compiled": ratios[1],
        }
    write_json(args.json, report)


if __name__ == "__main__":
    main()
