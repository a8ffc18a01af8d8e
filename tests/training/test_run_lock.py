import subprocess
import sys
from pathlib import Path

import pytest

from densnet.errors import InputError
from densnet.training.run_lock import locked_folder

HOLD = """
import sys, time
from pathlib import Path
from densnet.training.run_lock import locked_folder
with locked_folder(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(600.0)
"""


def test_a_folder_admits_one_process_and_the_next_one_after_a_kill(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = [sys.executable, "-c", HOLD, str(folder)]
    first = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )
    try:
        assert first.stdout is not None
        assert first.stdout.readline() == "locked\n"
        with (
            pytest.raises(InputError, match=f"process {first.pid} on .* is training there"),
            locked_folder(folder),
        ):
            pass
    finally:
        first.kill()
        first.communicate()
    with locked_folder(folder):
        pass
    with locked_folder(folder):
        pass
