"""``densnet label``: Kohn–Sham labels for sampled frames, in parallel, resumable."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from densnet.cli.output import add_json_option, write_json
from densnet.configuration import load_yaml

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from densnet.reference.labelling import Progress
    from densnet.reference.run_label import LabelConfig

HELP = """\
Compute energy, forces, dipole and occupied orbitals of every frame with PySCF, and fit the density.
An interrupted or killed run goes on where it was when the same command is started again. A frame
whose SCF fails after every fallback is recorded and listed, never dropped.

examples:
  densnet label label.yaml --workers 2
  mpiexec -n 3 densnet label label.yaml       rank 0 writes, the others compute
  densnet label label.yaml --retry-failed     try the recorded failures again

Changing `fit` in the configuration fits the densities again from the stored orbitals; adding
`response: {}` adds polarizabilities and field responses to it. Nothing is labelled twice.

exit status: 0 if every frame has a label, 1 if some failed
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the verb."""
    parser.add_argument("config", type=Path, help="YAML file: frames, output, level, fit")
    parser.add_argument("--workers", type=int, default=1, help="processes (default 1)")
    parser.add_argument(
        "--retry-failed", action="store_true", help="compute frames again that failed before"
    )
    parser.add_argument(
        "--compact",
        type=Path,
        metavar="FILE",
        help="also write a small copy: float32 coefficients and forces, orbitals of test frames",
    )
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """Label over MPI ranks if mpiexec started several, else over worker processes."""
    from densnet.errors import InputError
    from densnet.reference.labelling import mpi_executor, mpi_ranks, process_executor
    from densnet.reference.run_label import LabelConfig

    if args.workers < 1:
        raise InputError(f"--workers must be at least 1, got {args.workers}")
    config = load_yaml(args.config, LabelConfig)
    if args.compact is not None:
        for role, path in (("output", config.output), ("frames", config.frames)):
            if args.compact.resolve() == path.resolve():
                raise InputError(
                    f"--compact {args.compact} is the {role} of {args.config}, which a compact "
                    "copy would replace and lose orbitals of; give the copy another name"
                )
    ranks = mpi_ranks()
    if ranks == 1:
        with process_executor(args.workers) as executor:
            return label(args, config, executor, args.workers)
    with mpi_executor() as executor:
        if executor is None:
            return 0
        return label(args, config, executor, ranks - 1)


def label(
    args: argparse.Namespace, config: "LabelConfig", executor: "Executor", n_workers: int
) -> int:
    """Run, with a progress bar, and print what the file holds."""
    from rich.console import Console

    from densnet.cli.progress import frame_progress
    from densnet.data.compact import write_compact_copy
    from densnet.data.store import FrameFile
    from densnet.data.summary import count_frames, format_table, summarize
    from densnet.reference.run_label import run_label

    console = Console(soft_wrap=True)
    with frame_progress("labels") as bar:
        labelling = bar.add_task("labels", total=None, note="")
        responding = bar.add_task("responses", total=None, visible=False, note="field response")
        fitting = bar.add_task("fits", total=None, visible=False, note="density fit")

        def on_label(state: "Progress") -> None:
            note = f"{state.failed} failed" if state.failed else ""
            bar.update(labelling, completed=state.done, total=state.total, note=note)

        def on_response(done: int, total: int) -> None:
            bar.update(responding, completed=done, total=total, visible=True)

        def on_fit(done: int, total: int) -> None:
            bar.update(fitting, completed=done, total=total, visible=True)

        report = run_label(
            config,
            executor,
            n_workers=n_workers,
            retry_failed=args.retry_failed,
            on_label=on_label,
            on_response=on_response,
            on_fit=on_fit,
        )
    for frame, reason in sorted(report.failures.items()):
        console.print(f"frame {frame} failed: {reason}", markup=False)
    payload: dict[str, object] = {"output": config.output, "report": report}
    if report.n_frames:
        frames = FrameFile.read(config.output)
        console.print(f"{config.output}: {len(frames)} frames", markup=False)
        console.print(format_table(frames), markup=False, highlight=False)
        payload |= {"columns": summarize(frames), "frames": count_frames(frames)}
    if args.compact is not None:
        names = ["source", "energy", "forces", "dipole", "orbitals"]
        names += ["coefficients"] if config.fit is not None else []
        names += ["polarizability"] if config.response is not None else []
        if config.response is not None and config.fit is not None:
            names.append("coefficient_response")
        # The orbitals of the test frames stay: a predicted density is judged by the unfitted one.
        payload["compact_bytes"] = write_compact_copy(
            config.output, args.compact, names, only_tag={"orbitals": "test"}
        )
        console.print(f"{args.compact}: {payload['compact_bytes']} bytes", markup=False)
    write_json(args.json, payload)
    return 1 if report.failures else 0
