"""``--json FILE``: valid JSON, complete or absent."""

import argparse
import json
import stat
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from densnet.cli.output import add_json_option, write_json
from densnet.errors import InputError


@dataclass(frozen=True)
class Report:
    name: str
    errors: tuple[float, ...]


def test_the_option_is_a_path_or_none() -> None:
    parser = argparse.ArgumentParser()
    add_json_option(parser)
    assert parser.parse_args([]).json is None
    assert parser.parse_args(["--json", "a.json"]).json == Path("a.json")


def test_numbers_arrays_dataclasses_and_paths_are_written(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "report.json"
    payload = {
        "count": np.int64(3),
        "mean": np.float32(0.5),
        "flag": np.True_,
        "matrix": np.eye(2),
        "report": Report("å", (1.0, float("nan"))),
        "path": Path("a/b"),
        1: [None, float("inf")],
    }
    write_json(path, payload)
    assert json.loads(path.read_text(encoding="utf-8")) == {
        "count": 3,
        "mean": 0.5,
        "flag": True,
        "matrix": [[1.0, 0.0], [0.0, 1.0]],
        "report": {"name": "å", "errors": [1.0, None]},
        "path": "a/b",
        "1": [None, None],
    }
    assert [entry.name for entry in path.parent.iterdir()] == ["report.json"]


def test_no_file_asked_for_is_no_file_written(tmp_path: Path) -> None:
    write_json(None, {"a": object()})
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_report(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError, match="cannot hold a object"):
        write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.json"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write the JSON report .*report\.json"):
        write_json(tmp_path / "file" / "report.json", {})


def test_a_report_is_as_readable_as_other_files(tmp_path: Path) -> None:
    write_json(tmp_path / "report.json", {})
    (tmp_path / "other").write_text("")
    modes = {stat.S_IMODE(entry.stat().st_mode) for entry in tmp_path.iterdir()}
    assert len(modes) == 1
