"""Where the programs are that come with the packages densnet needs."""

import ctypes
import os
import shutil
import signal
import sys
from pathlib import Path

from densnet.errors import SimulationError

# Of sys/prctl.h.
PR_SET_PDEATHSIG = 1


def find_program(name: str) -> str | None:
    """Path of a program beside this Python or on PATH; None if there is none."""
    beside = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return shutil.which(name, path=beside)


def installed_program(name: str) -> str:
    """Path of a program that cannot be done without.

    Raises
    ------
    SimulationError
        If it is not installed.
    """
    found = find_program(name)
    if found is None:
        raise SimulationError(f"the program {name} is not installed: pip install densnet")
    return found


def end_with_parent() -> None:
    """Let Linux kill this process when its parent ends, however; the ``preexec_fn`` of a child."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
