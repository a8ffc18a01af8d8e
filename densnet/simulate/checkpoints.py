"""Finds the checkpoint from which a stage can go on without losing a row.

i-PI writes a whole RESTART when it ends in order. When it is killed, the periodic checkpoints are
left; but rows that were still in its buffers are lost, also rows from before the last checkpoint.
So some are kept, and a stage goes on from the latest whose rows are all on disk.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from densnet.errors import DataError
from densnet.simulate.ipi_input import PREFIX
from densnet.simulate.manifest import Segment
from densnet.simulate.structure_files import checkpoint_step

KEPT = 3
TAIL_BYTES = 4096


def done_steps(directory: Path) -> int:
    """Steps of a stage that i-PI has finished in order, from its RESTART."""
    path = directory / "RESTART"
    try:
        return checkpoint_step(path) if path.is_file() else 0
    except DataError:
        return 0


def find_checkpoint(directory: Path, run: Path, segments: Sequence[Segment]) -> Path | None:
    """The latest state of a stage that no lost row precedes.

    Parameters
    ----------
    directory : Path
        Of the stage.
    run : Path
        The run directory.
    segments : sequence of Segment
        The trajectories of the stage.

    Returns
    -------
    Path or None
        None if the stage has to start from its beginning.
    """
    found: list[tuple[int, Path]] = []
    for path in (*periodic_checkpoints(directory), directory / "RESTART"):
        try:
            step = checkpoint_step(path) if path.is_file() else 0
        except DataError:
            # Cut off by the kill.
            continue
        if step and (path.name == "RESTART" or rows_reach(step, run, segments)):
            found.append((step, path))
    return max(found, key=lambda entry: entry[0])[1] if found else None


def periodic_checkpoints(directory: Path) -> list[Path]:
    """Those that i-PI writes while it runs, in order."""
    paths = directory.glob(f"{PREFIX}.checkpoint_*")
    return sorted(paths, key=lambda path: int(path.name.rpartition("_")[2]))


def prune_checkpoints(directory: Path, kept: int = KEPT) -> None:
    """Remove all but the latest."""
    paths = periodic_checkpoints(directory)
    for path in paths[: max(len(paths) - kept, 0)]:
        path.unlink(missing_ok=True)


def rows_reach(step: int, run: Path, segments: Sequence[Segment]) -> bool:
    """Whether every row up to a step is on disk."""
    for segment in segments:
        for names, stride in (
            (segment.dipole_files, segment.dipole_stride),
            (segment.position_files, segment.position_stride),
            (segment.velocity_files, segment.velocity_stride),
            (segment.centroid_files, segment.centroid_stride),
            (segment.polarizability_files, segment.polarizability_stride),
        ):
            for name in names:
                last = last_whole_step(run / name)
                if last is None or last < step - step % stride:
                    return False
    return True


def last_whole_step(path: Path) -> int | None:
    """Step of the last frame of an extras or xyz file that is certainly whole."""
    if not path.is_file():
        return None
    with open(path, "rb") as stream:
        stream.seek(0, 2)
        stream.seek(max(stream.tell() - TAIL_BYTES, 0))
        text = stream.read().decode("utf-8", "replace")
    headers = list(_steps(text))
    if not headers:
        return None
    # The frame behind the last header may be cut; extras of one row end with a newline.
    last_step, position = headers[-1]
    rows = text[position:].split("\n")[1:]
    whole = path.suffix != ".xyz" and len(rows) > 1
    if whole:
        return last_step
    return headers[-2][0] if len(headers) > 1 else None


def _steps(text: str) -> Iterator[tuple[int, int]]:
    """Steps in the header lines of a text, and where the lines begin."""
    position = 0
    for line in text.splitlines(keepends=True):
        _, found, rest = line.partition("Step:")
        if found and line.endswith("\n") and line.lstrip().startswith("#"):
            yield int(rest.split()[0]), position
        position += len(line)
