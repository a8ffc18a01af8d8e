"""``densnet cube``: the electron density, Δρ or electrostatic potential as a Gaussian cube file."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from densnet.cli.output import add_json_option, write_json
from densnet.errors import InputError
from densnet.units import AU_DEBYE, BOHR_ANGSTROM

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from densnet.basis import DensityBasis
    from densnet.structure import Structure

HELP = """\
Write the electron density of a molecule, predicted by a model or fitted to a labelled frame, as a
cube file that VMD, Avogadro, VESTA, Jmol and ASE read.

examples:
  densnet cube ethanol                                  the geometry the model was trained on
  densnet cube ethanol --geometry my.xyz -o my.cube     any geometry (angstrom), same elements
  densnet cube ethanol.h5 --frame 12                    the fitted density of a labelled frame
  densnet cube ethanol --quantity potential             electrostatic potential, hartree/e
  densnet cube ethanol --quantity difference            what bonding moved: density - free atoms
"""

QUANTITIES = {
    "density": "electron density, e/bohr^3",
    "difference": "electron density minus free atoms, e/bohr^3",
    "potential": "electrostatic potential, hartree/e",
}
# A nucleus lies on a grid point only by chance; there the potential is infinite, which no viewer
# reads. This is the potential 0.01 bohr from a proton.
POTENTIAL_CEILING = 100.0
# Frames of a label file are recognised by their names.
FRAME_SUFFIXES = (".h5", ".hdf5")


@dataclass(frozen=True, eq=False)
class ExpandedDensity:
    """A molecule with the coefficients of its Δρ, and where they come from."""

    structure: "Structure"
    basis: "DensityBasis"
    coefficients: "NDArray[np.float64]"
    origin: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the verb."""
    parser.add_argument(
        "source", help="a shipped model, a bundle, or a file of labelled frames (.h5)"
    )
    parser.add_argument(
        "--geometry", type=Path, metavar="FILE", help="a geometry that ASE reads, in angstrom"
    )
    parser.add_argument(
        "--frame", type=int, help="identity of a labelled frame (default: the first)"
    )
    parser.add_argument("--quantity", choices=sorted(QUANTITIES), default="density")
    parser.add_argument(
        "--spacing", type=float, default=0.15, metavar="ANGSTROM", help="of points (default 0.15)"
    )
    parser.add_argument(
        "--margin",
        type=float,
        default=3.0,
        metavar="ANGSTROM",
        help="around the nuclei (default 3.0)",
    )
    parser.add_argument("-o", "--output", type=Path, help="cube file (default: SOURCE.cube)")
    add_json_option(parser)


def run(args: argparse.Namespace) -> int:
    """Write the cube and say what it holds."""
    from densnet.density import compute_moments
    from densnet.density.cube import grid_around, write_cube

    output = args.output or Path(f"{Path(args.source).stem}.cube")
    for used in (Path(args.source), args.geometry):
        if used is not None and output.resolve() == used.resolve():
            raise InputError(f"--output {output} is what the density is made from; give another")
    if args.spacing <= 0.0:
        raise InputError(f"--spacing must be positive, got {args.spacing:g}")
    density = load_density(args.source, args.geometry, args.frame)
    structure = density.structure
    grid = grid_around(
        structure.positions,
        spacing=args.spacing / BOHR_ANGSTROM,
        margin=args.margin / BOHR_ANGSTROM,
    )
    values = compute_values(density, args.quantity, grid.points)
    write_cube(
        output, structure, grid, values, comment=f"{density.origin}: {QUANTITIES[args.quantity]}"
    )
    held = compute_moments(
        density.basis, structure.numbers, structure.positions, density.coefficients
    )
    report = {
        "output": output,
        "quantity": args.quantity,
        "unit": QUANTITIES[args.quantity].rsplit(", ", 1)[1],
        "source": density.origin,
        "shape": grid.shape,
        "spacing_angstrom": args.spacing,
        "minimum": float(values.min()),
        "maximum": float(values.max()),
        "sum_times_volume": float(values.sum() * grid.volume_element),
        "n_electrons": structure.n_electrons,
        "dipole_debye": held.dipole * AU_DEBYE,
    }
    print(f"{output}: {QUANTITIES[args.quantity]}; {' x '.join(map(str, grid.shape))} points")
    print(f"from {density.origin}; minimum {values.min():.4g}, maximum {values.max():.4g}")
    if args.quantity == "density":
        print(
            f"{report['sum_times_volume']:.3f} electrons on the grid, {structure.n_electrons} in "
            "the molecule (cusps at the nuclei need a finer grid)"
        )
    write_json(args.json, report)
    return 0


def load_density(source: str, geometry: Path | None, frame: int | None) -> ExpandedDensity:
    """Return the density that the command line names.

    Raises
    ------
    InputError
        If an option does not fit the kind of source.
    """
    if Path(source).suffix in FRAME_SUFFIXES:
        if geometry is not None:
            raise InputError(
                "--geometry goes with a model; a labelled frame has its own geometry (--frame)"
            )
        return labelled_density(Path(source), frame)
    if frame is not None:
        raise InputError(
            f"--frame goes with a file of frames (.h5), {source!r} is taken as a model"
        )
    return predicted_density(source, geometry)


def labelled_density(path: Path, frame: int | None) -> ExpandedDensity:
    """Return the fitted density of a labelled frame."""
    import numpy as np

    from densnet.data.coefficients import basis_of_coefficients
    from densnet.data.store import FrameFile
    from densnet.structure import Structure

    frames = FrameFile.read(path, select=None if frame is None else {"frame": frame})
    basis = basis_of_coefficients(frames).restricted_to(np.unique(frames.numbers).tolist())
    coefficients = frames.coefficients[0]
    expected = basis.n_functions(frames.numbers)
    if coefficients.shape != (expected,) or not np.isfinite(coefficients).all():
        raise InputError(
            f"{path}: frame {int(frames['frame'][0])} has no coefficients in basis {basis.name!r}; "
            "fit them with densnet label"
        )
    return ExpandedDensity(
        Structure(
            frames.numbers, frames.positions[0], charge=int(frames.attributes.get("charge", 0))
        ),
        basis,
        coefficients,
        f"frame {int(frames['frame'][0])} of {path.name}",
    )


def predicted_density(name_or_path: str, geometry: Path | None) -> ExpandedDensity:
    """Return the density a model predicts for a geometry, or for the one it was trained on."""
    from densnet.cli.geometry import geometry_of
    from densnet.export.loading import load_model
    from densnet.structure import Structure

    model = load_model(name_or_path)
    numbers, positions = geometry_of(model, geometry)
    structure = Structure(numbers, positions, charge=int(model.manifest.get("charge", 0)))
    prediction = model.evaluate(structure.numbers, structure.positions)
    return ExpandedDensity(
        structure,
        model.basis,
        prediction.coefficients[0],
        f"model {model.name}",
    )


def compute_values(
    density: ExpandedDensity, quantity: str, points: "NDArray[np.float64]"
) -> "NDArray[np.float64]":
    """Return the quantity on points, (n_points,), atomic units."""
    import numpy as np

    from densnet.density import electron_density_on_points, electrostatic_potential_on_points
    from densnet.integrals import density_on_points

    structure = density.structure
    arguments = (density.basis, structure.numbers, structure.positions, density.coefficients)
    if quantity == "density":
        return electron_density_on_points(*arguments, points)
    if quantity == "difference":
        return np.asarray(density_on_points(*arguments, points))
    return np.minimum(electrostatic_potential_on_points(*arguments, points), POTENTIAL_CEILING)
