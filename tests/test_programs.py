"""Programs are found beside this Python, without an activated environment."""

from pathlib import Path

import pytest

from densnet.errors import SimulationError
from densnet.programs import find_program, installed_program


def test_a_program_beside_this_python_needs_no_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    found = find_program("i-pi")
    assert found is not None
    assert Path(found).is_file()
    assert installed_program("i-pi") == found


def test_a_missing_program_is_named() -> None:
    assert find_program("no-such-program") is None
    with pytest.raises(SimulationError, match="no-such-program"):
        installed_program("no-such-program")
