from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from densnet.data.store import FrameFile, Frames
from densnet.data.writer import FrameWriter
from densnet.errors import DataError, InputError, MissingLabelError
from densnet.reference.kept_labels import kept_values
from densnet.reference.level import Level
from densnet.reference.run_label import LabelConfig, run_label
from densnet.reference.scf import Calculator
from densnet.structure import Structure

LEVEL = Level(xc="pbe", basis="sto-3g", auxiliary_basis="weigend", grid_level=1)


def run_with(folder: Path, water: Structure, keep: tuple[str, ...], **published: object) -> Frames:
    """Label one frame that comes with labels, and return the labelled frames."""
    with FrameWriter(folder / "frames.h5", water.numbers, {"charge": 0}) as writer:
        row = {"frame": 7, "positions": water.positions, "tag": "train", "temperature": 500.0}
        writer.append(row | {"trajectory": 0} | published)
    config = LabelConfig(folder / "frames.h5", folder / "labels.h5", LEVEL, keep=keep)
    with ThreadPoolExecutor(1) as executor:
        run_label(config, executor, n_workers=1)
    return FrameFile.read(folder / "labels.h5", require=("energy", "forces", "dipole"))


def test_published_energies_and_forces_take_the_place_of_computed_ones(
    tmp_path: Path, water: Structure
) -> None:
    own = Calculator(LEVEL).label(water)
    energy, forces = own.energy + 3e-4, own.forces * 1.001
    frames = run_with(tmp_path, water, ("energy", "forces"), energy=energy, forces=forces)
    assert frames.energy[0] == energy
    np.testing.assert_array_equal(frames.forces[0], forces)
    np.testing.assert_allclose(frames.dipole[0], own.dipole, atol=1e-9)
    assert frames.attributes["kept"] == ["energy", "forces"]


def test_what_comes_with_the_frames_is_not_kept_unasked(tmp_path: Path, water: Structure) -> None:
    own = Calculator(LEVEL).label(water)
    frames = run_with(tmp_path, water, (), energy=own.energy + 3e-4)
    assert frames.energy[0] == pytest.approx(own.energy, abs=1e-9)


@pytest.mark.parametrize("unit", [0.529177, 27.2114, 627.5095 / 0.529177])
def test_forces_in_another_unit_are_refused(tmp_path: Path, water: Structure, unit: float) -> None:
    forces = Calculator(LEVEL).label(water).forces * unit
    with pytest.raises(DataError, match="forces of frame 7 differs from what is computed"):
        run_with(tmp_path, water, ("forces",), forces=forces)


def test_forces_of_a_minimum_are_kept(water: Structure) -> None:
    """Two programs have their minima at slightly different places."""
    forces = np.full((1, 3, 3), 2e-4)
    columns = {"frame": np.array([7]), "forces": forces}
    frames = Frames(Path("frames.h5"), water.numbers, columns, {})
    kept = kept_values(frames, 0, ("forces",), {"forces": np.zeros((3, 3))})
    np.testing.assert_array_equal(kept["forces"], forces[0])


@pytest.mark.parametrize(
    ("keep", "published", "error", "message"),
    [
        (("dipole",), {"dipole": np.ones(3)}, InputError, "'dipole' cannot be kept"),
        (("energy",), {}, MissingLabelError, "has no energy"),
        (("energy",), {"energy": np.nan}, DataError, "energy of frame 7 is absent or not finite"),
    ],
)
def test_what_cannot_be_kept_is_refused_before_any_work(
    tmp_path: Path,
    water: Structure,
    keep: tuple[str, ...],
    published: dict[str, object],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        run_with(tmp_path, water, keep, **published)
