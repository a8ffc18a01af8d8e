"""Start structures: read from any file of ASE, refused if they are not the model's molecule."""

from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms

from densnet.errors import InputError
from densnet.simulate.plan import Molecule, Settings, plan_stages
from densnet.simulate.starts import read_starts
from densnet.units import BOHR_ANGSTROM
from tests.ipi_driver.elastic_ethanol import NUMBERS, POSITIONS, SYMBOLS

MOLECULE = Molecule("elastic", "0" * 64, tuple(SYMBOLS), tuple(NUMBERS.tolist()), POSITIONS, 0)


def write(path: Path, *shifts: float, order: slice = slice(None), scale: float = 1.0) -> Path:
    """Write a structure for each shift of the last atom, bohr."""
    frames = []
    for shift in shifts:
        positions = POSITIONS.copy()
        positions[-1, 0] += shift
        frames.append(Atoms(NUMBERS[order], scale * BOHR_ANGSTROM * positions[order]))
    ase.io.write(path, frames)
    return path


def test_all_structures_of_all_files_are_read(tmp_path: Path) -> None:
    files = [write(tmp_path / "a.extxyz", 0.1, 0.2), write(tmp_path / "b.xyz", -0.1)]
    starts = read_starts(files, MOLECULE)
    moved = [start[-1, 0] - POSITIONS[-1, 0] for start in starts]
    np.testing.assert_allclose(moved, [0.1, 0.2, -0.1], atol=1e-6)


def test_other_molecules_orders_units_and_files_are_refused(tmp_path: Path) -> None:
    reversed_atoms = write(tmp_path / "reversed.xyz", 0.0, order=slice(None, None, -1))
    with pytest.raises(
        InputError, match=r"reversed.xyz, structure 1: the structure has the atoms .* in this ord"
    ):
        read_starts([reversed_atoms], MOLECULE)
    in_bohr = write(tmp_path / "bohr.xyz", 0.0, scale=1.0 / BOHR_ANGSTROM)
    with pytest.raises(InputError, match=r"bohr.xyz, structure 1: "):
        read_starts([in_bohr], MOLECULE)
    broken = write(tmp_path / "broken.extxyz", 0.0, 5.0)
    with pytest.raises(InputError, match=r"broken.extxyz, structure 2: "):
        read_starts([broken], MOLECULE)
    (tmp_path / "text.xyz").write_text("no structure\n")
    for path in (tmp_path / "text.xyz", tmp_path / "absent.xyz"):
        with pytest.raises(InputError, match=r"cannot read it as a geometry|no such geometry"):
            read_starts([path], MOLECULE)


def test_replicas_take_the_structures_in_turn() -> None:
    settings = Settings("elastic", replicas=5, processes=2, n_starts=2)
    groups = plan_stages(settings, MOLECULE, Path("run"))
    named = [name for stages in groups for name in stages[0].input.starts]
    assert named == [f"../start_0{k}.xyz" for k in (0, 1, 0, 1, 0)]
    assert not any(stages[1].input.starts for stages in groups)
    with pytest.raises(InputError, match="3 start structures for 2 replicas"):
        Settings("elastic", replicas=2, n_starts=3)
