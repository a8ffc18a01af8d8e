"""The integrals of the kernel against libcint (through PySCF), turn by turn, on the same functions.

S and J: the overlap and the Coulomb metric, libcint's symmetric form, both into memory that is
there already. "+ gradient": M c and the position gradient of cᵀM c, which the kernel computes
without the matrix and libcint from the matrix and its derivative (int1e_ipovlp, int2c2e_ip1; the
contraction is not counted). Density: 100000 points, eval_gto and the contraction with c. On an idle
machine the ratio of processor times is that of elapsed times; on a busy one it says more.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from densnet.basis import DensityBasis, library_names
from densnet.cli.bench_molecules import MOLECULES
from densnet.cli.bench_timing import Timing, interleaved
from densnet.integrals import (
    coulomb_metric,
    density_and_gradient_on_points,
    density_on_points,
    kernel_info,
    overlap,
    quadratic_form_with_gradients,
)
from densnet.structure import Structure

SUMMARY = "overlap, Coulomb metric, fused forms and density on points against libcint"
BASES = ("densnet-dz-hcos-367", "aug-cc-pvqz-jkfit")
N_POINTS = 100_000
QUANTITIES = ("S", "J", "S c + gradient", "J c + gradient", "density", "density + gradient")


@dataclass(frozen=True)
class Comparison:
    """One row of the table."""

    molecule: str
    basis: str
    n_functions: int
    n_threads: int
    quantity: str
    kernel: Timing
    libcint: Timing

    @property
    def wall_ratio(self) -> float:
        """How many times faster by elapsed time."""
        return self.libcint.wall_ms / self.kernel.wall_ms

    @property
    def cpu_ratio(self) -> float:
        """How many times less processor time."""
        return self.libcint.cpu_ms / self.kernel.cpu_ms


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--molecules", nargs="+", choices=list(MOLECULES), default=list(MOLECULES))
    parser.add_argument(
        "--bases",
        nargs="+",
        default=list(BASES),
        metavar="BASIS",
        help=f"names of density bases or of PySCF's library (default: {' '.join(BASES)})",
    )
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2], metavar="N")
    parser.add_argument("--quantities", nargs="+", choices=QUANTITIES, default=list(QUANTITIES))
    parser.add_argument(
        "--seconds",
        type=float,
        default=3.0,
        help="time for one row; that of a long chain takes what three turns need "
        "(default: %(default)s)",
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Print the table and return its numbers."""
    info = kernel_info()
    console = Console(soft_wrap=True)
    console.print(f"kernel: {info.instruction_set}, {info.compiler}")
    rows = []
    for name in args.molecules:
        structure = MOLECULES[name]()
        for basis_name in args.bases:
            basis = load_basis(basis_name, structure)
            for n_threads in args.threads:
                part = [
                    compare(name, structure, basis, n_threads, quantity, args.seconds)
                    for quantity in args.quantities
                ]
                console.print(table_of(part))
                rows += part
    return {
        "instruction_set": info.instruction_set,
        "compiler": info.compiler,
        "rows": [
            {**vars(row), "wall_ratio": row.wall_ratio, "cpu_ratio": row.cpu_ratio} for row in rows
        ],
    }


def load_basis(name: str, structure: Structure) -> DensityBasis:
    """Return a density basis of ours, or of PySCF's library, for the elements of a structure."""
    if name in library_names():
        return DensityBasis.load(name).restricted_to(structure.numbers.tolist())
    from densnet.reference import libcint

    return libcint.library_basis(name, structure.numbers.tolist())


def compare(
    molecule: str,
    structure: Structure,
    basis: DensityBasis,
    n_threads: int,
    quantity: str,
    seconds: float,
) -> Comparison:
    """Time one quantity by both codes."""
    from densnet.reference import libcint

    with libcint.threads(n_threads):
        timings = interleaved(functions_of(structure, basis, n_threads, quantity), seconds)
    return Comparison(
        molecule=molecule,
        basis=basis.name,
        n_functions=basis.n_functions(structure.numbers),
        n_threads=n_threads,
        quantity=quantity,
        kernel=timings["kernel"],
        libcint=timings["libcint"],
    )


def functions_of(
    structure: Structure, basis: DensityBasis, n_threads: int, quantity: str
) -> dict[str, Callable[[], object]]:
    """Return what both codes do for one quantity."""
    from densnet.reference import libcint

    z, r = structure.numbers, structure.positions
    mole = libcint.mole_of(basis, z, r)
    rng = np.random.default_rng(1)
    c = rng.normal(size=basis.n_functions(z))
    if quantity in ("S", "J"):
        metric, matrix = {"S": ("overlap", overlap), "J": ("coulomb", coulomb_metric)}[quantity]
        ours, theirs = np.zeros((2, c.size, c.size))
        return {
            "kernel": lambda: matrix(basis, z, r, n_threads=n_threads, out=ours),
            "libcint": lambda: libcint.metric_matrix(metric, mole, out=theirs),
        }
    if quantity in ("S c + gradient", "J c + gradient"):
        metric = "overlap" if quantity.startswith("S") else "coulomb"

        def matrix_and_derivative() -> None:
            libcint.metric_matrix(metric, mole)
            libcint.metric_derivative(metric, mole)

        return {
            "kernel": lambda: quadratic_form_with_gradients(
                metric, basis, z, r, c, n_threads=n_threads
            ),
            "libcint": matrix_and_derivative,
        }
    # ordered as a DFT grid: atom by atom, shell by shell from the nucleus outwards
    share = np.arange(N_POINTS) * len(r) // N_POINTS
    directions = rng.normal(size=(N_POINTS, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    radii = rng.gamma(2.0, 1.5, size=N_POINTS)
    radii = radii[np.lexsort((radii, share))]
    points = r[share] + radii[:, None] * directions
    with_gradient = quantity.endswith("gradient")
    ours_on_points = density_and_gradient_on_points if with_gradient else density_on_points
    return {
        "kernel": lambda: ours_on_points(basis, z, r, c, points, n_threads=n_threads),
        "libcint": lambda: libcint.density_on_points(mole, c, points, with_gradient),
    }


def table_of(rows: list[Comparison]) -> Table:
    """Return the table of one molecule, basis and number of threads."""
    first = rows[0]
    title = (
        f"{first.molecule}, {first.basis}, {first.n_functions} functions, "
        f"{first.n_threads} thread{'s' if first.n_threads > 1 else ''}"
    )
    table = Table(title=title, title_justify="left", box=None)
    table.add_column("")
    for heading in ("libcint, ms", "kernel, ms", "ratio", "ratio of cpu times"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(
            row.quantity,
            f"{row.libcint.wall_ms:.3f}",
            f"{row.kernel.wall_ms:.3f}",
            f"{row.wall_ratio:.1f}",
            f"{row.cpu_ratio:.1f}",
        )
    return table
