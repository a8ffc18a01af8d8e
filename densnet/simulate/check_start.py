"""A start structure beside what an i-PI input says of it."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from densnet.simulate.findings import Finding


def declared_elements(root: ElementTree.Element) -> list[str]:
    """Return the symbols that the <parameters> of a force field name, or none."""
    for parameters in root.iter("parameters"):
        found = re.search(r"elements\s*:([^,}]*)", parameters.text or "")
        if found:
            return found[1].split()
    return []


def check_start(path: Path, declared: list[str]) -> Iterator[Finding]:
    """Compare a start structure with what the input says of it: i-PI sends only coordinates.

    Parameters
    ----------
    path : Path
        An xyz file of i-PI.
    declared : list of str
        Symbols in order, or none where the input declares none.
    """
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    count = lines[0].strip() if lines else ""
    atoms = [line.split() for line in lines[2 : 2 + int(count)]] if count.isdigit() else []
    if not atoms or len(atoms) != int(count):
        yield Finding("wrong", "<file>", f"{path.name} is empty or not a whole xyz file")
        return
    if "CELL" not in lines[1]:
        yield Finding(
            "wrong",
            "<file>",
            f"{path.name} has no cell in its comment line; write "
            "`# CELL(abcABC): 50 50 50 90 90 90 cell{angstrom} positions{angstrom}`",
        )
    try:
        coordinates = np.array([[float(word) for word in atom[1:4]] for atom in atoms])
    except ValueError:
        coordinates = np.array(np.nan)
    if coordinates.shape != (len(atoms), 3) or not np.isfinite(coordinates).all():
        yield Finding("wrong", "<file>", f"{path.name} has coordinates that are no numbers")
    symbols = [atom[0] for atom in atoms if atom]
    if declared and symbols != declared:
        yield Finding(
            "wrong",
            "<file>",
            f"{path.name} has the atoms {' '.join(symbols)}, <parameters> say "
            f"{' '.join(declared)}; i-PI takes masses from the one and the model the elements from "
            "the other: order and elements must be the same",
        )
