import zlib
from pathlib import Path

import numpy as np
import pytest

from densnet.data.journal import HEADER, Journal, read_records
from densnet.errors import InputError


def record(i: int) -> dict[str, np.ndarray]:
    return {"frame": np.array(i), "forces": np.full((3, 3), float(i))}


def test_records_come_back_in_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    for i in range(3):
        journal.append(record(i))
    journal.close()
    records, end = read_records(tmp_path / "j")
    assert [int(r["frame"]) for r in records] == [0, 1, 2]
    assert np.array_equal(records[2]["forces"], np.full((3, 3), 2.0))
    assert end == (tmp_path / "j").stat().st_size


@pytest.mark.parametrize("lost", [1, 100, 500])
def test_a_torn_last_record_is_cut_off_and_the_others_stay(tmp_path: Path, lost: int) -> None:
    path = tmp_path / "j"
    journal = Journal(path)
    journal.append(record(0))
    whole = path.stat().st_size
    journal.append(record(1))
    journal.close()
    path.write_bytes(path.read_bytes()[:-lost])
    again = Journal(path)
    assert [int(r["frame"]) for r in again.records] == [0]
    assert path.stat().st_size == whole
    again.append(record(2))
    again.close()
    assert [int(r["frame"]) for r in read_records(path)[0]] == [0, 2]


def test_a_flipped_bit_ends_the_journal_before_it(tmp_path: Path) -> None:
    path = tmp_path / "j"
    journal = Journal(path)
    journal.append(record(0))
    whole = path.stat().st_size
    journal.append(record(1))
    journal.close()
    data = bytearray(path.read_bytes())
    data[whole + HEADER.size + 40] ^= 1
    path.write_bytes(bytes(data))
    assert [int(r["frame"]) for r in read_records(path)[0]] == [0]


def test_the_checksum_covers_the_whole_payload(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.append(record(0))
    journal.close()
    data = (tmp_path / "j").read_bytes()
    _, length, crc = HEADER.unpack_from(data)
    assert len(data) == HEADER.size + length
    assert zlib.crc32(data[HEADER.size :]) == crc


def test_two_writers_of_one_journal_are_refused(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    with pytest.raises(InputError, match="another process is writing"):
        Journal(tmp_path / "j")
    journal.close()
    Journal(tmp_path / "j").close()


def test_an_empty_journal_leaves_no_file_and_one_with_records_does(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.append(record(0))
    journal.close()
    assert (tmp_path / "j").exists()
    again = Journal(tmp_path / "j")
    again.clear()
    again.close()
    assert not (tmp_path / "j").exists()
