"""Strict YAML: a file becomes a frozen dataclass, or an error that names the file, line and key.

A configuration is declared once, as (nested) frozen dataclasses. What the file may hold, of what
type, and what may be left out all follow from the declaration; nothing unknown is ever ignored.

>>> from dataclasses import dataclass
>>> @dataclass(frozen=True)
... class Thermostat:
...     temperature_kelvin: float
...     kind: Literal["svr", "langevin"] = "svr"
>>> parse_yaml("temperature_kelvin: 300", Thermostat)
Thermostat(temperature_kelvin=300.0, kind='svr')
>>> parse_yaml("temperature: 300", Thermostat, source="md.yaml")
Traceback (most recent call last):
    ...
densnet.errors.InputError: md.yaml:1: unknown key 'temperature'; did you mean \
'temperature_kelvin'? Valid keys: temperature_kelvin, kind
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from densnet.errors import InputError

T = TypeVar("T")

_INTEGER = re.compile(r"[-+]?[0-9][0-9_]*\Z")
_NULLS = ("", "~", "null", "Null", "NULL")
_BOOLS = {"true": True, "True": True, "false": False, "False": False}


class NameOrPath(str):
    """A field that is the name of something that comes with the program, or the path of a file."""


def load_yaml(path: str | Path, cls: type[T]) -> T:
    """Read a YAML file into a dataclass.

    Parameters
    ----------
    path : str or Path
        The file. Relative paths inside it are taken from its own directory, so that a
        configuration means the same from wherever it is used. A :class:`NameOrPath` is a path if
        there is such a file there, else a name.
    cls : type
        A dataclass. Fields may be ``int``, ``float``, ``str``, ``bool``, ``Path``, ``NameOrPath``,
        ``Literal``, ``tuple``, ``dict[str, X]`` or ``dict[int, X]``, other dataclasses, and unions
        of these such as ``float | None``. A field without a default is required.

    Returns
    -------
    An instance of `cls`.

    Raises
    ------
    InputError
        If the file cannot be read, is not YAML, or holds an unknown, missing or repeated key or a
        value of the wrong type. The message begins with ``file:line``.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the configuration {path}: {error}") from error
    return parse_yaml(text, cls, source=str(path), directory=path.parent)


def parse_yaml(
    text: str, cls: type[T], *, source: str = "<text>", directory: Path | None = None
) -> T:
    """Read YAML (or JSON, which is a part of it) from a string into a dataclass.

    Parameters
    ----------
    text : str
    cls : type
        A dataclass, as in :func:`load_yaml`.
    source : str
        What error messages call the text.
    directory : Path, optional
        Where relative paths start; left as they are if None.

    Returns
    -------
    An instance of `cls`.

    Raises
    ------
    InputError
        As :func:`load_yaml`.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark is not None else ""
        raise InputError(f"{source}{line}: this is not valid YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise InputError(f"{source}: this is not valid YAML: {error}") from error
    if node is None:
        node = yaml.MappingNode("tag:yaml.org,2002:map", [])
    result: T = _Reader(source, directory).read(node, cls, "")
    return result


class _Reader:
    """Walks the YAML nodes, which know their line, along the declared types."""

    def __init__(self, source: str, directory: Path | None) -> None:
        self.source = source
        self.directory = directory

    def fail(self, node: yaml.Node | None, message: str) -> InputError:
        line = node.start_mark.line + 1 if node is not None and node.start_mark else 1
        return InputError(f"{self.source}:{line}: {message}")

    def mismatch(self, node: yaml.Node, key: str, expected: str, hint: str = "") -> InputError:
        if isinstance(node, yaml.ScalarNode):
            found = repr(node.value)
        else:
            found = "a list" if isinstance(node, yaml.SequenceNode) else "a mapping"
        return self.fail(node, f"{_quote(key)} must be {expected}, got {found}{hint}")

    def read(self, node: yaml.Node, kind: Any, key: str) -> Any:
        """Return the value of `node` as the type `kind`; `key` is its dotted name."""
        origin = get_origin(kind)
        if is_dataclass(kind):
            return self.read_dataclass(node, kind, key)
        if origin in (Union, UnionType):
            return self.read_union(node, get_args(kind), key)
        if origin is Literal:
            return self.read_literal(node, get_args(kind), key)
        if origin is tuple:
            return self.read_tuple(node, get_args(kind), key)
        if origin in (dict, Mapping):
            return self.read_dict(node, get_args(kind), key)
        if kind in _SCALARS:
            return self.read_scalar(node, kind, key)
        raise TypeError(f"densnet.configuration cannot read the type {kind!r} of {key!r}")

    def items(
        self, node: yaml.Node, key: str, expected: str
    ) -> list[tuple[yaml.Node, str, yaml.Node]]:
        """Key node, key and value node of a mapping, refusing a repeated key."""
        if not isinstance(node, yaml.MappingNode):
            raise self.mismatch(node, key, expected)
        found: dict[str, tuple[yaml.Node, str, yaml.Node]] = {}
        for name, value in node.value:
            if not isinstance(name, yaml.ScalarNode):
                raise self.fail(name, f"a key of {_quote(key)} must be a plain word")
            if name.value in found:
                first = found[name.value][0].start_mark.line + 1
                dotted = _join(key, name.value)
                raise self.fail(name, f"{_quote(dotted)} is given twice, first in line {first}")
            found[name.value] = (name, name.value, value)
        return list(found.values())

    def read_dataclass(self, node: yaml.Node, cls: Any, key: str) -> Any:
        declared = {field.name: field for field in fields(cls) if field.init}
        hints = get_type_hints(cls)
        values = {}
        for name_node, name, value in self.items(node, key, f"a mapping with {_listing(declared)}"):
            if name not in declared:
                raise self.fail(name_node, _unknown_key(key, name, list(declared)))
            values[name] = self.read(value, hints[name], _join(key, name))
        missing = [_join(key, n) for n, f in declared.items() if n not in values and _required(f)]
        if missing:
            raise self.fail(node, f"missing key {_listing(missing)}")
        try:
            return cls(**values)
        except InputError as error:
            where = f"{_quote(key)}: " if key else ""
            raise self.fail(node, f"{where}{error}") from error

    def read_union(self, node: yaml.Node, kinds: tuple[Any, ...], key: str) -> Any:
        if NoneType in kinds and _is_null(node):
            return None
        choices = [kind for kind in kinds if kind is not NoneType]
        if len(choices) == 1:
            return self.read(node, choices[0], key)
        failures = []
        for kind in choices:
            try:
                return self.read(node, kind, key)
            except InputError as error:
                failures.append((kind, error))
        for kind, failure in failures:
            # A mapping can only have been meant for the dataclass: say what is wrong inside it.
            if is_dataclass(kind) and isinstance(node, yaml.MappingNode):
                raise failure
        raise self.mismatch(node, key, " or ".join(_type_name(kind) for kind in choices))

    def read_literal(self, node: yaml.Node, choices: tuple[Any, ...], key: str) -> Any:
        for choice in choices:
            try:
                if self.read_scalar(node, type(choice), key) == choice:
                    return choice
            except InputError:
                continue
        expected = f"one of {_listing(choices)}"
        nearest = get_close_matches(str(node.value), [str(c) for c in choices], n=1)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
        raise self.mismatch(node, key, expected, hint)

    def read_tuple(self, node: yaml.Node, kinds: tuple[Any, ...], key: str) -> tuple[Any, ...]:
        many = len(kinds) == 2 and kinds[1] is Ellipsis
        if not isinstance(node, yaml.SequenceNode):
            raise self.mismatch(node, key, f"a list [a, b], each {_type_name(kinds[0])}")
        if not many and len(node.value) != len(kinds):
            raise self.fail(
                node, f"{_quote(key)} must have {len(kinds)} entries, got {len(node.value)}"
            )
        each = [kinds[0]] * len(node.value) if many else list(kinds)
        pairs = zip(node.value, each, strict=True)
        return tuple(self.read(v, kind, f"{key}[{i}]") for i, (v, kind) in enumerate(pairs))

    def read_dict(self, node: yaml.Node, kinds: tuple[Any, ...], key: str) -> dict[Any, Any]:
        key_kind, value_kind = kinds
        return {
            self.read(name_node, key_kind, key): self.read(value, value_kind, _join(key, name))
            for name_node, name, value in self.items(node, key, "a mapping")
        }

    def read_scalar(self, node: yaml.Node, kind: type, key: str) -> Any:
        expected, convert = _SCALARS[kind]
        if not isinstance(node, yaml.ScalarNode):
            raise self.mismatch(node, key, expected)
        plain = node.style is None
        try:
            value = convert(node.value, plain)
        except ValueError:
            raise self.mismatch(node, key, expected) from None
        if kind is NameOrPath:
            beside = None if self.directory is None else self.directory / Path(value).expanduser()
            return NameOrPath(beside if beside is not None and beside.is_file() else value)
        if kind is Path:
            value = Path(value).expanduser()
            return value if self.directory is None else self.directory / value
        return value


def _to_bool(text: str, plain: bool) -> bool:
    if not plain or text not in _BOOLS:
        raise ValueError(text)
    return _BOOLS[text]


def _to_int(text: str, plain: bool) -> int:
    # Only decimal integers: YAML 1.1 would read 010 as eight and 1:30 as ninety.
    if not plain or not _INTEGER.match(text):
        raise ValueError(text)
    return int(text)


def _to_float(text: str, plain: bool) -> float:
    # YAML 1.1 calls 1e-6 a string; whoever writes it means the number.
    value = float(text) if plain else math.nan
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _to_str(text: str, plain: bool) -> str:
    if plain and (text in _NULLS or text in _BOOLS or _INTEGER.match(text)):
        raise ValueError(text)
    return text


_SCALARS: dict[type, tuple[str, Callable[[str, bool], Any]]] = {
    bool: ("true or false", _to_bool),
    int: ("an integer", _to_int),
    float: ("a finite number", _to_float),
    str: ("a string (put quotes around a number or a word such as true)", _to_str),
    Path: ("a path", _to_str),
    NameOrPath: ("a name or a path", _to_str),
}


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.style is None and node.value in _NULLS


def _required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def _quote(key: str) -> str:
    return f"'{key}'" if key else "the file"


def _listing(names: Any) -> str:
    return ", ".join(str(name) for name in names)


def _type_name(kind: Any) -> str:
    return _SCALARS[kind][0] if kind in _SCALARS else str(getattr(kind, "__name__", kind))


def _unknown_key(key: str, name: str, valid: list[str]) -> str:
    nearest = get_close_matches(name, valid, n=1)
    hint = f"; did you mean {_quote(_join(key, nearest[0]))}?" if nearest else "."
    return f"unknown key {_quote(_join(key, name))}{hint} Valid keys: {_listing(valid)}"
