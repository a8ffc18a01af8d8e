"""``densnet export``: a trained model as a bundle that drivers and calculators run."""

import argparse
import json
from pathlib import Path
from typing import Any

from densnet.cli.output import add_json_option, write_json

# Training frames of lowest energy from which the template is looked for; as a rule they are of
# several conformers.
TEMPLATE_STARTS = 8

HELP = """\
Write a trained model as a bundle: TorchScript with forces, dipole and density, a manifest with the
SHA-256 of every file, stored predictions that each load is checked against, and where the training
set lies, so that drivers can tell how far from it a frame is. The bundle is loaded and verified
before the command ends.

examples:
  densnet export runs/ethanol/model.ckpt --data ethanol.h5 --name ethanol --output ethanol-bundle
  densnet export model.ckpt --data ethanol.h5 ethanol_quantum.h5 --name ethanol --output bundle
  densnet export model.ckpt --data ethanol.h5 --name ethanol --output ethanol.zip \\
      --accuracy errors.json
  densnet export ethanol --data ethanol.h5 ethanol_quantum.h5 --name ethanol --output bundle

The last one writes a finished bundle again, as this version writes bundles.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the verb."""
    parser.add_argument("model", type=Path, help="model.ckpt of densnet train, or a bundle")
    parser.add_argument(
        "--data", type=Path, nargs="+", required=True, help="HDF5 files it was trained on"
    )
    parser.add_argument("--name", required=True, help="name of the model, for instance ethanol")
    parser.add_argument(
        "--output", type=Path, required=True, help="folder, or a file ending in .zip"
    )
    parser.add_argument(
        "--accuracy", type=Path, metavar="FILE", help="errors written by densnet evaluate --json"
    )
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """Export, then load what was written."""
    import hashlib

    import numpy as np
    from rich.console import Console

    from densnet.cli.networks import load_networks
    from densnet.data.coefficients import check_neutral
    from densnet.data.store import FrameFile
    from densnet.errors import InputError
    from densnet.export.bundle import Provenance, export_bundle
    from densnet.export.contents import DOMAIN, find_bundle, shipped_bundles
    from densnet.export.loading import load_model
    from ipi_driver.domain import FEWEST_FRAMES, fit_domain

    shipped = args.model.name in shipped_bundles() and not args.model.exists()
    model, basis = load_networks(find_bundle(args.model) if shipped else args.model)
    sets = [
        FrameFile.read(path, require=("energy",), select={"tag": "train"}) for path in args.data
    ]
    for frames in sets:
        check_neutral(frames)
        if not np.array_equal(frames.numbers, sets[0].numbers):
            raise InputError(
                f"{frames.path} holds another molecule than {sets[0].path}; a bundle has the "
                "template and the training set of one"
            )
    numbers = sets[0].numbers
    positions = np.concatenate([frames.positions for frames in sets])
    energy = np.concatenate([frames.energy for frames in sets])
    content = hashlib.sha256()
    for path in args.data:
        content.update(path.read_bytes())
    accuracy = {}
    if args.accuracy is not None:
        accuracy = read_accuracy(args.accuracy)
    provenance = Provenance(
        name=args.name,
        numbers=numbers,
        positions=positions[np.argsort(energy)[:TEMPLATE_STARTS]],
        level=sets[0].attributes.get("level", {}),
        training_sha256=content.hexdigest(),
        accuracy=accuracy,
    )
    attachments = {}
    if len(positions) < FEWEST_FRAMES:
        Console(stderr=True).print(
            f"{len(positions)} training frames are too few to say where the training set "
            "lies: drivers will not tell how far from it a frame is"
        )
    else:
        domain = fit_domain(numbers.tolist(), positions)
        attachments[DOMAIN] = domain.to_bytes()
    export_bundle(model, basis, provenance, args.output, attachments)
    loaded = load_model(args.output)
    size = sum(f.stat().st_size for f in [args.output, *args.output.glob("*")] if f.is_file())
    Console().print(f"{args.output}: verified, {size / 1e6:.1f} MB, SHA-256 {loaded.sha256}")
    write_json(args.json, {"output": args.output, "sha256": loaded.sha256, "bytes": size})
    return 0


def read_accuracy(path: Path) -> dict[str, Any]:
    """Return the errors that ``densnet evaluate --json`` wrote.

    Raises
    ------
    InputError
        If there is no such file, or it is another one.
    """
    from densnet.errors import InputError

    try:
        errors = json.loads(path.read_text(encoding="utf-8"))["errors"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"--accuracy {path} is not what densnet evaluate --json writes ({error!r})"
        ) from error
    return dict(errors)
