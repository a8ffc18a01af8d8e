"""Write an untrained NequIP, compiled ahead of time, for ``densnet bench model``.

``PREFIX-1.pt2`` and ``PREFIX-32.pt2`` are packages of AOTInductor for one structure and for all of
them in one call, for just these numbers of atoms and edges, which is the fastest that NequIP offers
on a processor; ``PREFIX-inputs.pt`` has what they take. They hold instructions of this machine.

Run it with a Python that has ``nequip`` (in an environment of its own) and with g++ at hand; the
files it writes need neither. A package takes a minute or two::

    python make_nequip.py ethanol.npz nequip

``ethanol.npz`` holds ``numbers`` (n_atoms,) and ``positions`` (n_batch, n_atoms, 3) in ångström;
``densnet bench model --write-structures`` makes it. Size: that of the authors' tutorial and of
``peers/nequip.yaml``, 4 layers, l_max 1, 32 features, r_max 5 Å; energy and forces.
"""

import argparse
from pathlib import Path

import ase
import numpy as np
import torch
from ase.data import chemical_symbols
from nequip.data import AtomicDataDict, from_ase
from nequip.data.transforms import ChemicalSpeciesToAtomTypeMapper, NeighborListTransform
from nequip.model import NequIPGNNModel
from nequip.scripts._compile_utils import COMPILE_TARGET_DICT
from nequip.utils.aot import aot_export_model
from nequip.utils.global_state import set_global_state

R_MAX = 5.0


def build(symbols: list[str]) -> torch.nn.Module:
    """Return NequIP for some elements, its weights at random."""
    return NequIPGNNModel(
        seed=0,
        model_dtype="float32",
        compile_mode="eager",
        type_names=symbols,
        r_max=R_MAX,
        num_bessels=8,
        polynomial_cutoff_p=6,
        num_layers=4,
        l_max=1,
        parity=False,
        num_features=32,
        radial_mlp_depth=2,
        radial_mlp_width=64,
        avg_num_neighbors=8.0,
        per_type_energy_scales=1.0,
        per_type_energy_shifts=0.0,
    )


def inputs(
    numbers: np.ndarray, positions: np.ndarray, symbols: list[str]
) -> dict[str, torch.Tensor]:
    """Return what NequIP's forward takes, for a batch of structures."""
    steps = [ChemicalSpeciesToAtomTypeMapper(symbols), NeighborListTransform(r_max=R_MAX)]
    frames = []
    for r in positions:
        frame = from_ase(ase.Atoms(numbers, r))
        for step in steps:
            frame = step(frame)
        frames.append(frame)
    return AtomicDataDict.batched_from_list(frames)


def main() -> None:
    """Write the packages and their inputs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("structures", type=Path)
    parser.add_argument("prefix")
    args = parser.parse_args()
    set_global_state(allow_tf32=False)
    stored = np.load(args.structures)
    numbers, positions = stored["numbers"], stored["positions"]
    symbols = [chemical_symbols[z] for z in sorted(set(numbers.tolist()))]
    static = dict.fromkeys(("graph", "node", "edge"), torch.export.Dim.STATIC)
    batches = {}
    for n, target in ((1, "ase"), (len(positions), "batch")):
        fields = COMPILE_TARGET_DICT[target]["input"]
        data = inputs(numbers, positions[:n], symbols)
        aot_export_model(
            model=build(symbols),
            device="cpu",
            input_fields=fields,
            output_fields=[AtomicDataDict.TOTAL_ENERGY_KEY, AtomicDataDict.FORCE_KEY],
            data=data,
            batch_map=static,
            output_path=f"{Path(args.prefix).resolve()}-{n}.pt2",
        )
        batches[n] = [data[name] for name in fields]
    torch.save(batches, f"{args.prefix}-inputs.pt")


if __name__ == "__main__":
    main()
