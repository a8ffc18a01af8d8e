"""Programs are found beside this Python, without an activated environment."""

import signal
import subprocess
import sys
import time
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


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own means")
def test_a_program_ends_with_a_parent_that_is_killed() -> None:
    code = (
        "import subprocess, time; from densnet.programs import end_with_parent; "
        "child = subprocess.Popen(['sleep', '600'], preexec_fn=end_with_parent); "
        "print(child.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = Path("/proc", parent.stdout.readline().strip())
        assert child.is_dir()
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 30.0
    # A child that nobody has waited for stays as a zombie.
    while child.is_dir() and ") Z " not in (child / "stat").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
