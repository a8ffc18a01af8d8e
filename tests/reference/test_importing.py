from pathlib import Path

import numpy as np
import pytest

from densnet.data.store import FrameFile
from densnet.data.writer import FrameWriter
from densnet.errors import DataError, InputError
from densnet.reference.importing import import_npz
from densnet.reference.labelling import level_attributes
from densnet.reference.level import Level
from densnet.reference.method import build_molecule
from densnet.structure import Structure
from tests.reference.conftest import FRAMES
from tests.tolerances import SINGLE_DENSITY_DIPOLE

LEVEL = Level()


@pytest.fixture
def writer(tmp_path: Path, ethanol_frames):
    """Return an open writer of ethanol frames."""
    attributes = level_attributes(LEVEL, 0)
    with FrameWriter(tmp_path / "e.h5", ethanol_frames["Z"], attributes) as opened:
        yield opened


def test_labels_and_provenance_are_kept(writer, ethanol_frames) -> None:
    assert import_npz(FRAMES, writer, LEVEL, tag="train") == 2
    writer.commit()
    frames = FrameFile.read(writer.path, require=("energy", "forces", "dipole", "orbitals"))
    assert np.array_equal(frames.energy, ethanol_frames["E"])
    assert np.array_equal(frames.forces, ethanol_frames["F"])
    assert frames.temperature.tolist() == ethanol_frames["temperature"].tolist()
    assert frames["source"].astype("U").tolist() == ["ethanol_two_frames.npz"] * 2
    assert frames["trajectory"].tolist() == [-1, -1]


def test_orbitals_of_a_stored_density_matrix_give_its_dipole(writer, ethanol_frames) -> None:
    import_npz(FRAMES, writer, LEVEL, tag="train")
    writer.commit()
    frames = FrameFile.read(writer.path)
    for i in range(2):
        mol = build_molecule(Structure(frames.numbers, frames.positions[i]), LEVEL)
        density = 2.0 * frames["orbitals"][i] @ frames["orbitals"][i].T
        electrons = np.einsum("xmn,mn->x", mol.intor("int1e_r"), density)
        dipole = frames.numbers @ frames.positions[i] - electrons
        assert np.abs(dipole - ethanol_frames["mu"][i]).max() < SINGLE_DENSITY_DIPOLE
        rows, columns = np.tril_indices(len(density))
        assert np.abs(density[rows, columns] - ethanol_frames["D"][i]).max() < 1e-5


def test_importing_again_adds_nothing_and_another_source_gets_its_own_numbers(
    writer, ethanol_frames, tmp_path: Path
) -> None:
    import_npz(FRAMES, writer, LEVEL, tag="train")
    assert import_npz(FRAMES, writer, LEVEL, tag="train") == 0
    other = tmp_path / "other.npz"
    np.savez(other, Z=ethanol_frames["Z"], R=ethanol_frames["R"][:1] + 0.01)
    assert import_npz(other, writer, LEVEL, tag="test") == 1
    assert sorted(writer.frames) == [100000, 100001, 200000]


def test_another_atom_order_is_refused(writer, ethanol_frames, tmp_path: Path) -> None:
    order = np.array([2, 0, 1, 3, 4, 5, 6, 7, 8])
    path = tmp_path / "p.npz"
    np.savez(path, Z=ethanol_frames["Z"][order], R=ethanol_frames["R"][:, order])
    with pytest.raises(InputError, match="the order must agree too"):
        import_npz(path, writer, LEVEL, tag="train")


def test_a_density_matrix_of_another_geometry_is_refused(
    writer, ethanol_frames, tmp_path: Path
) -> None:
    path = tmp_path / "p.npz"
    swapped = {**ethanol_frames, "D": ethanol_frames["D"][::-1]}
    np.savez(path, **swapped)
    with pytest.raises(DataError, match="not a closed-shell density matrix"):
        import_npz(path, writer, LEVEL, tag="train")


def test_a_density_matrix_of_another_basis_is_refused(
    writer, ethanol_frames, tmp_path: Path
) -> None:
    path = tmp_path / "p.npz"
    np.savez(path, **{**ethanol_frames, "D": ethanol_frames["D"][:, :100]})
    with pytest.raises(DataError, match="aug-cc-pvdz has 123 functions and needs 7626"):
        import_npz(path, writer, LEVEL, tag="train")


def test_unreadable_or_incomplete_files_are_refused(writer, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        import_npz(tmp_path / "absent.npz", writer, LEVEL, tag="train")
    (tmp_path / "text.npz").write_text("text")
    with pytest.raises(DataError, match="not a readable npz"):
        import_npz(tmp_path / "text.npz", writer, LEVEL, tag="train")
    np.savez(tmp_path / "empty.npz", E=np.zeros(2))
    with pytest.raises(DataError, match="no array Z"):
        import_npz(tmp_path / "empty.npz", writer, LEVEL, tag="train")
