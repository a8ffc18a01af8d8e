"""Write an untrained MACE-small for ``densnet bench model`` and ``driver_rate.py``.

``PREFIX.pt`` is TorchScript and ``PREFIX-inputs.pt`` ethanol, for a call; ``PREFIX.model`` is the
pickle that MACE's calculator, and so i-PI's driver, reads.

Run it with a Python that has ``mace-torch`` (which pins another e3nn than DenSNet, so it needs an
environment of its own); the files it writes need neither::

    python make_mace.py ethanol.npz mace-small

``ethanol.npz`` holds ``numbers`` (n_atoms,) and ``positions`` (n_batch, n_atoms, 3) in ångström;
``densnet bench model --write-structures`` makes it. Size: 64x0e, 2 interactions, max_ell 3,
correlation 3, 8 Bessel functions, r_max 5 Å, as MACE's own small models.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

# The e3nn that MACE pins loads its constants with a pickled slice.
torch.serialization.add_safe_globals([slice])

from e3nn import o3  # noqa: E402
from e3nn.util import jit  # noqa: E402
from mace import data, modules  # noqa: E402
from mace.tools import torch_geometric, utils  # noqa: E402

R_MAX = 5.0


def build(numbers: np.ndarray) -> torch.nn.Module:
    """Return MACE-small for the elements that occur."""
    elements = sorted(set(numbers.tolist()))
    residual = modules.interaction_classes["RealAgnosticResidualInteractionBlock"]
    return modules.ScaleShiftMACE(
        r_max=R_MAX,
        num_bessel=8,
        num_polynomial_cutoff=5,
        max_ell=3,
        interaction_cls=residual,
        interaction_cls_first=residual,
        num_interactions=2,
        num_elements=len(elements),
        hidden_irreps=o3.Irreps("64x0e"),
        MLP_irreps=o3.Irreps("16x0e"),
        atomic_energies=np.zeros(len(elements)),
        avg_num_neighbors=8.0,
        atomic_numbers=elements,
        correlation=3,
        gate=torch.nn.functional.silu,
        atomic_inter_scale=1.0,
        atomic_inter_shift=0.0,
        radial_MLP=[64, 64, 64],
    )


def inputs(numbers: np.ndarray, positions: np.ndarray) -> dict[str, torch.Tensor]:
    """Return the dictionary that MACE's forward takes, for a batch of structures."""
    table = utils.AtomicNumberTable(sorted(set(numbers.tolist())))
    configurations = [
        data.Configuration(
            atomic_numbers=numbers,
            positions=r,
            properties={},
            property_weights={},
            pbc=(False, False, False),
            cell=np.zeros((3, 3)),
        )
        for r in positions
    ]
    graphs = [data.AtomicData.from_config(c, z_table=table, cutoff=R_MAX) for c in configurations]
    loader = torch_geometric.dataloader.DataLoader(graphs, batch_size=len(graphs), shuffle=False)
    batch = next(iter(loader)).to_dict()
    return {name: value for name, value in batch.items() if isinstance(value, torch.Tensor)}


def main() -> None:
    """Write ``PREFIX.model``, ``PREFIX.pt`` and ``PREFIX-inputs.pt``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("structures", type=Path)
    parser.add_argument("prefix")
    args = parser.parse_args()
    torch.set_default_dtype(torch.float32)
    torch.manual_seed(0)
    stored = np.load(args.structures)
    numbers, positions = stored["numbers"], stored["positions"]
    model = build(numbers)
    torch.save(model, f"{args.prefix}.model")
    scripted = jit.script(model)
    torch.jit.save(scripted, f"{args.prefix}.pt")
    batches = {n: inputs(numbers, positions[:n]) for n in (1, len(positions))}
    torch.save(batches, f"{args.prefix}-inputs.pt")


if __name__ == "__main__":
    main()
