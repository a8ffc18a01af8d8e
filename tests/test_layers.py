"""The layers of the design, enforced: imports point down, never up, never in a circle.

Imports are read from the source (module level and inside functions), so nothing is executed.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Layer of every room; a module may import from its own room, and from rooms of lower layers.
LAYERS = {
    "densnet.units": 0,
    "densnet.errors": 0,
    "densnet.structure": 0,
    "densnet.configuration": 0,
    "densnet.programs": 0,
    "densnet.basis": 1,
    "densnet.integrals": 1,
    "densnet.spectra": 1,
    "densnet.density": 2,
    "densnet.data": 3,
    "densnet.reference": 3,
    "densnet.nn": 4,
    "densnet.models": 5,
    "densnet.training": 6,
    "densnet.evaluation": 6,
    "densnet.export": 6,
    "densnet.simulate": 7,
    "densnet.calculators": 7,
    "densnet.plots": 7,
    "densnet.cli": 8,
    "densnet.__main__": 9,
}

# Rooms of one layer that may use each other, in this direction only.
SAME_LAYER = {
    ("densnet.errors", "densnet.units"),
    ("densnet.structure", "densnet.errors"),
    ("densnet.structure", "densnet.units"),
    ("densnet.configuration", "densnet.errors"),
    ("densnet.programs", "densnet.errors"),
    ("densnet.integrals", "densnet.basis"),
    ("densnet.reference", "densnet.data"),
    ("densnet.evaluation", "densnet.export"),
    ("densnet.simulate", "densnet.plots"),
}

# Packages that are imported only in the rooms that are about them.
CONFINED = {
    "pyscf": {"densnet.reference"},
    "tblite": {"densnet.reference"},
    "mpi4py": {"densnet.reference"},
    "ipi": {"densnet.simulate", "ipi_driver"},
    "matplotlib": {"densnet.plots"},
}

# Modules without a Python source.
COMPILED = {"densnet.integrals._kernel", "densnet.export._engine"}

TORCH_FREE = {"densnet.units", "densnet.errors", "densnet.structure", "densnet.spectra"}


@dataclass(frozen=True)
class Import:
    """One imported name, and where."""

    module: str
    target: str
    line: int


def modules() -> Iterator[tuple[str, Path]]:
    for package in ("densnet", "ipi_driver"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports_of(module: str, path: Path) -> Iterator[Import]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module, alias.name, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield Import(module, f"{origin}.{alias.name}", node.lineno)


@cache
def all_imports() -> tuple[Import, ...]:
    return tuple(found for module, path in modules() for found in imports_of(module, path))


def room(name: str) -> str:
    """Return the room a dotted name lies in: ``densnet.nn.radial.Bessel`` -> ``densnet.nn``."""
    parts = name.split(".")
    return ".".join(parts[:2]) if parts[0] == "densnet" else parts[0]


def where(found: Import) -> str:
    return f"{found.module}:{found.line} imports {found.target}"


def allowed(source: str, target: str) -> bool:
    if source == target or (source, target) in SAME_LAYER:
        return True
    return LAYERS[target] < LAYERS[source]


def test_every_room_has_a_layer() -> None:
    rooms = {room(module) for module, _ in modules() if module.startswith("densnet.")}
    assert rooms <= set(LAYERS), f"give these rooms a layer: {sorted(rooms - set(LAYERS))}"


def test_imports_point_down_the_layers() -> None:
    upward = [
        where(found)
        for found in all_imports()
        if found.module.startswith("densnet.")
        and room(found.target) in LAYERS
        and not allowed(room(found.module), room(found.target))
    ]
    assert not upward, "\n".join(upward)


def test_package_root_imports_nothing() -> None:
    """``import densnet`` stays instant, so that the command line can answer at once."""
    assert [where(found) for found in all_imports() if found.module == "densnet"] == []


def test_driver_imports_only_the_runtime_and_layer_0() -> None:
    model = ("densnet.export.loading", "densnet.export.runtime")
    allowed_targets = (*model, *(r for r, layer in LAYERS.items() if layer == 0))
    strays = [
        where(found)
        for found in all_imports()
        if found.module.split(".")[0] == "ipi_driver"
        and found.target.split(".")[0] == "densnet"
        and not found.target.startswith(allowed_targets)
        and found.target != "densnet.__version__"
    ]
    assert not strays, "\n".join(strays)


def test_densnet_imports_the_driver_only_where_runs_start_or_molecules_are_compared() -> None:
    strays = [
        where(found)
        for found in all_imports()
        if found.target.split(".")[0] == "ipi_driver"
        and room(found.module)
        not in ("ipi_driver", "densnet.simulate", "densnet.calculators", "densnet.cli")
    ]
    assert not strays, "\n".join(strays)


@pytest.mark.parametrize("package", sorted(CONFINED))
def test_package_is_imported_only_in_its_room(package: str) -> None:
    strays = [
        where(found)
        for found in all_imports()
        if found.target.split(".")[0] == package and room(found.module) not in CONFINED[package]
    ]
    assert not strays, "\n".join(strays)


def test_rooms_without_torch_stay_without() -> None:
    strays = [
        where(found)
        for found in all_imports()
        if room(found.module) in TORCH_FREE and found.target.split(".")[0] in ("torch", "e3nn")
    ]
    assert not strays, "\n".join(strays)


def test_no_module_imports_itself_through_others() -> None:
    names = {module for module, _ in modules()} | COMPILED

    def resolve(target: str) -> str | None:
        """Return the module that a target is, or that holds it."""
        while target and target not in names:
            target = target.rpartition(".")[0]
        return target or None

    graph: dict[str, set[str]] = {name: set() for name in names}
    for found in all_imports():
        target = resolve(found.target)
        # `from package import module` inside the package itself names the module, not a cycle.
        if target is not None and target != found.module:
            graph[found.module].add(target)
    circles = find_circle(graph)
    assert not circles, " -> ".join(circles)


def find_circle(graph: dict[str, set[str]]) -> list[str]:
    """Return one circle of a directed graph, or an empty list."""
    finished: set[str] = set()

    def visit(name: str, trail: list[str]) -> list[str]:
        if name in trail:
            return [*trail[trail.index(name) :], name]
        if name in finished:
            return []
        for target in sorted(graph[name]):
            circle = visit(target, [*trail, name])
            if circle:
                return circle
        finished.add(name)
        return []

    for name in sorted(graph):
        circle = visit(name, [])
        if circle:
            return circle
    return []


def test_a_circle_is_found_when_there_is_one() -> None:
    assert find_circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert find_circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_imports_inside_functions_are_seen(tmp_path: Path) -> None:
    source = tmp_path / "late.py"
    source.write_text("def f():\n    from densnet.cli import main\n    import pyscf.gto\n")
    targets = [found.target for found in imports_of("densnet.spectra.late", source)]
    assert targets == ["densnet.cli.main", "pyscf.gto"]
    assert not allowed("densnet.spectra", "densnet.cli")
