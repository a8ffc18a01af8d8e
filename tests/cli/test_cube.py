"""``densnet cube`` on labelled frames: the file it writes, and the mistakes it answers."""

import json
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import write
from ase.io.cube import read_cube

from densnet.basis import DensityBasis
from densnet.cli.main import main
from densnet.data.writer import FrameWriter
from densnet.density import electron_density_on_points, electrostatic_potential_on_points
from densnet.units import AU_DEBYE, BOHR_ANGSTROM
from tests.tolerances import CUBE_RELATIVE

NUMBERS = np.array([8, 1, 1])
POSITIONS = np.array([[0.0, 0.0, 0.0], [1.8, 0.1, 0.0], [-0.5, 1.7, 0.0]])
BASIS = "densnet-dz-367"


@pytest.fixture
def frames(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Return a file with two frames of water that carry coefficients."""
    basis = DensityBasis.load(BASIS)
    path = tmp_path / "water.h5"
    attributes = {"basis_name": basis.name, "basis_sha256": basis.sha256}
    writer = FrameWriter(path, NUMBERS, attributes)
    for frame in (3, 7):
        writer.append(
            {
                "frame": frame,
                "positions": POSITIONS * (1.0 + 0.01 * frame),
                "tag": "test",
                "temperature": 300.0,
                "trajectory": 0,
                "coefficients": 0.01 * rng.normal(size=basis.n_functions(NUMBERS)),
            }
        )
    writer.close()
    return path


def read(path: Path) -> dict:
    with open(path) as file:
        return read_cube(file)


@pytest.mark.parametrize(
    ("quantity", "compute"),
    [
        ("density", electron_density_on_points),
        ("potential", electrostatic_potential_on_points),
    ],
)
def test_the_cube_of_a_labelled_frame_holds_the_quantity(
    frames: Path, tmp_path: Path, quantity: str, compute
) -> None:
    from densnet.data.store import FrameFile

    output, report = tmp_path / "out.cube", tmp_path / "out.json"
    status = main(
        f"cube {frames} --frame 7 --quantity {quantity} --spacing 0.4 --margin 1 -o {output} "
        f"--json {report}".split()
    )
    assert status == 0
    cube, frame = read(output), FrameFile.read(frames, select={"frame": 7})
    np.testing.assert_allclose(
        cube["atoms"].positions, frame.positions[0] * BOHR_ANGSTROM, atol=1e-6
    )
    index = np.indices(cube["data"].shape).reshape(3, -1).T
    points = (cube["origin"] + index @ cube["spacing"]) / BOHR_ANGSTROM
    expected = compute(
        DensityBasis.load(BASIS), NUMBERS, frame.positions[0], frame.coefficients[0], points
    )
    # The file keeps six decimals of origin and spacing: up to 1e-4 bohr over the grid.
    scale = np.abs(np.minimum(expected, 100.0)).max()
    np.testing.assert_allclose(cube["data"].ravel(), np.minimum(expected, 100.0), atol=1e-3 * scale)
    written = json.loads(report.read_text())
    assert written["maximum"] == pytest.approx(cube["data"].max(), rel=CUBE_RELATIVE)
    assert written["n_electrons"] == 10


def test_the_first_frame_is_taken_by_default(frames: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.cube"
    assert main(f"cube {frames} --spacing 0.6 --margin 0.5 -o {output}".split()) == 0
    np.testing.assert_allclose(
        read(output)["atoms"].positions, POSITIONS * 1.03 * BOHR_ANGSTROM, atol=1e-6
    )


def test_a_model_gives_the_density_it_predicts_for_a_geometry(tmp_path: Path) -> None:
    from densnet.export.loading import load_model

    model = load_model("ethanol")
    geometry, output = tmp_path / "turned.xyz", tmp_path / "out.cube"
    # Turned about z by 90 degrees and shifted: not the geometry that is taken by default.
    turned = model.template_positions @ np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0, 0, 1.0]])
    write(geometry, Atoms(model.template_numbers, (turned + 2.0) * BOHR_ANGSTROM))
    report = tmp_path / "out.json"
    status = main(
        f"cube ethanol --geometry {geometry} --quantity difference --spacing 0.25 --margin 3.5 "
        f"-o {output} --json {report}".split()
    )
    assert status == 0
    written = json.loads(report.read_text())
    expected = model.evaluate(model.template_numbers, turned + 2.0).dipole[0] * AU_DEBYE
    # An xyz file keeps eight decimals of an angstrom; the network is float32.
    np.testing.assert_allclose(written["dipole_debye"], expected, atol=1e-4)
    # Bonding moves electrons and makes none. Beyond 3.5 angstrom there is less than 0.02 of them.
    assert abs(written["sum_times_volume"]) < 0.05
    np.testing.assert_allclose(
        read(output)["atoms"].positions, (turned + 2.0) * BOHR_ANGSTROM, atol=1e-5
    )


def test_a_geometry_that_is_not_there_is_reported(capsys) -> None:
    assert main("cube ethanol --geometry nowhere.xyz".split()) == 2
    assert "nowhere.xyz: no such geometry" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("{frames} --geometry x.xyz", "--geometry goes with a model"),
        ("no-such-model --frame 3", "--frame goes with a file of frames"),
        ("{frames} --frame 99", "no frames"),
        ("{frames} --spacing 0", "spacing must be positive"),
        ("missing.h5", "no such file"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(frames: Path, capsys, options, message) -> None:
    assert main(["cube", *options.format(frames=frames).split()]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1


def test_a_cube_never_replaces_its_geometry(tmp_path: Path, capsys) -> None:
    geometry = tmp_path / "mine.xyz"
    geometry.write_text("anything")
    assert main(["cube", "ethanol", "--geometry", str(geometry), "-o", str(geometry)]) == 2
    assert "is what the density is made from" in capsys.readouterr().err
    assert geometry.read_text() == "anything"
