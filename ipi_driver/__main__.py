"""``densnet-driver``: serve a model to i-PI.

Exit statuses: 0 the server ended the run; 1 a defect; 2 wrong input or first frame; 3 a frame was
refused by the guard; 4 no server, or it vanished; 5 not the i-PI protocol; 130, 143 interrupted.
"""

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from densnet.errors import DensnetError, InputError
from densnet.units import HARTREE_BOHR_MEV_ANGSTROM, HARTREE_EV
from ipi_driver.checks import Template
from ipi_driver.client import Driver, ExitCode
from ipi_driver.committee import Committee
from ipi_driver.connection import SOCKETS_PREFIX, Endpoint
from ipi_driver.domain import Domain
from ipi_driver.evaluate import Evaluator, Model
from ipi_driver.guard import Guard, Limits

if TYPE_CHECKING:
    from densnet.export.runtime import EvaluationPath, Precision

logger = logging.getLogger("ipi_driver")

DESCRIPTION = """\
Serve a DenSNet model to i-PI: energy, forces, virial, and the dipole among the extras.

examples:
  i-pi input.xml & densnet-driver ethanol -u NAME     <address> of an <ffsocket mode='unix'>
  densnet-driver ethanol -t HOST:31415                mode='inet', another machine
  densnet-driver ethanol -u NAME -n 32                i-PI without <batch_size>: 32 connections,
                                                      one model call for all beads
  densnet-driver ethanol -u a -u b --stay             two servers, and whoever comes after them
  densnet-driver ethanol -u NAME --domain-stop 1.5    stop well outside the training set, whose
                                                      edge is 1
  densnet-driver first -c second third -u NAME --spread-stop 0.3
                                                      the mean of three models, and their spread
"""
EPILOG = """\
Start it before or after i-PI; it ends when i-PI ends. `densnet ipi template` has inputs that run as
they are, `densnet ipi check input.xml` reads yours.

extras, for <trajectory extra_type='…'>extras</trajectory>, in atomic units:
  dipole                               always
  domain                               distance from the training set, if the bundle or --domain
                                       says where that lies
  force_spread energy_spread dipole_spread
                                       with --committee
  polarizability polar_tensors coefficients_id
                                       where <parameters>{ properties: polarizability polar_tensors
                                       coefficients }</parameters> of the ffsocket asks for them

exit statuses: 0 i-PI ended the run, 1 a defect (see the log), 2 wrong input or first frame, 3 a
frame was refused by the guard, 4 no server or it vanished, 5 not the i-PI protocol, 130 and 143
interrupted.
"""


def build_parser() -> argparse.ArgumentParser:
    """The command line of ``densnet-driver``."""
    parser = argparse.ArgumentParser(
        prog="densnet-driver",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", help="name of a shipped model (ethanol) or path of a bundle")
    where = parser.add_argument_group("server (any of them, repeated for several servers)")
    where.add_argument(
        "-u",
        "--unix",
        metavar="NAME",
        action="append",
        default=[],
        help="<address> of a unix socket",
    )
    where.add_argument(
        "-t",
        "--tcp",
        metavar="HOST:PORT",
        action="append",
        default=[],
        help="a TCP socket (mode='inet')",
    )
    where.add_argument(
        "--shm", metavar="NAME", action="append", default=[], help="shared memory (mode='shm')"
    )
    where.add_argument(
        "--sockets-prefix",
        default=SOCKETS_PREFIX,
        help=f"as i-pi -S; default {SOCKETS_PREFIX}",
    )
    where.add_argument(
        "-n",
        "--connections",
        type=int,
        default=1,
        help="connections to each server, answered together (for i-PI without batch_size)",
    )
    where.add_argument(
        "--wait", type=float, default=600.0, help="seconds to wait for a server to start"
    )
    where.add_argument(
        "--reconnect",
        type=float,
        default=0.0,
        help="seconds to look for a server that vanished without EXIT; default 0, exit at once",
    )
    where.add_argument(
        "--stay",
        action="store_true",
        help="after EXIT wait for the next server at the same address, until SIGTERM",
    )
    model = parser.add_argument_group("model")
    model.add_argument(
        "-c",
        "--committee",
        metavar="BUNDLE",
        nargs="+",
        default=[],
        help="more models of the molecule: their mean is served, their disagreement is sent with "
        "every frame",
    )
    model.add_argument("-d", "--dtype", choices=("float32", "float64"), default="float32")
    model.add_argument("--threads", type=int, default=1, help="threads of the model; default 1")
    model.add_argument(
        "--path",
        choices=("auto", "engine", "torchscript"),
        default="auto",
        help="what evaluates the model: the compiled engine, TorchScript, or (auto, default) the "
        "engine where it can",
    )
    guard = parser.add_argument_group("guard")
    guard.add_argument(
        "--max-force", type=float, default=51.4, help="eV/Å; a larger force ends the run"
    )
    guard.add_argument(
        "--max-energy-change",
        type=float,
        default=2.72,
        help="eV an atom from the first frame; a larger one ends the run",
    )
    guard.add_argument(
        "--domain",
        type=Path,
        metavar="FILE",
        help="of `densnet ipi domain`: another training set than the bundle's, from which the "
        "distance of each frame is sent",
    )
    guard.add_argument(
        "--domain-stop",
        type=float,
        default=float("inf"),
        help="a larger distance ends the run (1: the edge of the training set)",
    )
    guard.add_argument(
        "--spread-warning",
        type=float,
        default=0.1,
        help="eV/Å; frames on whose forces a committee disagrees by more are counted",
    )
    guard.add_argument(
        "--spread-stop",
        type=float,
        default=float("inf"),
        help="eV/Å; a larger disagreement of a committee ends the run",
    )
    guard.add_argument(
        "--dump",
        type=Path,
        default=Path(),
        help="directory for refused frames and density coefficients; default here",
    )
    log = parser.add_argument_group("log")
    log.add_argument("--log", type=Path, help="append the log to this file instead of stderr")
    log.add_argument("--log-every", type=int, default=1000, help="frames between two lines")
    return parser


def check_arguments(args: argparse.Namespace) -> None:
    """Refuse numbers that would switch off a guard, or a stop that nothing triggers.

    Raises
    ------
    InputError
        With the option.
    """
    for name in ("connections", "threads", "log_every"):
        if getattr(args, name) < 1:
            raise InputError(f"{_option(name)} must be at least 1, got {getattr(args, name)}")
    for name in ("max_force", "max_energy_change", "domain_stop", "spread_stop"):
        if not getattr(args, name) > 0.0:
            raise InputError(f"{_option(name)} must be positive, got {getattr(args, name):g}")
    if args.spread_stop < float("inf") and not args.committee:
        raise InputError("--spread-stop: one model has no spread; give others with --committee")
    if not args.dump.is_dir():
        raise InputError(f"--dump {args.dump} is not a folder, where refused frames could be put")


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def load_bundle(args: argparse.Namespace) -> Model:
    """Load the bundles of the command line."""
    return load_members((args.model, *args.committee), args.dtype, args.threads, args.path)


def load_members(
    names: Sequence[str], dtype: "Precision", threads: int, path: "EvaluationPath" = "auto"
) -> Model:
    """Load and verify a bundle, or several as a committee; torch is imported only now."""
    from densnet.export.loading import load_model

    members = [load_model(name, dtype=dtype, threads=threads, path=path) for name in names]
    return Committee(members) if len(members) > 1 else members[0]


def main(
    arguments: Sequence[str] | None = None,
    load: Callable[[argparse.Namespace], Model] = load_bundle,
) -> int:
    """Load and warm up the model, then connect and serve; return the exit status.

    Parameters
    ----------
    arguments : sequence of str, optional
        The command line; that of the process if None.
    load : callable
        Where the model comes from: any potential can be served.
    """
    args = build_parser().parse_args(arguments)
    logging.basicConfig(
        filename=args.log,
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        datefmt="%Y-%m-%d %H:%M:%S",
    )
    try:
        check_arguments(args)
        driver = build_driver(args, load(args))
    except DensnetError as error:
        logger.error("%s", error)
        sys.stderr.write(f"densnet-driver: {error}\n")
        return ExitCode.BAD_INPUT
    try:
        return driver.run()
    except Exception:
        # Into the log, where the user looks; the status tells i-PI's keeper to try again.
        logger.exception("the driver failed; this is a defect of densnet")
        return ExitCode.FAILED


def build_driver(args: argparse.Namespace, model: Model) -> Driver:
    """Put the driver together around a loaded model.

    The model is warm before the first connection: i-PI's handshake blocks the server.
    """
    endpoints = [Endpoint.unix(name, args.sockets_prefix) for name in args.unix]
    endpoints += [Endpoint.tcp(text) for text in args.tcp]
    endpoints += [Endpoint.unix(name, args.sockets_prefix, shared_memory=True) for name in args.shm]
    template = Template.from_manifest(model.manifest)
    evaluator = Evaluator(model, template.numbers)
    evaluator.evaluate([template.positions[None]])
    limits = Limits(
        force=args.max_force * 1e3 / HARTREE_BOHR_MEV_ANGSTROM,
        energy_per_atom=args.max_energy_change / HARTREE_EV,
        domain_stop=args.domain_stop,
        spread_warning=args.spread_warning * 1e3 / HARTREE_BOHR_MEV_ANGSTROM,
        spread_stop=args.spread_stop * 1e3 / HARTREE_BOHR_MEV_ANGSTROM,
    )
    domain = find_domain(args, model, template)
    logger.info(
        "model %s: %s, charge %d, %s, %s, %d thread(s), first call %.1f ms",
        ", ".join([args.model, *args.committee]),
        " ".join(template.symbols),
        template.charge,
        getattr(model, "path", "Python"),
        args.dtype,
        args.threads,
        1e3 * evaluator.seconds,
    )
    return Driver(
        evaluator,
        template,
        Guard(template, limits, args.dump, domain),
        endpoints * max(args.connections, 1),
        directory=args.dump,
        wait_s=args.wait,
        reconnect_s=args.reconnect,
        stay=args.stay,
        log_every=args.log_every,
    )


def find_domain(args: argparse.Namespace, model: Model, template: Template) -> Domain | None:
    """The training set that frames are compared with: the one named, else the bundle's.

    A committee is its own measure.
    """
    if args.domain is not None:
        return Domain.load(args.domain, template.numbers)
    content = getattr(model, "domain", None)
    if content is not None:
        return Domain.from_bytes(content, template.numbers, f"the domain of {args.model}")
    if args.domain_stop < float("inf"):
        raise InputError(
            "--domain-stop needs a training set to measure from, and "
            + ("a committee has" if args.committee else "this bundle has")
            + " none: make one with `densnet ipi domain` and name it with --domain"
        )
    return None


if __name__ == "__main__":
    sys.exit(main())
