"""``densnet spectrum``: spectra with error bars from molecular dynamics, beside measurement."""

import argparse
from pathlib import Path
from typing import Any

from densnet.cli.output import add_json_option, write_json
from densnet.errors import InputError

HELP = """\
Infrared and Raman spectra and the vibrational density of states of the trajectories of one or
more runs, each with its statistical error, as CSV and picture; measured bands or a measured
spectrum beside them.

examples:
  densnet spectrum run/ --ir --bands ethanol
  densnet spectrum run-*/ --ir --resolution 16 --compare ethanol.jdx --null methanol.jdx
  densnet spectrum --dipole sim.dipole_0 --timestep-fs 0.5 --temperature 300

Files of one prefix that differ in the bead number at their end are the beads of one
path-integral run and are averaged; all others are independent segments.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the verb."""
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN", help="run directories")
    what = parser.add_argument_group("what to compute (infrared if nothing is said)")
    what.add_argument("--ir", action="store_true", help="infrared absorption")
    what.add_argument("--vdos", action="store_true", help="vibrational density of states")
    what.add_argument("--raman", action="store_true", help="Raman activity")
    files = parser.add_argument_group("files instead of run directories")
    for option, text in {
        "dipole": "i-PI extras files with dipoles, e·bohr",
        "dipole-derivative": "extras files with the exact dM/dt, used instead of the dipole",
        "polarizability": "extras files with polarizabilities, bohr³",
        "positions": "i-PI xyz files",
        "velocities": "i-PI xyz files",
        "trajectory": "files that ASE reads, with dipoles (e·Å) and momenta",
    }.items():
        files.add_argument(
            f"--{option}", nargs="+", type=Path, default=[], metavar="FILE", help=text
        )
    files.add_argument(
        "--timestep-fs",
        type=float,
        metavar="FS",
        help="simulation step; for --trajectory the time between frames",
    )
    files.add_argument("--temperature", type=float, metavar="K", help="of the simulation")
    files.add_argument(
        "--independent",
        action="store_true",
        help="every file is a segment of its own, none is a bead",
    )
    how = parser.add_argument_group("how")
    how.add_argument(
        "--resolution",
        type=float,
        default=10.0,
        metavar="CM-1",
        help="full width at half maximum of a sharp line (default 10)",
    )
    how.add_argument(
        "--window",
        default="blackman",
        metavar="NAME",
        help="lag window: blackman (default), hann, gaussian, bartlett",
    )
    how.add_argument(
        "--range",
        nargs=2,
        type=float,
        default=(400.0, 4000.0),
        metavar=("LOW", "HIGH"),
        help="cm⁻¹ (default 400 4000)",
    )
    how.add_argument(
        "--frame",
        choices=("laboratory", "eckart"),
        default="laboratory",
        help="keep overall rotation (as measured) or remove it; the latter needs positions",
    )
    how.add_argument(
        "--skip-ps",
        type=float,
        default=0.0,
        metavar="PS",
        help="leave out the start of every segment",
    )
    how.add_argument(
        "--laser-nm",
        type=float,
        metavar="NM",
        help="also write and draw the Stokes intensity for a laser of this wavelength",
    )
    beside = parser.add_argument_group("measurement")
    beside.add_argument(
        "--bands",
        metavar="NAME|CSV",
        help="measured band positions: ethanol, ethanethiol, methanol, thiophene, or your CSV",
    )
    beside.add_argument(
        "--compare",
        type=Path,
        metavar="FILE",
        help="measured spectrum to be scored against: JCAMP-DX or CSV",
    )
    beside.add_argument(
        "--null",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="spectra of other molecules, scored likewise, and what each of them reaches itself",
    )
    beside.add_argument(
        "--ceiling",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="other measurements of the same molecule, scored in place of the calculated spectrum",
    )
    beside.add_argument(
        "--compare-resolution",
        type=float,
        default=16.0,
        metavar="CM-1",
        help="common resolution of the scores (default 16)",
    )
    beside.add_argument(
        "--no-baseline",
        action="store_true",
        help="leave the baseline of the measured spectrum as it is",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="folder for CSV and pictures (default RUN/spectrum)",
    )
    parser.add_argument("--title", default="", help="heading of the pictures")
    parser.add_argument(
        "--overlay",
        nargs="+",
        default=[],
        metavar="[LABEL=]CSV",
        help="infrared spectra computed before (ir.csv), drawn beside",
    )
    parser.add_argument(
        "--facf", action="store_true", help="also write i-PI's *_facf.data (atomic units)"
    )
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """Compute what was asked for, write the files, print where they are."""
    from densnet.cli.spectrum_report import compute_spectra

    if not (args.ir or args.vdos or args.raman):
        args.ir = True
    if not 0 <= args.range[0] < args.range[1]:
        raise InputError(f"--range must be two ascending wavenumbers, got {args.range}")
    if args.skip_ps < 0.0:
        raise InputError(f"--skip-ps must not be negative, got {args.skip_ps:g}")
    places = [run.resolve() for run in args.runs]
    if len(set(places)) < len(places):
        raise InputError("a run is given twice: its trajectories would count as independent ones")
    if (args.null or args.ceiling) and args.compare is None:
        raise InputError("--null and --ceiling go beside a measured spectrum: give --compare FILE")
    if not args.runs and not _explicit(args):
        raise InputError("give a run directory, or files with --dipole, --velocities, …")
    if args.runs and _explicit(args):
        raise InputError("give run directories or single files, not both")
    if _explicit(args) and (args.timestep_fs is None or args.temperature is None):
        raise InputError("single files need --timestep-fs and --temperature")
    report: dict[str, Any] = compute_spectra(args)
    write_json(args.json, report)
    return 0


def _explicit(args: argparse.Namespace) -> bool:
    names = ("dipole", "dipole_derivative", "polarizability", "positions", "velocities")
    return any(getattr(args, name) for name in (*names, "trajectory"))
