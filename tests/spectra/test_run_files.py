"""Run directories, single files and ASE trajectories as sources of signals."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io.trajectory import Trajectory
from ase.units import Ang, Bohr, fs

from densnet.errors import DataError, InputError, NonFiniteError
from densnet.spectra.explicit_files import group_files
from densnet.spectra.ipi_properties import load_properties
from densnet.spectra.run_directory import load_run, model_name
from densnet.spectra.signals import check_alike, load_rows, load_signals
from densnet.units import AU_FS, BOHR_ANGSTROM, DALTON_AU
from tests.tolerances import CODATA_RELATIVE


def manifest(**changes: Any) -> dict[str, Any]:
    segment = {
        "name": "nve-00",
        "stage": "02_nve",
        "temperature_kelvin": 310.0,
        "timestep_fs": 0.5,
        "dipole_files": ["02_nve/densnet.dipole_0"],
        "use_for_spectrum": True,
    }
    warmup = segment | {"name": "warm", "use_for_spectrum": False}
    return {
        "format": "densnet-run",
        "version": 1,
        "model": {"name": "ethanol"},
        "nuclei": "classical",
        "finished": True,
        "segments": [warmup, segment],
    } | changes


def write_run(folder: Path, **changes: Any) -> Path:
    (folder / "run.json").write_text(json.dumps(manifest(**changes)))
    return folder


def test_segments_for_spectra_are_listed(tmp_path: Path) -> None:
    (segment,) = load_run(write_run(tmp_path))
    assert segment.name == f"{tmp_path.name}/nve-00"
    assert segment.temperature_kelvin == 310.0
    assert segment.files == {"dipole": (tmp_path / "02_nve/densnet.dipole_0",)}
    assert model_name(tmp_path) == "ethanol"


def test_beads_of_a_path_integral_run_are_averaged(tmp_path: Path) -> None:
    names = []
    for bead, shift in enumerate((1.0, 3.0)):
        names.append(f"densnet.dipole_{bead}")
        rows = [f" #EXTRAS(dipole)# Step: {4 * i} \n {i + shift} 0 0\n" for i in range(5)]
        (tmp_path / names[-1]).write_text("".join(rows))
    segment = manifest()["segments"][1] | {"dipole_files": names}
    (signal,) = load_signals(
        load_run(write_run(tmp_path, segments=[segment], nuclei="kubo")), "dipole"
    )
    assert signal.values[:, 0].tolist() == [2, 3, 4, 5, 6]
    assert signal.timestep_au == pytest.approx(2.0 / AU_FS)


def test_an_unfinished_run_is_used_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert load_run(write_run(tmp_path, finished=False))
    assert "has not finished" in caplog.text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nuclei": "kubo"}, "kind.*classical nuclei and ethanol, path-integral nuclei"),
        ({"model": {"name": "water"}}, "kind.*water"),
        ({"temperature_kelvin": 500.0}, "temperature.*310.0 and 500.0"),
        ({"timestep_fs": 0.25}, "time step"),
    ],
)
def test_runs_that_are_not_alike_are_not_averaged(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    segment = manifest()["segments"][1] | changes
    first = load_run(write_run(tmp_path / "a"))
    second = load_run(write_run(tmp_path / "b", segments=[segment], **changes))
    check_alike(first)
    with pytest.raises(InputError, match=message):
        check_alike(first + second)


def test_path_integrals_without_dynamics_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="run TRPMD or CMD"):
        load_run(write_run(tmp_path, nuclei="static"))


def test_an_unknown_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="version 7; this DenSNet reads"):
        load_run(write_run(tmp_path, version=7))


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the key 'timestep_fs' is missing"):
        load_run(write_run(tmp_path, segments=[{"name": "a", "temperature_kelvin": 300.0}]))


def test_a_folder_without_manifest_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--dipole FILE"):
        load_run(tmp_path)


def test_broken_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"format": ')
    with pytest.raises(DataError, match="not JSON"):
        load_run(tmp_path)


def test_a_run_without_velocities_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no velocities.*it has dipole"):
        load_signals(load_run(write_run(tmp_path)), "velocities")


def test_a_lost_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"densnet\.dipole_0 does not exist"):
        load_signals(load_run(write_run(tmp_path)), "dipole")


def group(names: list[str], **options: Any) -> list[list[str]]:
    files = {"dipole": [Path(name) for name in names]}
    segments = group_files(files, timestep_fs=0.5, temperature_kelvin=300.0, **options)
    return [[str(path) for path in segment.files["dipole"]] for segment in segments]


def test_files_that_differ_in_the_bead_number_are_one_segment() -> None:
    names = ["a/x.dipole_0", "b/x.dipole_0", "a/x.dipole_1", "b/x.dipole_1"]
    assert group(names) == [["a/x.dipole_0", "a/x.dipole_1"], ["b/x.dipole_0", "b/x.dipole_1"]]


def test_replicas_in_one_run_can_be_declared_independent() -> None:
    assert group(["x.dipole_00", "x.dipole_01"], independent=True) == [
        ["x.dipole_00"],
        ["x.dipole_01"],
    ]


def test_quantities_must_come_in_equal_numbers_of_segments() -> None:
    files = {"dipole": [Path("a_0"), Path("b_0")], "positions": [Path("a_0.xyz")]}
    with pytest.raises(InputError, match=r"1 segment\(s\) of positions but 2 of dipole"):
        group_files(files, timestep_fs=0.5, temperature_kelvin=300.0)


PROPERTIES = """# column   1     --> step : The current simulation time step.
# column   2     --> time{femtosecond} : The elapsed simulation time.
# cols.    3-5   --> dipole : a vector
  0 0.0 1 2 3
  1 0.5 1 2 3
  1 0.5 7 8 9
  2 1.0 4 5"""


def test_properties_have_names_units_and_one_row_a_step(tmp_path: Path) -> None:
    (tmp_path / "sim.out").write_text(PROPERTIES)
    properties = load_properties(tmp_path / "sim.out")
    assert properties.column("time", "femtosecond").tolist() == [0.0, 0.5]
    assert properties.column("dipole", "")[1].tolist() == [7, 8, 9]
    with pytest.raises(InputError, match="time is in femtosecond, not picosecond"):
        properties.column("time", "picosecond")
    with pytest.raises(InputError, match="there are step, time, dipole"):
        properties.column("energy", "")


def test_properties_without_header_are_refused(tmp_path: Path) -> None:
    (tmp_path / "sim.out").write_text("0 1 2\n")
    with pytest.raises(DataError, match="column 1 --> step"):
        load_properties(tmp_path / "sim.out")


@pytest.fixture
def trajectory(tmp_path: Path) -> Path:
    path = tmp_path / "run.traj"
    with Trajectory(str(path), "w") as file:
        for i in range(5):
            atoms = Atoms("HO", positions=[[0, 0, 0], [0, 0, 1.0 + 0.1 * i]])
            atoms.set_velocities([[0, 0, 0], [0.02 * Ang / fs, 0, 0]])
            atoms.calc = SinglePointCalculator(atoms, energy=0.0, dipole=[0.5 * i, 0, 0])
            file.write(atoms)
    return path


def load_ase(path: Path, quantity: str):
    (segment,) = group_files({quantity: [path]}, timestep_fs=2.0, temperature_kelvin=300.0)
    (signal,) = load_signals([segment], quantity)
    return signal


def test_ase_dipoles_are_in_e_angstrom(trajectory: Path) -> None:
    signal = load_ase(trajectory, "dipole")
    np.testing.assert_allclose(signal.values[:, 0], np.arange(5) * 0.5 / Bohr, rtol=CODATA_RELATIVE)
    assert signal.timestep_au == pytest.approx(2.0 / AU_FS)


def test_ase_velocities_and_masses_are_converted(trajectory: Path) -> None:
    (segment,) = group_files(
        {"velocities": [trajectory]}, timestep_fs=2.0, temperature_kelvin=300.0
    )
    rows, masses = load_rows(segment, "velocities")
    expected = 0.02 / BOHR_ANGSTROM * AU_FS
    np.testing.assert_allclose(rows.values[0, 1, 0], expected, rtol=CODATA_RELATIVE)
    np.testing.assert_allclose(masses / DALTON_AU, [1.008, 15.999])


def test_an_ase_trajectory_without_dipole_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.extxyz"
    Atoms("H", positions=[[0, 0, 0]]).write(str(path))
    with pytest.raises(InputError, match="frame 0: no dipole"):
        load_ase(path, "dipole")


def test_a_nan_in_an_ase_trajectory_is_refused_with_its_frame(tmp_path: Path) -> None:
    path = tmp_path / "run.traj"
    with Trajectory(str(path), "w") as file:
        for i in range(3):
            atoms = Atoms("H", positions=[[0, 0, 0]])
            atoms.info["dipole"] = [np.nan if i == 1 else 0.0, 0.0, 0.0]
            file.write(atoms)
    with pytest.raises(NonFiniteError, match="step 1 "):
        load_ase(path, "dipole")
