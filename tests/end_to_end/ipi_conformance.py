"""Runs i-PI's own regression and restart tests with our socket loop in place of its drivers.

    git clone https://github.com/i-pi/i-pi
    python tests/end_to_end/ipi_conformance.py i-pi

Tests whose potential exists only in Fortran are left out. The installed i-PI is tested against the
references of the clone: they should be of the same version.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

POTENTIALS = {"gas", "harm", "harm3d", "doublewell", "doublewell_1D"}
ROOT = Path(__file__).parents[2]


def runnable(settings: Path) -> bool:
    """Whether every potential of a test is one of ours."""
    text = settings.read_text()
    models = re.findall(r"driver_model\s+(\S+)", text)
    return bool(models) and set(models) <= POTENTIALS and "driver_code python" not in text


def install(folder: Path) -> None:
    """Put our loop under the names of i-PI's drivers."""
    program = Path(__file__).with_name("conformance_driver.py")
    for name in ("i-pi-driver", "i-pi-py_driver"):
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{program}" "$@"\n')
        script.chmod(0o755)


# Cases of test_restart.py whose potential is one of ours, by their names there.
RESTARTS = ("dynamics", "minimize")


def collect(source: Path) -> list[str]:
    """Names, as pytest knows them, of the tests that can run."""
    folder = source / "ipi_tests" / "regression_tests"
    listed = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--collect-only", "test_run.py", "test_restart.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(source)},
    ).stdout.splitlines()
    ours = {str(p.parent) for p in (folder / "tests").rglob("test_settings.dat") if runnable(p)}
    names = []
    for line in listed:
        script, _, case = line.partition("[")
        name = case.rstrip("]")
        if ("test_run" in script and name in ours) or (
            "test_restart" in script and name in RESTARTS
        ):
            names.append(line[line.rindex("test_r", 0, line.index("::")) :])
    return names


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="a clone of i-PI")
    args = parser.parse_args()
    source = args.source.resolve()
    names = collect(source)
    with tempfile.TemporaryDirectory() as scratch:
        install(Path(scratch))
        path = [scratch, str(Path(sys.executable).parent), os.environ["PATH"]]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-rA", "-W", "default", *names],
            cwd=source / "ipi_tests" / "regression_tests",
            env={
                **os.environ,
                "PATH": os.pathsep.join(path),
                "PYTHONPATH": f"{ROOT}{os.pathsep}{source}",
                "OMP_NUM_THREADS": "1",
            },
            capture_output=True,
            text=True,
            check=False,
        )
    for line in done.stdout.splitlines():
        if line.startswith(("PASSED", "FAILED", "ERROR")):
            print(line.replace(str(source), ""))
    passed = done.stdout.count("\nPASSED ")
    if passed == 0:
        print(done.stdout[-2000:] + done.stderr[-2000:])
    print(f"{passed} of {len(names)} passed")
    if passed < len(names) or not names:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
