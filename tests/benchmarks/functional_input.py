"""Is the energy functional one of the density, or of what the network writes into its errors?

    python tests/benchmarks/functional_input.py ethanol --data examples/01_ethanol/ethanol.h5

The functional of each model evaluates frames four times: with the coefficients that the
model predicts, with those that the DFT density was fitted by, halfway, and with the predicted ones
without components of shells that an element does not have. A functional of the density would be
better with the second. One that has learned together with the density network may read from small
deviations what it needs, and then knows nothing of the density without them. The last must change
nothing: such components are part of no density, but models of earlier versions used them.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from densnet.cli.output import write_json
from densnet.data.store import FrameFile, Frames
from densnet.export.rebuild import rebuild_model
from densnet.models import DensNet
from densnet.nn.graph import complete_graph
from densnet.nn.precision import set_precision
from densnet.units import HARTREE_MEV

# Part of the way from the predicted coefficients to those of the DFT density.
STEPS = (0.0, 0.5, 1.0)
COLUMNS = {
    "predicted": "predicted density",
    "halfway": "halfway",
    "reference": "density of DFT",
    "present": "predicted, shells that exist",
}


def main() -> None:
    """Evaluate, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", help="names of shipped models, or bundles")
    parser.add_argument("--data", type=Path, required=True, help="HDF5 file of labelled frames")
    parser.add_argument("--tag", default="test", help="of the frames (default: test)")
    parser.add_argument("--temperature", type=float, default=300.0, help="of the frames")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    args = parser.parse_args()
    torch.set_num_threads(1)
    frames = FrameFile.read(
        args.data,
        require=("energy", "coefficients"),
        select={"tag": args.tag, "temperature": args.temperature},
    )
    table = Table(title=f"error of the energy, {len(frames)} frames at {args.temperature:g} K, meV")
    for column in ("model", *COLUMNS.values(), "scatter of the last two"):
        table.add_column(column, justify="left" if column == "model" else "right")
    report = {}
    for name in args.models:
        errors = HARTREE_MEV * energy_errors(name, frames)
        mean = np.abs(errors).mean(axis=0)
        report[name] = dict(zip(COLUMNS, mean.tolist(), strict=True))
        scatter = " | ".join(f"{value:.2f}" for value in errors[:, 2:].std(axis=0))
        table.add_row(name, *(f"{value:.2f}" for value in mean), scatter)
    Console().print(table)
    write_json(args.json, report)


@torch.no_grad()
def energy_errors(name: str, frames: Frames) -> NDArray[np.float64]:
    """Return errors (n_frames, n_columns) of the energy, hartree."""
    model, _ = rebuild_model(name)
    set_precision(model.double(), torch.float64)
    elements = np.asarray(model.config.elements)
    species = torch.from_numpy(np.searchsorted(elements, frames.numbers))
    return np.array(
        [
            np.array(energies(model, species, torch.from_numpy(r), torch.from_numpy(c))) - e
            for r, c, e in zip(frames.positions, frames["coefficients"], frames.energy, strict=True)
        ]
    )


def energies(
    model: DensNet, species: torch.Tensor, positions: torch.Tensor, reference: torch.Tensor
) -> list[float]:
    """Return the energy at every step from the predicted to the reference coefficients, and last
    that of the predicted ones without those of absent shells."""
    graph = complete_graph(len(species))
    vectors = model.vectors(positions, graph.receivers, graph.senders, graph.shifts)
    edges = model.edges(vectors, species, graph.receivers, graph.senders)
    one_hot = model.one_hot(species)
    components, charges = model.density_map(edges, species, one_hot)
    padded = model.coefficients(components, species, charges)
    missing = reference.double() - model.whitening.flatten(padded, species)
    way = model.whitening.components_of_difference(missing, species)
    whitening = model.whitening
    present = whitening.present[whitening.l_of_m][:, species]
    inputs = [*(components + step * way for step in STEPS), components * present]
    return [float(model.atomic_energies(x, edges, species, one_hot).sum()) for x in inputs]


if __name__ == "__main__":
    main()
