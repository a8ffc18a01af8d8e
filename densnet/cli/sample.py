"""``densnet sample``: starting geometries from GFN2-xTB Langevin dynamics."""

import argparse
from pathlib import Path

from densnet.cli.output import add_json_option, write_json
from densnet.configuration import load_yaml

HELP = """\
Draw geometries from GFN2-xTB Langevin dynamics at several temperatures, with every conformer
(one well of each torsion) equally represented, and write them to a file of frames for densnet
label. A group with `beads: 32` is of quantum nuclei: beads of path-integral dynamics (i-PI,
GFN2-xTB), which a model that is to drive path integrals must have seen; `spread: 1.3` pushes them
from their centroid. A group with `trajectories: PATTERN` is drawn from xyz files of an i-PI run
instead, e.g. with a first model: frames that correct it where its own dynamics goes.

examples:
  densnet sample sample.yaml
  densnet sample sample.yaml --workers 2

The result does not depend on the number of workers. Started again after an interruption, the run
keeps the groups that were finished.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the verb."""
    parser.add_argument("config", type=Path, help="YAML file: geometry, groups, dynamics")
    parser.add_argument("--workers", type=int, default=1, help="processes (default 1)")
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """Sample, with a progress bar over the frames."""
    from rich.console import Console
    from rich.table import Table

    from densnet.cli.progress import frame_progress
    from densnet.data.summary import count_frames
    from densnet.errors import InputError
    from densnet.reference.labelling import process_executor
    from densnet.reference.run_sample import SampleConfig, run_sample

    if args.workers < 1:
        raise InputError(f"--workers must be at least 1, got {args.workers}")
    config = load_yaml(args.config, SampleConfig)
    total = sum(group.n_frames for group in config.groups)
    with process_executor(args.workers) as executor, frame_progress("sampling") as progress:
        task = progress.add_task("sampling", total=total, note="")
        frames = run_sample(
            config,
            executor,
            n_workers=args.workers,
            on_frame=lambda done: progress.update(task, completed=done),
        )
    counts = count_frames(frames)
    table = Table("tag", "temperature (K)", "frames", "trajectories", title=str(config.output))
    for row in counts:
        table.add_row(
            row.tag, f"{row.temperature_kelvin:g}", str(row.n_frames), str(row.n_trajectories)
        )
    Console().print(table)
    write_json(args.json, {"output": config.output, "frames": counts})
    return 0
