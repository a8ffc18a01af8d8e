from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from densnet.basis import DensityBasis
from densnet.data.store import FrameFile
from densnet.data.writer import FrameWriter
from densnet.density import compute_moments
from densnet.errors import InputError, MissingLabelError
from densnet.reference.density_fit import DensityFitter
from densnet.reference.labelling import level_attributes
from densnet.reference.level import Level
from densnet.reference.refit import refit
from densnet.reference.scf import Calculator
from densnet.structure import Structure
from tests.tolerances import CONSTRAINT, FIT_COEFFICIENTS

LEVEL = Level(basis="sto-3g", auxiliary_basis="weigend", grid_level=1)


@pytest.fixture
def labelled(tmp_path: Path, water: Structure) -> Path:
    """Write three labelled frames of water."""
    calculator = Calculator(LEVEL)
    path = tmp_path / "water.h5"
    with FrameWriter(path, water.numbers, level_attributes(LEVEL, 0)) as writer:
        for i in range(3):
            positions = water.positions * (1.0 + 0.02 * i)
            label = calculator.label(Structure(water.numbers, positions))
            writer.append(
                {
                    "frame": i,
                    "positions": positions,
                    "tag": "train",
                    "temperature": 300.0,
                    "trajectory": 0,
                    "dipole": label.dipole,
                    "orbitals": label.orbitals,
                }
            )
    return path


@pytest.fixture(scope="module")
def basis() -> DensityBasis:
    return DensityBasis.load("densnet-dz-367")


def test_coefficients_carry_the_dipole_no_charge_and_the_name_of_their_basis(
    labelled: Path, basis: DensityBasis
) -> None:
    with ThreadPoolExecutor(1) as executor:
        assert refit(labelled, basis, executor) == 3
        assert refit(labelled, basis, executor) == 0
    frames = FrameFile.read(labelled, require=("coefficients",))
    water_basis = basis.restricted_to([1, 8])
    assert frames.attributes["basis_name"] == "densnet-dz-367"
    assert frames.attributes["basis_sha256"] == basis.sha256
    for i in range(3):
        moments = compute_moments(
            water_basis, frames.numbers, frames.positions[i], frames.coefficients[i]
        )
        assert abs(moments.charge) < CONSTRAINT
        assert np.abs(moments.dipole - frames.dipole[i]).max() < CONSTRAINT
    fitter = DensityFitter(water_basis, frames.numbers, LEVEL.basis)
    direct = fitter.fit(frames.positions[1], frames["orbitals"][1], frames.dipole[1])
    assert np.abs(direct - frames.coefficients[1]).max() < FIT_COEFFICIENTS


def test_another_basis_replaces_all_coefficients(labelled: Path, basis: DensityBasis) -> None:
    other = DensityBasis("other", basis.shells, basis.prior)
    with ThreadPoolExecutor(1) as executor:
        refit(labelled, basis, executor)
        assert refit(labelled, other, executor) == 3
    assert FrameFile.read(labelled).attributes["basis_name"] == "other"


def test_only_frames_without_coefficients_are_fitted(
    labelled: Path, basis: DensityBasis, water: Structure
) -> None:
    with ThreadPoolExecutor(1) as executor:
        refit(labelled, basis, executor)
        frames = FrameFile.read(labelled)
        with FrameWriter(labelled, water.numbers, level_attributes(LEVEL, 0)) as writer:
            row = {name: frames.columns[name][0] for name in ("positions", "dipole", "orbitals")}
            extra = {"frame": 9, "tag": "test", "temperature": 300.0, "trajectory": 1}
            writer.append(row | extra)
        assert refit(labelled, basis, executor) == 1
    again = FrameFile.read(labelled, require=("coefficients",))
    assert np.array_equal(again.coefficients[:3], frames.coefficients)
    assert np.abs(again.coefficients[3] - frames.coefficients[0]).max() < FIT_COEFFICIENTS


def test_a_file_without_orbitals_or_level_is_refused(
    tmp_path: Path, basis: DensityBasis, water: Structure
) -> None:
    row = {
        "frame": 0,
        "positions": water.positions,
        "tag": "train",
        "temperature": 300.0,
        "trajectory": 0,
        "dipole": np.zeros(3),
    }
    with FrameWriter(tmp_path / "a.h5", water.numbers, {}) as writer:
        writer.append(row)
    with FrameWriter(tmp_path / "b.h5", water.numbers, {}) as writer:
        writer.append({**row, "orbitals": np.zeros((7, 5))})
    with ThreadPoolExecutor(1) as executor:
        with pytest.raises(MissingLabelError, match="has no orbitals"):
            refit(tmp_path / "a.h5", basis, executor)
        with pytest.raises(InputError, match="does not name the orbital basis"):
            refit(tmp_path / "b.h5", basis, executor)
