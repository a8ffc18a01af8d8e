"""What ``pip install`` ships: every package, every data file, every command."""

import importlib
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import setuptools

import densnet

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def distribution() -> Iterator[setuptools.Distribution]:
    """Return setup.py as setuptools understands it, without building anything."""
    from distutils.core import run_setup

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        yield run_setup("setup.py", stop_after="init")


def shipped_data(distribution: setuptools.Distribution) -> set[Path]:
    return {
        path
        for package, patterns in distribution.package_data.items()
        for pattern in patterns
        for path in ROOT.joinpath(*package.split(".")).glob(pattern)
        if path.is_file()
    }


def test_every_folder_with_python_is_a_shipped_package(
    distribution: setuptools.Distribution,
) -> None:
    folders = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for top in ("densnet", "ipi_driver")
        for path in (ROOT / top).rglob("*.py")
    }
    assert folders == set(distribution.packages)


def test_every_data_file_of_the_packages_is_shipped(
    distribution: setuptools.Distribution,
) -> None:
    built = {".py", ".pyc", ".so"}
    data = {
        path
        for package in ("densnet", "ipi_driver")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix not in built
    }
    assert data - shipped_data(distribution) == set()
    assert any(path.parent.name == "library" for path in data)


def test_every_pattern_of_package_data_finds_a_file(
    distribution: setuptools.Distribution,
) -> None:
    idle = [
        (package, pattern)
        for package, patterns in distribution.package_data.items()
        for pattern in patterns
        if not any(ROOT.joinpath(*package.split(".")).glob(pattern))
    ]
    assert idle == []


def test_every_command_leads_to_a_function(distribution: setuptools.Distribution) -> None:
    scripts = distribution.entry_points["console_scripts"]
    assert {script.partition(" ")[0] for script in scripts} == {"densnet", "densnet-driver"}
    for script in scripts:
        module, _, function = script.partition("= ")[2].partition(":")
        assert callable(getattr(importlib.import_module(module), function))


def test_the_version_is_stated_once(distribution: setuptools.Distribution) -> None:
    assert distribution.get_version() == densnet.__version__
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {densnet.__version__}" in changelog


def test_every_source_of_cpp_is_built(distribution: setuptools.Distribution) -> None:
    sources = [
        str(p.relative_to(ROOT)) for p in (ROOT / "cpp").rglob("*.cpp") if "tests" not in p.parts
    ]
    built = [source for extension in distribution.ext_modules for source in extension.sources]
    assert sorted(built) == sorted(sources)
    for extension in distribution.ext_modules:
        assert "-march=native" not in extension.extra_compile_args


def test_build_requirements_cover_the_imports_of_setup() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    assert {name.partition(">")[0] for name in build} >= {"setuptools", "pybind11"}
