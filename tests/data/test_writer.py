import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from densnet.data.store import FrameFile
from densnet.data.writer import FrameWriter
from densnet.errors import InputError

WATER = np.array([8, 1, 1])


def test_frames_are_read_back_as_they_were_written(tmp_path, row) -> None:
    rows = [row(i) for i in range(5)]
    with FrameWriter(tmp_path / "f.h5", WATER, {"level": {"xc": "pbe"}}) as writer:
        for values in rows:
            writer.append(values)
    frames = FrameFile.read(tmp_path / "f.h5", require=("energy", "forces", "dipole"))
    assert frames.attributes["level"] == {"xc": "pbe"}
    assert np.array_equal(frames.numbers, WATER)
    for name in ("positions", "forces", "dipole", "energy", "temperature", "trajectory"):
        assert np.array_equal(frames[name], np.array([values[name] for values in rows]))
    assert frames.tag.tolist() == [values["tag"] for values in rows]


def test_every_column_states_its_unit(tmp_path, row) -> None:
    with FrameWriter(tmp_path / "f.h5", WATER, {}) as writer:
        writer.append(row(0))
    with h5py.File(tmp_path / "f.h5") as file:
        assert file["forces"].attrs["unit"] == "hartree/bohr"
        assert file["dipole"].attrs["unit"] == "e*bohr"
        assert file["positions"].attrs["unit"] == "bohr"


def test_a_frame_cannot_be_written_twice(tmp_path, row) -> None:
    with FrameWriter(tmp_path / "f.h5", WATER, {}) as writer:
        writer.append(row(3))
        with pytest.raises(InputError, match="frame 3 is already there"):
            writer.append(row(3))


def test_the_file_is_whole_and_readable_while_it_grows(tmp_path, row) -> None:
    with FrameWriter(tmp_path / "f.h5", WATER, {}, commit_every=4) as writer:
        for i in range(9):
            writer.append(row(i))
            if i == 8:
                assert len(FrameFile.read(tmp_path / "f.h5")) == 8
    assert len(FrameFile.read(tmp_path / "f.h5")) == 9


def test_frames_left_in_the_journal_are_merged_by_the_next_writer(tmp_path, row) -> None:
    writer = FrameWriter(tmp_path / "f.h5", WATER, {}, commit_every=100)
    for i in range(3):
        writer.append(row(i))
    writer.record_failure(5, "no convergence")
    writer.journal.close()  # as the kernel does when a process is killed
    with FrameWriter(tmp_path / "f.h5", WATER, {}) as again:
        assert again.frames == {0, 1, 2}
        assert again.failures == {5: "no convergence"}
    assert FrameFile.read(tmp_path / "f.h5")["frame"].tolist() == [0, 1, 2]
    assert FrameFile.failures(tmp_path / "f.h5") == {5: "no convergence"}


def test_an_append_that_an_exception_interrupts_after_the_write_is_kept(tmp_path, row) -> None:
    path = tmp_path / "f.h5"
    with FrameWriter(path, WATER, {}, commit_every=100) as writer:
        writer.append(row(0))
        # What another frame leaves in the file, without the writer having taken note of it.
        other = FrameWriter(tmp_path / "other.h5", WATER, {}, commit_every=100)
        other.append(row(1))
        with open(writer.journal.path, "ab") as journal:
            journal.write(other.journal.path.read_bytes())
        other.close()
    assert FrameFile.read(path)["frame"].tolist() == [0, 1]


def test_a_crash_between_replacing_the_file_and_clearing_the_journal_doubles_nothing(
    tmp_path, row
) -> None:
    writer = FrameWriter(tmp_path / "f.h5", WATER, {}, commit_every=100)
    for i in range(3):
        writer.append(row(i))
    journal = writer.journal.path.read_bytes()
    writer.close()
    writer.journal.path.write_bytes(journal)
    FrameWriter(tmp_path / "f.h5", WATER, {}).close()
    assert FrameFile.read(tmp_path / "f.h5")["frame"].tolist() == [0, 1, 2]


def test_a_failure_that_succeeds_later_is_forgotten(tmp_path, row) -> None:
    with FrameWriter(tmp_path / "f.h5", WATER, {}) as writer:
        writer.record_failure(0, "no convergence")
        writer.commit()
        writer.append(row(0))
    assert FrameFile.failures(tmp_path / "f.h5") == {}
    assert len(FrameFile.read(tmp_path / "f.h5")) == 1


def test_a_column_that_appears_later_is_missing_in_earlier_frames(tmp_path, row) -> None:
    with FrameWriter(tmp_path / "f.h5", WATER, {}, commit_every=1) as writer:
        writer.append(row(0))
        writer.append(row(1, polarizability=np.eye(3)))
    alpha = FrameFile.read(tmp_path / "f.h5").polarizability
    assert np.isnan(alpha[0]).all()
    assert np.array_equal(alpha[1], np.eye(3))


def test_another_molecule_or_level_is_refused(tmp_path, row) -> None:
    with FrameWriter(tmp_path / "f.h5", WATER, {"level": {"xc": "pbe"}}) as writer:
        writer.append(row(0))
    with pytest.raises(InputError, match="holds atoms"):
        FrameWriter(tmp_path / "f.h5", [1, 8, 1], {"level": {"xc": "pbe"}})
    with pytest.raises(InputError, match=r"level = .*pbe.* now it is .*b3lyp"):
        FrameWriter(tmp_path / "f.h5", WATER, {"level": {"xc": "b3lyp"}})
    FrameWriter(tmp_path / "f.h5", WATER, {"level": {"xc": "pbe"}}).close()


def test_a_misshapen_or_unknown_column_is_refused_by_name(tmp_path, row) -> None:
    with FrameWriter(tmp_path / "f.h5", WATER, {}) as writer:
        with pytest.raises(InputError, match=r"forces of a frame must have shape \(3, 3\)"):
            writer.append(row(0, forces=np.zeros((2, 3))))
        with pytest.raises(InputError, match="no column 'force'"):
            writer.append(row(0, force=np.zeros((3, 3))))
        with pytest.raises(InputError, match="not finite"):
            writer.append(row(0, positions=np.full((3, 3), np.nan)))
        assert writer.frames == set()


def test_a_writer_killed_at_any_moment_loses_and_doubles_nothing(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import sys
        import numpy as np
        from densnet.data.writer import FrameWriter

        with FrameWriter(sys.argv[1], [8, 1, 1], {}, commit_every=3) as writer:
            for i in range(100000):
                if i in writer.frames:
                    continue
                writer.append({
                    "frame": i, "positions": np.full((3, 3), float(i)), "tag": "train",
                    "temperature": 300.0, "trajectory": 0,
                })
                print(i, flush=True)
        """
    )
    path = tmp_path / "f.h5"
    announced = -1
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        first = int(process.stdout.readline())
        assert first == announced + 1 or first == announced + 2
        time.sleep(0.25)
        os.kill(process.pid, signal.SIGKILL)
        rest = [int(line) for line in process.stdout if line.endswith("\n")]
        process.wait()
        process.stdout.close()
        announced = max([first, *rest])
    FrameWriter(path, [8, 1, 1], {}).close()
    frames = FrameFile.read(path)
    identities = frames["frame"].tolist()
    assert len(set(identities)) == len(identities)
    assert set(range(announced + 1)) <= set(identities) <= set(range(announced + 2))
    assert np.array_equal(frames.positions[:, 0, 0], np.array(identities, dtype=float))


def test_a_row_of_another_shape_is_refused_before_it_is_written(tmp_path, row) -> None:
    path = tmp_path / "f.h5"
    with FrameWriter(path, WATER, {}) as writer:
        writer.append(row(0, coefficients=np.zeros(4)))
        with pytest.raises(InputError, match=r"coefficients of frame 1 has shape \(5,\)"):
            writer.append(row(1, coefficients=np.zeros(5)))
    with FrameWriter(path, WATER, {}) as again:
        with pytest.raises(InputError, match=r"of the frames before \(4,\)"):
            again.append(row(1, coefficients=np.zeros(5)))
        again.append(row(1, coefficients=np.ones(4)))
    assert FrameFile.read(path).coefficients.tolist() == [[0.0] * 4, [1.0] * 4]


@pytest.mark.parametrize("text", ["[draft", "{", '"quoted"', "null", "plain"])
def test_any_text_is_read_back_as_it_was_given(tmp_path, row, text: str) -> None:
    with FrameWriter(tmp_path / "f.h5", WATER, {"note": text, "nothing": None}) as writer:
        writer.append(row(0))
    attributes = FrameFile.read(tmp_path / "f.h5").attributes
    assert (attributes["note"], attributes["nothing"]) == (text, None)
