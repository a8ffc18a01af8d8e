"""Strict YAML: what is accepted, and what an error says."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from densnet.configuration import NameOrPath, load_yaml, parse_yaml
from densnet.errors import InputError


@dataclass(frozen=True)
class Thermostat:
    kind: Literal["svr", "langevin"] = "svr"
    tau_fs: float = 100.0


@dataclass(frozen=True)
class Run:
    name: str
    steps: int
    temperature: float | None = None
    restart: bool = False
    output: Path = Path("run")
    temperatures: tuple[float, ...] = ()
    box: tuple[float, float, float] = (1.0, 1.0, 1.0)
    seeds: dict[str, int] = field(default_factory=dict)
    populations: dict[int, float] = field(default_factory=dict)
    thermostat: Thermostat = Thermostat()
    barostat: Thermostat | None = None
    basis: str | tuple[str, ...] = "small"

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise InputError(f"steps must be positive, got {self.steps}")


MINIMAL = "name: ethanol\nsteps: 10\n"


def test_a_full_file_becomes_the_dataclass(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(
        """
        name: "300"            # quoted: a string
        steps: 1_000
        temperature: 3e2
        restart: true
        output: out/run
        temperatures: [300, 5.0e+2]
        box: [1, 2, 3]
        seeds: {a: 1, b: -2}
        populations: {1: 0.5, 8: 6}
        thermostat:
          kind: langevin
        barostat: {tau_fs: 5}
        basis: [small, medium]
        """
    )
    assert load_yaml(path, Run) == Run(
        name="300",
        steps=1000,
        temperature=300.0,
        restart=True,
        output=tmp_path / "out/run",
        temperatures=(300.0, 500.0),
        box=(1.0, 2.0, 3.0),
        seeds={"a": 1, "b": -2},
        populations={1: 0.5, 8: 6.0},
        thermostat=Thermostat("langevin"),
        barostat=Thermostat(tau_fs=5.0),
        basis=("small", "medium"),
    )


def test_what_is_left_out_takes_its_default() -> None:
    assert parse_yaml(MINIMAL, Run) == Run("ethanol", 10)


def test_null_is_none_where_none_is_allowed() -> None:
    assert parse_yaml(MINIMAL + "temperature: null\nbarostat: ~", Run).temperature is None


def test_json_is_read_too() -> None:
    text = '{"name": "a", "steps": 2, "temperature": 1e-05, "restart": false}'
    assert parse_yaml(text, Run) == Run("a", 2, temperature=1e-5)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_float_survives(value: float) -> None:
    assert parse_yaml(f"tau_fs: {value!r}", Thermostat).tau_fs == value


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("stps: 3", "unknown key 'stps'; did you mean 'steps'? Valid keys: name, steps"),
        ("zebra: 3", "unknown key 'zebra'. Valid keys: name, steps"),
        ("thermostat: {tau: 3}", "unknown key 'thermostat.tau'; did you mean 'thermostat.tau_fs'?"),
        ("thermostat: {kind: srv}", "'thermostat.kind' must be one of svr, langevin, got 'srv'"),
        ("thermostat: {kind: svrr}", "did you mean 'svr'?"),
        ("thermostat: 3", "'thermostat' must be a mapping with kind, tau_fs, got '3'"),
        ("barostat: {tau: 3}", "unknown key 'barostat.tau'"),
        ("temperature: warm", "'temperature' must be a finite number, got 'warm'"),
        ("temperature: .inf", "'temperature' must be a finite number"),
        ("temperature: nan", "'temperature' must be a finite number"),
        ("temperature: '300'", "'temperature' must be a finite number"),
        ("temperature: [300]", "'temperature' must be a finite number, got a list"),
        ("restart: yes", "'restart' must be true or false, got 'yes'"),
        ("restart: 1", "'restart' must be true or false, got '1'"),
        ("output: 7", "'output' must be a path, got '7'"),
        ("temperatures: 300", "'temperatures' must be a list [a, b], each a finite number"),
        ("temperatures: [1, x]", "'temperatures[1]' must be a finite number, got 'x'"),
        ("box: [1, 2]", "'box' must have 3 entries, got 2"),
        ("seeds: {a: 1.5}", "'seeds.a' must be an integer, got '1.5'"),
        ("seeds: {a: 1, a: 2}", "'seeds.a' is given twice, first in line 3"),
        ("populations: {H: 1}", "'populations' must be an integer, got 'H'"),
        ("basis: {a: 1}", "'basis' must be"),
        ("name: other", "'name' is given twice, first in line 1"),
        ("<<: {steps: 2}", "unknown key '<<'"),
        ("box: [1, 2", "this is not valid YAML"),
    ],
)
def test_an_error_names_file_line_and_key(line: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_yaml(MINIMAL + line, Run, source="run.yaml")
    assert re.match(r"run\.yaml:[34]: ", str(caught.value))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "f:1: missing key name, steps"),
        ("name: a", "f:1: missing key steps"),
        ("name: 3\nsteps: 1", "f:1: 'name' must be a string (put quotes around a number"),
        ("name: true\nsteps: 1", "f:1: 'name' must be a string"),
        ("name: a\nsteps: 010.0", "f:2: 'steps' must be an integer"),
        ("name: a\nsteps: '10'", "f:2: 'steps' must be an integer"),
        ("name: a\nsteps: 1:30", "f:2: 'steps' must be an integer"),
        ("name: a\nsteps: 0", "f:1: steps must be positive, got 0"),
        ("- a\n- b", "f:1: the file must be a mapping with name, steps"),
        ("[1]: 2", "f:1: a key of the file must be a plain word"),
        ("name: a\n\tsteps: 1", "f:2: this is not valid YAML"),
        ("a: 1\n---\nb: 2", "f:2: this is not valid YAML"),
    ],
)
def test_a_wrong_file_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_yaml(text, Run, source="f")
    assert str(caught.value).startswith(message)


def test_a_leading_zero_is_decimal() -> None:
    assert parse_yaml("name: a\nsteps: 010", Run).steps == 10


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read the configuration .*absent\.yaml"):
        load_yaml(tmp_path / "absent.yaml", Run)
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"binary\.yaml"):
        load_yaml(binary, Run)


def test_a_type_that_cannot_be_read_is_the_programmers_error() -> None:
    @dataclass(frozen=True)
    class Wrong:
        values: set[int]

    with pytest.raises(TypeError, match="cannot read the type"):
        parse_yaml("values: [1]", Wrong)


def test_a_name_or_path_is_a_path_where_there_is_a_file(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Fit:
        basis: NameOrPath

    file = tmp_path / "fit.yaml"
    file.write_text("basis: mine.json\n")
    assert load_yaml(file, Fit) == Fit(NameOrPath("mine.json"))
    (tmp_path / "mine.json").touch()
    assert load_yaml(file, Fit) == Fit(NameOrPath(str(tmp_path / "mine.json")))
