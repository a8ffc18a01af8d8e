"""Reads an i-PI input and says what will be slow, dangerous or wrong.

Every rule is a function from the parsed input to findings; each comes from a run that went wrong.
"""

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from densnet.errors import InputError
from densnet.simulate.check_start import check_start, declared_elements
from densnet.simulate.findings import Finding
from densnet.units import AU_FS, AU_PS
from ipi_driver.connection import SOCKETS_PREFIX

# A path-integral or classical step beyond these loses energy with X–H stretches, fs.
LONGEST_STEP_FS = 1.0
# Rows closer than this resolve every vibration: the period of 4000 cm⁻¹ is 8.3 fs, two rows each.
LONGEST_DIPOLE_INTERVAL_FS = 4.0
LONGEST_LATENCY_S = 1e-3
# 30,000 K; a number beyond it was meant in kelvin.
HIGHEST_TEMPERATURE_HARTREE = 0.1
# A number below it was meant in femtoseconds.
SHORTEST_STEP_FS = 0.03

TIME_UNITS_FS = {
    "atomic_unit": AU_FS,
    "": AU_FS,
    "automatic": AU_FS,
    "second": 1e15,
    "attosecond": 1e-3,
    "femtosecond": 1.0,
    "picosecond": 1e3,
    "nanosecond": 1e6,
}


@dataclass(frozen=True)
class Input:
    """A parsed input and where it lies."""

    root: ElementTree.Element
    directory: Path

    def outputs(self) -> Iterator[tuple[ElementTree.Element, int, int]]:
        """Tables and trajectories with stride and flush."""
        for element in self.root.findall("output/*"):
            if element.tag in ("properties", "trajectory"):
                yield element, int(element.get("stride", 1)), int(element.get("flush", 1))

    def systems(self) -> list[ElementTree.Element]:
        """Every ``<system>``, templates included."""
        return self.root.findall("system") + self.root.findall("system_template/template/system")

    def beads(self) -> int:
        """Beads of the largest system."""
        return max(
            (int(e.get("nbeads", 1)) for s in self.systems() for e in s.findall("initialize")),
            default=1,
        )

    def timestep_fs(self) -> float | None:
        """The longest timestep, if there is dynamics."""
        steps = [
            (_number(e) or 0.0) * TIME_UNITS_FS.get(e.get("units", ""), AU_PS * 1e3)
            for e in self.root.iter("timestep")
        ]
        return max(steps, default=None)


def check_input(path: Path) -> list[Finding]:
    """Check an i-PI input.

    Parameters
    ----------
    path : Path

    Returns
    -------
    list of Finding
        The gravest first.

    Raises
    ------
    InputError
        If the file cannot be read or is not XML.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except ElementTree.ParseError as error:
        raise InputError(f"{path} is not XML: {error}") from error
    if root.tag != "simulation":
        return [Finding("wrong", f"<{root.tag}>", "the outermost element must be <simulation>")]
    document = Input(root, path.parent)
    findings = [finding for rule in RULES for finding in rule(document)]
    order = ("wrong", "dangerous", "slow", "note")
    return sorted(findings, key=lambda finding: order.index(finding.severity))


def _parsed_by_ipi(document: Input) -> Iterator[Finding]:
    from ipi.inputs.simulation import InputSimulation
    from ipi.utils.io.inputs.io_xml import xml_parse_string

    text = ElementTree.tostring(document.root, encoding="unicode")
    try:
        with redirect_stdout(StringIO()):
            InputSimulation().parse(xml_parse_string(text).fields[0][1])
    except (ValueError, TypeError, NameError, KeyError, AttributeError) as error:
        yield Finding("wrong", "<simulation>", f"i-PI refuses it: {error}")


def _checkpoints(document: Input) -> Iterator[Finding]:
    strides = [int(e.get("stride", 1)) for e in document.root.findall("output/checkpoint")]
    if not strides:
        yield Finding(
            "dangerous",
            "<output>",
            "no <checkpoint>: a killed run starts again from nothing; add "
            "<checkpoint stride='1000' overwrite='True'/>",
        )
        return
    shortest = min(strides)
    for element, stride, flush in document.outputs():
        if stride * flush > shortest:
            yield Finding(
                "dangerous",
                _name(element),
                f"rows reach the disk every {stride * flush} steps, checkpoints every {shortest}: "
                f"a crash leaves a gap; use flush='{max(shortest // stride, 1)}'",
            )


def _overhead(document: Input) -> Iterator[Finding]:
    root = document.root
    if int(root.get("safe_stride", 1)) == 1 and document.timestep_fs() is not None:
        yield Finding(
            "slow",
            "<simulation>",
            "i-PI rebuilds its checkpoint at every step, about half of its own time; use "
            "safe_stride='100'",
        )
    threading = root.get("threading", "True").strip().lower() == "true"
    if threading and len(document.systems()) == 1:
        yield Finding(
            "slow", "<simulation>", "threads help several systems only; use threading='False'"
        )
    for element, stride, flush in document.outputs():
        if stride * flush < 100 and document.timestep_fs() is not None:
            yield Finding(
                "slow",
                _name(element),
                f"waits for the disk every {stride * flush} steps; use "
                f"flush='{max(1000 // stride, 1)}'",
            )
    for latency in root.iter("latency"):
        if float(latency.text or 0) > LONGEST_LATENCY_S:
            yield Finding(
                "slow",
                "<latency>",
                f"{float(latency.text or 0):g} s are lost at every step; use 1e-4",
            )


def _sockets(document: Input) -> Iterator[Finding]:
    structures = document.beads() * max(len(document.systems()), 1)
    for element in document.root.findall("ffsocket"):
        where = f"<ffsocket name={element.get('name', '')!r}>"
        if float(element.findtext("timeout") or 0) <= 0:
            yield Finding(
                "dangerous",
                where,
                "no <timeout>: i-PI waits for ever for a driver that died; use 600",
            )
        if element.get("pbc", "False").strip().lower() == "true":
            yield Finding(
                "dangerous",
                where,
                "pbc='True' folds molecules that cross the boundary; use pbc='False'",
            )
        batch = int(element.findtext("batch_size") or 1)
        if structures > 1 and batch == 1:
            yield Finding(
                "slow",
                where,
                f"{structures} structures a step travel one by one; use "
                f"<batch_size>{structures}</batch_size> (i-PI 3.3)",
            )
        elif batch > 1 and structures % batch:
            yield Finding(
                "slow",
                where,
                f"{structures} structures fill batches of {batch} badly; the last is padded",
            )
    for element in document.root.findall("ffdirect"):
        batch = int(element.findtext("batch_size") or 1)
        threaded = element.get("threaded", "False").strip().lower() == "true"
        if batch > 1 and not threaded and structures % batch:
            yield Finding(
                "wrong",
                f"<ffdirect name={element.get('name', '')!r}>",
                f"{structures} structures are not a multiple of batch_size {batch}: i-PI hangs; "
                "use threaded='True'",
            )


def _dipoles(document: Input) -> Iterator[Finding]:
    timestep = document.timestep_fs()
    for element, stride, _ in document.outputs():
        if (element.text or "").strip().startswith("extras"):
            kind = element.get("extra_type", "raw").strip()
            if kind == "raw":
                yield Finding(
                    "wrong",
                    _name(element),
                    "raw extras cannot be read as numbers; use extra_type='dipole'",
                )
            # What spectra are made of; others are written as seldom as one likes.
            spectral = kind in ("dipole", "polarizability")
            if spectral and timestep is not None and stride * timestep > LONGEST_DIPOLE_INTERVAL_FS:
                yield Finding(
                    "note",
                    _name(element),
                    f"a row every {stride * timestep:g} fs cannot show the O–H stretch; for "
                    f"spectra use stride='{max(int(LONGEST_DIPOLE_INTERVAL_FS / timestep), 1)}'",
                )


def _dynamics(document: Input) -> Iterator[Finding]:
    timestep = document.timestep_fs()
    if timestep is None:
        return
    if timestep > LONGEST_STEP_FS:
        yield Finding(
            "dangerous",
            "<timestep>",
            f"{timestep:g} fs is too long for X–H stretches; use 0.5 fs",
        )
    if document.root.find("prng/seed") is None and document.root.find("prng/state") is None:
        yield Finding(
            "dangerous",
            "<prng>",
            "no seed: every run uses the same random numbers, so that segments repeat each "
            "other; add <prng><seed>N</seed></prng>",
        )
    if document.root.get("floatformat", "%16.8e") == "%16.8e":
        yield Finding(
            "note",
            "<simulation>",
            "RESTART keeps nine digits; floatformat='%24.16e' continues bit by bit",
        )
    for system in document.systems():
        for dynamics in system.iter("dynamics"):
            mode = dynamics.get("mode", "nve")
            if mode != "nve" and system.find("ensemble/temperature") is None:
                yield Finding("wrong", "<ensemble>", f"{mode} needs a <temperature>")
            thermostat = dynamics.find("thermostat")
            if thermostat is not None and thermostat.get("mode") == "langevin":
                yield Finding(
                    "note",
                    "<thermostat>",
                    "Langevin friction broadens spectra; take NVE segments from its checkpoints",
                )


def _fast_forward(document: Input) -> Iterator[Finding]:
    for motion in document.root.iter("motion"):
        if motion.findtext("fixcom", "True").strip().lower() == "false":
            continue
        for thermostat in motion.iter("thermostat"):
            flip = thermostat.findtext("flip", "rescale").strip()
            if thermostat.get("mode") == "ffl" and flip in ("rescale", "hard"):
                yield Finding(
                    "wrong",
                    "<thermostat>",
                    f"the flip {flip!r} with a fixed centre of mass makes small molecules too hot "
                    "(rescale by N/(N - 1): 12 % for nine atoms); use <flip>soft</flip>",
                )


def _files(document: Input) -> Iterator[Finding]:
    for element in document.root.iter("file"):
        path = document.directory / (element.text or "").strip()
        if not path.is_file():
            yield Finding("wrong", "<file>", f"{path} does not exist")
        elif element.get("mode") == "xyz":
            yield from check_start(path, declared_elements(document.root))
    prefix = document.root.get("sockets_prefix", SOCKETS_PREFIX)
    for element in document.root.findall("ffsocket"):
        if element.get("mode", "inet") in ("unix", "shm"):
            socket_path = Path(prefix + (element.findtext("address") or "localhost").strip())
            if socket_path.exists():
                yield Finding(
                    "wrong",
                    "<address>",
                    f"{socket_path} exists: i-PI runs there already, or was killed and left it; "
                    "then remove it",
                )


def _units(document: Input) -> Iterator[Finding]:
    thermal = [v for v in document.root.iter("velocities") if v.get("mode") == "thermal"]
    for element in (*document.root.iter("temperature"), *thermal):
        value = _number(element)
        if not element.get("units") and value is not None and value > HIGHEST_TEMPERATURE_HARTREE:
            yield Finding(
                "wrong",
                f"<{element.tag}>",
                f"{value:g} without a unit is {value:g} hartree; write units='kelvin'",
            )
    for element in document.root.iter("timestep"):
        value = _number(element)
        if value is None or value <= 0.0:
            yield Finding("wrong", "<timestep>", f"{element.text!r} is no time step")
        elif not element.get("units") and value * AU_FS < SHORTEST_STEP_FS:
            yield Finding(
                "wrong",
                "<timestep>",
                f"{value:g} without a unit is {value * AU_FS:.3g} fs; write units='femtosecond'",
            )
    steps = document.root.find("total_steps")
    value = None if steps is None else _number(steps)
    if value is not None and value < 1:
        yield Finding("wrong", "<total_steps>", f"{value:g} steps: nothing would be run")


def _number(element: ElementTree.Element) -> float | None:
    try:
        return float((element.text or "").strip())
    except ValueError:
        return None


def _name(element: ElementTree.Element) -> str:
    return f"<{element.tag} filename={element.get('filename', '')!r}>"


RULES: tuple[Callable[[Input], Iterator[Finding]], ...] = (
    _parsed_by_ipi,
    _files,
    _units,
    _checkpoints,
    _sockets,
    _dipoles,
    _dynamics,
    _fast_forward,
    _overhead,
)
