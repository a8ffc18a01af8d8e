"""The entry point ``densnet``: finds the verb, imports it alone, runs it, reports errors."""

import argparse
import importlib
import logging
import os
import pkgutil
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from types import ModuleType

import densnet
from densnet.errors import DensnetError

# One line a verb, here rather than in the modules so that `densnet --help` imports none of them.
SUMMARIES = {
    "sample": "starting geometries from GFN2-xTB molecular dynamics",
    "label": "energies, forces, dipoles and densities from PySCF, parallel and resumable",
    "train": "train a model on labelled frames, with checkpoints and resume",
    "evaluate": "errors of a model on test frames: density, dipole, energy, forces",
    "export": "turn a checkpoint into a verified model bundle",
    "md": "molecular dynamics with i-PI",
    "sweep": "many i-PI runs over thermostats and temperatures",
    "spectrum": "IR and Raman spectra, with error bars, from an i-PI run",
    "harmonic": "harmonic frequencies and IR intensities of a model, beside DFT's",
    "cube": "the electron density of a geometry as a cube file",
    "ipi": "write and check i-PI input files",
    "doctor": "what is installed, what is missing, and how to get it",
    "bench": "time the integrals against libcint",
}

EPILOG = """\
examples:
  densnet doctor                                         is everything here?
  densnet md ethanol --ensemble nvt-svr --steps 20000    dynamics with the shipped model
  densnet spectrum RUN --ir                              its infrared spectrum: csv and picture
  densnet VERB --help                                    the options of a verb, with examples

exit status: 0 success, 2 wrong input (one line on stderr says what to do), 130 interrupted
"""

INSTALL_HINTS = {
    "pyscf": "pip install 'densnet[label]'",
    "tblite": "pip install 'densnet[label]'",
    "mpi4py": "pip install 'densnet[mpi]'",
}


def available_verbs() -> list[str]:
    """Names of the verbs whose module is installed, in the order of a working day."""
    import densnet.cli

    present = {module.name for module in pkgutil.iter_modules(densnet.cli.__path__)}
    return [verb for verb in SUMMARIES if verb in present]


def build_parser(verbs: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser of the options in front of the verb, which also prints the overview."""
    width = max(len(verb) for verb in SUMMARIES)
    listing = "\n".join(f"  {verb:<{width}}  {SUMMARIES[verb]}" for verb in verbs)
    parser = argparse.ArgumentParser(
        prog="densnet",
        usage="densnet [-v] VERB [options]",
        description="From density-functional theory to spectra, with a learned electron density.\n"
        f"\nverbs:\n{listing}",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"densnet {densnet.__version__}")
    parser.add_argument(
        "-v", "--verbose", action="count", default=0, help="log what is done (-vv: everything)"
    )
    parser.add_argument(
        "--debug", action="store_true", help="show the traceback of an error, for a bug report"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``densnet``.

    Parameters
    ----------
    argv : sequence of str, optional
        The command line after the program's name; ``sys.argv[1:]`` if None.

    Returns
    -------
    int
        The exit status: 0, 2 for an error of the DensnetError tree or a missing package,
        130 for Ctrl-C; a verb may return others.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    verbs = available_verbs()
    parser = build_parser(verbs)
    first = next((i for i, word in enumerate(words) if not word.startswith("-")), len(words))
    options = parser.parse_args(words[:first])
    if first == len(words):
        parser.print_help()
        return 2
    verb = words[first]
    if verb not in verbs:
        return _complain(_unknown_verb(verb, verbs))
    _start_logging(options.verbose)
    if verb != "doctor":
        # Before anything reads it: threads of torch and PySCF slow small molecules down, up to
        # tenfold on a busy machine. Verbs that gain from threads have --threads.
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        module, verb_parser = load_verb(verb)
        return int(module.run(verb_parser.parse_args(words[first + 1 :])))
    except DensnetError as error:
        if options.debug:
            raise
        return _complain(f"densnet {verb}: {error}")
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if options.debug or package in ("", "densnet"):
            raise
        hint = INSTALL_HINTS.get(package, f"pip install {package}")
        return _complain(f"densnet {verb}: the package {package} is not installed: {hint}")
    except KeyboardInterrupt:
        print(f"densnet {verb}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of a pipe (`| head`) left; Python would complain again while flushing at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        # A place that cannot be written, a full disk: what was written before is whole.
        if options.debug or error.errno is None:
            raise
        where = f"{error.filename}: " if error.filename is not None else ""
        return _complain(f"densnet {verb}: {where}{error.strerror or error} (--debug shows where)")


def load_verb(name: str) -> tuple[ModuleType, argparse.ArgumentParser]:
    """Import one verb and return its module and its parser."""
    module = importlib.import_module(f"densnet.cli.{name}")
    parser = argparse.ArgumentParser(
        prog=f"densnet {name}",
        description=module.HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)
    return module, parser


def _unknown_verb(verb: str, verbs: Sequence[str]) -> str:
    if verb in SUMMARIES:
        return f"densnet: the verb {verb!r} is not part of this version; there are {verbs}"
    nearest = get_close_matches(verb, verbs, n=1)
    hint = f"did you mean {nearest[0]!r}? " if nearest else ""
    return f"densnet: there is no verb {verb!r}; {hint}(densnet --help lists {', '.join(verbs)})"


def _complain(message: str) -> int:
    print(" ".join(message.split()), file=sys.stderr)
    return 2


def _start_logging(verbosity: int) -> None:
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbosity, 2)]
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s")
