"""Starting structures: the xyz file of i-PI, and checkpoints of single replicas."""

import copy
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from densnet.errors import DataError
from densnet.units import BOHR_ANGSTROM


def write_xyz(
    path: Path,
    symbols: Sequence[str],
    positions: NDArray[np.float64],
    box_angstrom: float,
) -> None:
    """Write a structure as i-PI reads it: cell and units in the comment, else it is rejected.

    Parameters
    ----------
    path : Path
    symbols : n_atoms element symbols
    positions : (n_atoms, 3) float64, bohr
        Written in angstrom, so that any viewer shows the molecule.
    box_angstrom : float
        Edge of the cubic cell.
    """
    cell = f"{box_angstrom:.5f} " * 3 + "90.00000 90.00000 90.00000"
    lines = [
        str(len(symbols)),
        f"# CELL(abcABC): {cell} cell{{angstrom}} positions{{angstrom}}",
    ]
    for symbol, position in zip(symbols, positions * BOHR_ANGSTROM, strict=True):
        lines.append(f"{symbol:2s} " + " ".join(f"{x:20.14f}" for x in position))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def checkpoint_step(path: Path) -> int:
    """Number of finished steps in an i-PI checkpoint (RESTART).

    Raises
    ------
    DataError
        If the file is not a whole checkpoint.
    """
    step = _parse(path).findtext("step")
    try:
        return int(step) if step is not None else 0
    except ValueError as error:
        raise DataError(f"{path} has the step {step!r}") from error


def split_checkpoint(path: Path, targets: Sequence[Path]) -> None:
    """Write one checkpoint a system, from which i-PI can start a replica (``mode='chk'``).

    Parameters
    ----------
    path : Path
        The RESTART of a run with as many systems as there are targets.
    targets : sequence of Path
    """
    root = _parse(path)
    systems = root.findall("system")
    if len(systems) != len(targets):
        raise DataError(f"{path} holds {len(systems)} systems, expected {len(targets)}")
    for system, target in zip(systems, targets, strict=True):
        single = ElementTree.Element(root.tag, root.attrib)
        single.extend(copy.deepcopy(e) for e in root if e.tag not in ("system", "output"))
        single.append(copy.deepcopy(system))
        ElementTree.ElementTree(single).write(target, encoding="unicode")


def _parse(path: Path) -> ElementTree.Element:
    try:
        return ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise DataError(
            f"{path} is not a whole i-PI checkpoint ({error}); remove it and resume from the "
            "checkpoint before"
        ) from error
