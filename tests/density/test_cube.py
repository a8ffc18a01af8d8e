"""Grids and cube files: read back by ASE, an independent reader."""

import numpy as np
import pytest
from ase.io.cube import read_cube

from densnet.basis import DensityBasis
from densnet.density import electron_density_on_points
from densnet.density.cube import grid_around, write_cube
from densnet.errors import InputError
from densnet.structure import Structure
from densnet.units import BOHR_ANGSTROM
from tests.tolerances import CUBE_RELATIVE


def test_grid_leaves_the_margin_on_every_side(water) -> None:
    grid = grid_around(water.positions, spacing=0.3, margin=2.0)
    points = grid.points
    assert (points.min(axis=0) <= water.positions.min(axis=0) - 2.0 + 1e-12).all()
    assert (points.max(axis=0) >= water.positions.max(axis=0) + 2.0 - 1e-12).all()
    assert len(points) == np.prod(grid.shape)


def test_points_run_with_z_fastest(water) -> None:
    points = grid_around(water.positions, spacing=0.5, margin=1.0).points
    np.testing.assert_allclose(points[1] - points[0], [0.0, 0.0, 0.5], atol=1e-12)


def test_a_cube_is_read_back_by_ase(tmp_path, water, rng) -> None:
    grid = grid_around(water.positions, spacing=0.7, margin=1.0)
    values = rng.normal(size=np.prod(grid.shape))
    path = tmp_path / "water.cube"
    write_cube(path, Structure(water.numbers, water.positions), grid, values, comment="a test")
    with open(path) as file:
        content = read_cube(file)
    np.testing.assert_allclose(content["data"].ravel(), values, rtol=CUBE_RELATIVE)
    np.testing.assert_allclose(content["origin"], grid.origin * BOHR_ANGSTROM, atol=1e-6)
    np.testing.assert_allclose(
        content["atoms"].positions, water.positions * BOHR_ANGSTROM, atol=1e-6
    )
    np.testing.assert_allclose(np.diag(content["spacing"]), 0.7 * BOHR_ANGSTROM, rtol=CUBE_RELATIVE)


def test_the_density_on_a_cube_holds_the_electrons(basis: DensityBasis) -> None:
    # Hydrogen alone: no cusp that a coarse grid would miss.
    positions = np.zeros((1, 3))
    grid = grid_around(positions, spacing=0.25, margin=7.0)
    density = electron_density_on_points(
        basis, [1], positions, np.zeros(basis.n_functions([1])), grid.points
    )
    assert abs(density.sum() * grid.volume_element - 1.0) < 1e-3


def test_values_of_another_grid_are_refused(tmp_path, water) -> None:
    grid = grid_around(water.positions, spacing=0.7, margin=1.0)
    with pytest.raises(InputError, match="as many values"):
        write_cube(
            tmp_path / "x.cube",
            Structure(water.numbers, water.positions),
            grid,
            np.zeros(5),
            comment="",
        )


def test_a_folder_that_does_not_exist_is_reported(tmp_path, water) -> None:
    grid = grid_around(water.positions, spacing=0.9, margin=0.5)
    with pytest.raises(InputError, match="cannot write the cube file"):
        write_cube(
            tmp_path / "missing" / "x.cube",
            Structure(water.numbers, water.positions),
            grid,
            np.zeros(grid.shape),
            comment="",
        )


@pytest.mark.parametrize(("spacing", "margin"), [(0.0, 1.0), (-1.0, 1.0), (0.2, -1.0)])
def test_a_grid_without_extent_is_refused(spacing: float, margin: float) -> None:
    with pytest.raises(InputError, match="spacing must be positive"):
        grid_around(np.zeros((1, 3)), spacing=spacing, margin=margin)
