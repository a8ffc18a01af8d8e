"""``densnet bench``: time the parts that decide how fast everything else is."""

import argparse
import importlib
import pkgutil
from pathlib import Path
from types import ModuleType

import densnet.cli
from densnet.cli.output import add_json_option, write_json
from densnet.errors import InputError

# A benchmark is a module densnet.cli.bench_NAME with SUMMARY, add_arguments(parser) and
# run(args), which prints and returns its numbers.
ORDER = ("kernel", "model", "driver")

HELP = """\
Time the parts that decide how fast everything else is. Functions that are compared take turns, so
that a busy machine slows them alike; medians are shown.

examples:
  densnet bench                                   everything that is installed
  densnet bench kernel                            the integrals against libcint
  densnet bench kernel --molecules ethanol --threads 1 --json kernel.json
"""


def available() -> list[str]:
    """Names of the benchmarks whose module is installed."""
    present = {module.name for module in pkgutil.iter_modules(densnet.cli.__path__)}
    return [name for name in ORDER if f"bench_{name}" in present]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the verb and of every benchmark."""
    add_json_option(parser)
    benchmarks = parser.add_subparsers(dest="benchmark", metavar="BENCHMARK")
    for name in available():
        module = _module(name)
        part = benchmarks.add_parser(name, help=module.SUMMARY, description=module.__doc__)
        module.add_arguments(part)
        part.add_argument(
            "--json", type=Path, default=argparse.SUPPRESS, metavar="FILE", help=argparse.SUPPRESS
        )


def run(args: argparse.Namespace) -> int:
    """Run one benchmark, or all of them with their defaults."""
    names = available() if args.benchmark is None else [args.benchmark]
    if not names:
        raise InputError(f"no benchmark is installed; there should be {', '.join(ORDER)}")
    report = {}
    for name in names:
        module = _module(name)
        options = args
        if args.benchmark is None:
            parser = argparse.ArgumentParser()
            module.add_arguments(parser)
            options = parser.parse_args([])
        report[name] = module.run(options)
    write_json(args.json, report)
    return 0


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"densnet.cli.bench_{name}")
