"""``densnet ipi``: check i-PI inputs, copy templates, find the potential for i-PI's own driver."""

import argparse
import importlib.util
import shutil
from dataclasses import asdict
from pathlib import Path

from densnet.cli.output import add_json_option, write_json
from densnet.errors import InputError

HELP = """Help with i-PI inputs.

examples:
  densnet ipi check input.xml            what will be slow, dangerous or wrong
  densnet ipi template                   the templates there are
  densnet ipi template trpmd             copy one, and ethanol.xyz, into this folder
  densnet ipi domain ethanol.h5          the training set, for `densnet-driver --domain`
  densnet ipi pes-path                   the file for `i-pi-py_driver -m custom -P` and <ffdirect>
"""

TEMPLATES = Path(__file__).parents[1] / "simulate" / "inputs"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = actions.add_parser("check", help="read an input and say what is wrong with it")
    check.add_argument("input", type=Path, help="input.xml")
    add_json_option(check)
    template = actions.add_parser("template", help="list the templates, or copy one")
    template.add_argument("name", nargs="?", help="one of the list")
    template.add_argument("--output", type=Path, default=Path(), help="folder; default here")
    domain = actions.add_parser(
        "domain", help="learn where another training set lies than the bundle's, for the driver"
    )
    domain.add_argument("labels", type=Path, help="HDF5 file of labelled frames")
    domain.add_argument("--tag", default="train", help="frames to take; default train")
    domain.add_argument("--output", type=Path, default=Path("domain.npz"))
    actions.add_parser("pes-path", help="print the path of the potential for i-PI's own driver")


def run(args: argparse.Namespace) -> int:
    """Do the action; ``check`` returns 1 when something is wrong or dangerous."""
    if args.action == "pes-path":
        return print_pes_path()
    if args.action == "domain":
        return write_domain(args.labels, args.tag, args.output)
    if args.action == "template":
        return list_templates() if args.name is None else copy_template(args.name, args.output)
    return check(args.input, args.json)


def check(path: Path, json_path: Path | None) -> int:
    """Print the findings on an input."""
    from densnet.simulate.check_input import check_input

    findings = check_input(path)
    for finding in findings:
        print(f"{finding.severity:9s} {finding.where}: {finding.message}")
    if not findings:
        print(f"{path}: nothing to say against it")
    write_json(json_path, {"input": str(path), "findings": [asdict(f) for f in findings]})
    return 1 if any(f.severity in ("wrong", "dangerous") for f in findings) else 0


def write_domain(labels: Path, tag: str, output: Path) -> int:
    """Write where a training set lies."""
    from densnet.data.store import FrameFile
    from ipi_driver.domain import fit_domain

    frames = FrameFile.read(labels, require=(), select={"tag": tag})
    domain = fit_domain(frames.numbers.tolist(), frames.positions)
    output.write_bytes(domain.to_bytes())
    print(f"{output}: {len(frames.positions)} frames, {len(domain.mean)} distances")
    return 0


def list_templates() -> int:
    """Print the name and the first line of every template."""
    for path in sorted(TEMPLATES.glob("*.xml")):
        title = path.read_text(encoding="utf-8").split("\n", 1)[0].removeprefix("<!--").strip()
        print(f"{path.stem:24s} {title}")
    return 0


def copy_template(name: str, directory: Path) -> int:
    """Copy a template and its structure into a folder."""
    source = TEMPLATES / f"{name}.xml"
    if not source.is_file():
        names = ", ".join(sorted(path.stem for path in TEMPLATES.glob("*.xml")))
        raise InputError(f"no template {name!r}; there are {names}")
    directory.mkdir(parents=True, exist_ok=True)
    for path in (source, TEMPLATES / "ethanol.xyz"):
        target = directory / path.name
        if target.exists():
            raise InputError(f"{target} exists; choose another folder with --output")
        shutil.copyfile(path, target)
        print(target)
    return 0


def print_pes_path() -> int:
    """Print where ``ipi_driver.pes`` lies, without importing it."""
    package = importlib.util.find_spec("ipi_driver")
    if package is None or package.origin is None:
        raise InputError("the package ipi_driver is not installed: pip install densnet")
    print(Path(package.origin).with_name("pes.py"))
    return 0
