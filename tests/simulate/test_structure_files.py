"""Structures as i-PI reads them, and checkpoints of single replicas."""

from pathlib import Path

import numpy as np
import pytest
from ipi.utils.io import read_file

from densnet.errors import DataError
from densnet.simulate.structure_files import checkpoint_step, split_checkpoint, write_xyz
from densnet.units import BOHR_ANGSTROM
from tests.ipi_driver.elastic_ethanol import POSITIONS, SYMBOLS

CHECKPOINT = """<simulation verbosity='low'>
 <output prefix='x'/>
 <step>1200</step>
 <system prefix='r00'><beads>1</beads></system>
 <system prefix='r01'><beads>2</beads></system>
</simulation>
"""


def test_ipi_reads_the_structure_in_bohr(tmp_path: Path) -> None:
    write_xyz(tmp_path / "init.xyz", SYMBOLS, POSITIONS, 50.0)
    with open(tmp_path / "init.xyz") as stream:
        frame = read_file("xyz", stream)
    np.testing.assert_allclose(frame["atoms"].q.reshape(-1, 3), POSITIONS, atol=1e-7)
    np.testing.assert_allclose(np.diag(frame["cell"].h), 50.0 / BOHR_ANGSTROM, rtol=1e-7)


def test_a_checkpoint_is_split_into_its_systems(tmp_path: Path) -> None:
    path = tmp_path / "RESTART"
    path.write_text(CHECKPOINT)
    assert checkpoint_step(path) == 1200
    targets = [tmp_path / "a", tmp_path / "b"]
    split_checkpoint(path, targets)
    assert "<beads>2</beads>" in targets[1].read_text()
    assert "<beads>1</beads>" not in targets[1].read_text()
    with pytest.raises(DataError, match="holds 2 systems, expected 1"):
        split_checkpoint(path, targets[:1])


def test_half_a_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "RESTART"
    path.write_text(CHECKPOINT[:80])
    with pytest.raises(DataError, match="not a whole i-PI checkpoint"):
        checkpoint_step(path)
