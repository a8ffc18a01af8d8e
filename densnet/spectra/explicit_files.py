"""Trajectory files named one by one, put together to segments."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from densnet.errors import InputError
from densnet.spectra.signals import SegmentFiles

# i-PI ends the name of a bead's file with the bead's number: run.dipole_07, run.vc_07.xyz.
BEAD = re.compile(r"^(?P<stem>.+)_\d+(?P<suffix>\.xyz)?$")


def group_files(
    files: Mapping[str, Sequence[Path]],
    *,
    timestep_fs: float,
    temperature_kelvin: float,
    independent: bool = False,
) -> list[SegmentFiles]:
    """Group files of one or several quantities into segments.

    Files that differ only in the bead number at the end of their name are the beads of one
    segment; everything else is an independent segment. The segments of several quantities are
    paired in the order in which they are given.

    Parameters
    ----------
    files : mapping of quantity → paths
    timestep_fs : float
        Simulation step; the steps between rows are read from the files.
    temperature_kelvin : float
    independent : bool
        Every file is a segment of its own, whatever its name.

    Returns
    -------
    list of SegmentFiles

    Raises
    ------
    InputError
        If the quantities have different numbers of segments, or of beads in a segment.
    """
    grouped = {
        quantity: [[path] for path in paths] if independent else group_beads(paths)
        for quantity, paths in files.items()
        if paths
    }
    if not grouped:
        raise InputError("no trajectory files were given")
    first = next(iter(grouped))
    for quantity, segments in grouped.items():
        if len(segments) != len(grouped[first]):
            raise InputError(
                f"{len(segments)} segment(s) of {quantity} but {len(grouped[first])} of {first}: "
                "give the files of every segment, in the same order"
            )
    return [
        SegmentFiles(
            name=str(grouped[first][index][0]),
            temperature_kelvin=temperature_kelvin,
            timestep_fs=timestep_fs,
            files={quantity: tuple(segments[index]) for quantity, segments in grouped.items()},
        )
        for index in range(len(grouped[first]))
    ]


def group_beads(paths: Sequence[Path]) -> list[list[Path]]:
    """Put files together that differ only in the number of the bead, each group in its order."""
    stems: dict[str, list[Path]] = {}
    for path in paths:
        bead = BEAD.match(path.name)
        stem = f"{path.parent}/{bead['stem']}{bead['suffix'] or ''}" if bead else str(path)
        stems.setdefault(stem, []).append(path)
    return [sorted(group) for group in stems.values()]
