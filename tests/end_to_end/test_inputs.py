"""Every template runs in a real i-PI with the real driver, shortened, and ends well."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from densnet.programs import installed_program
from densnet.simulate.processes import quiet_environment
from densnet.spectra.ipi_extras import load_polarizability
from densnet.spectra.ipi_xyz import load_xyz
from tests.ipi_driver import elastic_ethanol

ROOT = Path(__file__).parents[2]
TEMPLATES = sorted((ROOT / "densnet" / "simulate" / "inputs").glob("*.xml"))
# Steps that reach every output and property; optimisers and the Hessian need their own number.
STEPS = {"phonons": 27, "geometry-bfgs": 30, "geometry-lbfgs": 30, "replica-exchange": 4}
# i-PI waits half a second for more clients after each of several connections.
BEADS = 4
# Its thermostat has a matrix for each of the 32 normal modes.
WITH_ALL_BEADS = ("trpmd-gle",)


def prepare(template: Path, directory: Path) -> list[list[str]]:
    """Copy a template, shortened, with sockets of its own; return the drivers' arguments."""
    text = template.read_text()
    commands = [
        shlex.split(line)[2:]
        for line in text.split("-->")[0].splitlines()
        if line.strip().startswith("densnet-driver ethanol")
    ]
    tag = f"-{os.getpid()}"
    steps = STEPS.get(template.stem, 2)
    beads = 32 if template.stem in WITH_ALL_BEADS else BEADS
    text = re.sub(r"<total_steps>\d+<", f"<total_steps>{steps}<", text)
    text = re.sub(r"<address>([\w-]+)<", rf"<address>\1{tag}<", text)
    text = text.replace("nbeads='32'", f"nbeads='{beads}'")
    text = text.replace("<batch_size>32<", f"<batch_size>{beads}<")
    (directory / template.name).write_text(text)
    shutil.copy(template.with_name("ethanol.xyz"), directory)
    return [
        [
            word + tag if before == "-u" else word.replace("32", str(beads))
            for before, word in zip(["", *command], command, strict=False)
        ]
        for command in commands
    ]


def run_template(template: Path, directory: Path) -> str:
    """Run a template and return what i-PI said."""
    drivers = prepare(template, directory)
    environment = {**quiet_environment(), "PYTHONPATH": str(ROOT)}
    processes = [
        subprocess.Popen(
            [sys.executable, elastic_ethanol.__file__, "elastic", *arguments],
            cwd=directory,
            env=environment,
            stderr=subprocess.DEVNULL,
        )
        for arguments in drivers
    ]
    done = subprocess.run(
        [installed_program("i-pi"), template.name],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        check=False,
    )
    output = done.stdout + done.stderr
    statuses = [process.wait(20.0) for process in processes]
    assert done.returncode == 0, output
    assert statuses == [0] * len(processes), output
    return output


@pytest.mark.parametrize(
    "template", [t for t in TEMPLATES if t.stem != "ir-segment"], ids=lambda t: t.stem
)
def test_a_template_runs(template: Path, tmp_path: Path) -> None:
    output = run_template(template, tmp_path)
    assert "reports success" in output
    assert "Traceback" not in output
    written = [path for path in tmp_path.iterdir() if template.stem in path.name]
    assert len(written) > 1


def test_an_infrared_segment_starts_from_a_thermalised_checkpoint(tmp_path: Path) -> None:
    inputs = TEMPLATES[0].parent
    run_template(inputs / "nvt-langevin.xml", tmp_path)
    run_template(inputs / "ir-segment.xml", tmp_path)
    rows = (tmp_path / "ir-segment.dipole_0").read_text()
    assert "Step:           0" in rows


def test_polarizabilities_come_at_a_stride_from_the_second_driver(tmp_path: Path) -> None:
    name = "zero-weight-properties.xml"
    text = (TEMPLATES[0].parent / name).read_text()
    first, second = "<parameters>{ elements: C C O H H H H H H, charge: 0 }", "charge: 0,"
    head, _, tail = text.rpartition(first)
    text = f"{head}{first.replace('charge: 0', second + ' properties: polarizability')}{tail}"
    text = text.replace("stride='50' extra_type='dipole'", "stride='2' extra_type='polarizability'")
    # Positions beside them, as many steps.
    text = text.replace("filename='pos' stride='100'", "filename='pos' stride='2'")
    changed = tmp_path / "changed"
    changed.mkdir()
    (changed / name).write_text(text)
    shutil.copy(TEMPLATES[0].with_name("ethanol.xyz"), changed)
    run_template(changed / name, tmp_path)
    prefix = name.removesuffix(".xml")
    found = load_polarizability(next(tmp_path.glob(f"{prefix}.properties*")))
    positions = load_xyz(tmp_path / f"{prefix}.pos_0.xyz", "positions").rows
    assert found.steps.tolist() == positions.steps.tolist() == [0, 2]
    # The xyz has six digits.
    expected = np.einsum("tix,tiy->txy", positions.values, positions.values)
    np.testing.assert_allclose(found.values, expected, atol=1e-3)


def test_a_frame_that_the_guard_refuses_ends_the_run_with_a_restart(tmp_path: Path) -> None:
    template = TEMPLATES[0].with_name("nve.xml")
    (arguments,) = prepare(template, tmp_path)
    path = tmp_path / "nve.xml"
    # Far too hot: a bond breaks within some hundred steps.
    text = path.read_text().replace("'kelvin'>300<", "'kelvin'>60000<")
    path.write_text(text.replace("<total_steps>2<", "<total_steps>100000<"))
    environment = {**quiet_environment(), "PYTHONPATH": str(ROOT)}
    driver = subprocess.Popen(
        [sys.executable, elastic_ethanol.__file__, "elastic", *arguments, "--log", "driver.log"],
        cwd=tmp_path,
        env=environment,
    )
    done = subprocess.run(
        [installed_program("i-pi"), path.name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        check=False,
    )
    assert driver.wait(10.0) == 3
    assert done.returncode == 0
    assert "nothing was sent" in (tmp_path / "driver.log").read_text()
    assert (tmp_path / "RESTART").is_file()
    assert len(list(tmp_path.glob("densnet-driver-refused-*.xyz"))) == 1
