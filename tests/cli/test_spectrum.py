"""``densnet spectrum`` as a user calls it, on small runs written here."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from densnet.cli.main import main
from densnet.spectra.correlation import Resolution
from densnet.spectra.infrared import infrared
from densnet.spectra.signals import Signal
from densnet.units import AU_FS
from tests.spectra.oscillator import TEMPERATURE_KELVIN, line

ROOT = Path(__file__).parents[2]

WAVENUMBERS = {1060.0: 1.0, 2950.0: 0.8, 3670.0: 0.3}


def dipoles(phase: float, n: int = 2500) -> np.ndarray:
    parts = [
        np.sqrt(weight) * line(nu, n=n, phase=phase * nu).values
        for nu, weight in WAVENUMBERS.items()
    ]
    return np.sum(parts, axis=0)


def extras(values: np.ndarray, stride: int = 4) -> str:
    return "".join(
        f" #EXTRAS(dipole)# Step: {stride * i:10d} \n {x:.16e} {y:.16e} {z:.16e}\n"
        for i, (x, y, z) in enumerate(values)
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ethanol_run")
    segments = []
    for index in range(5):
        name = f"densnet.dipole_{index}"
        (folder / name).write_text(extras(dipoles(0.1 + index)))
        segments.append(
            {
                "name": f"nve-{index}",
                "temperature_kelvin": TEMPERATURE_KELVIN,
                "timestep_fs": 0.5,
                "dipole_files": [name],
                "use_for_spectrum": True,
            }
        )
    manifest = {
        "format": "densnet-run",
        "version": 1,
        "model": {"name": "ethanol"},
        "nuclei": "classical",
        "finished": True,
        "segments": segments,
    }
    (folder / "run.json").write_text(json.dumps(manifest))
    return folder


def read_csv(path: Path) -> np.ndarray:
    lines = [row for row in path.read_text().splitlines() if not row.startswith("#")]
    return np.array([[float(x or "nan") for x in row] for row in list(csv.reader(lines))[1:]])


def test_a_run_directory_becomes_csv_picture_and_report(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report_path = run / "report.json"
    assert (
        main(["spectrum", str(run), "--ir", "--resolution", "20", "--json", str(report_path)]) == 0
    )
    table = read_csv(run / "spectrum" / "ir.csv")
    assert table[0, 0] >= 400
    assert table[-1, 0] <= 4000
    assert table[table[:, 1].argmax(), 0] == pytest.approx(1060.0, abs=2.0)
    assert np.isfinite(table[:, 2]).all()
    assert (run / "spectrum" / "ir.png").stat().st_size > 20_000
    report = json.loads(report_path.read_text())["ir"]
    assert report["segments"] == 5
    assert report["total_ps"] == pytest.approx(25.0)
    by_name = {band["band"]: band for band in report["bands"]}
    assert by_name["O–H stretch"]["maximum"] == pytest.approx(3670.0, abs=1.0)
    without = by_name["O–H stretch"]["maximum_without_time_step_error"]
    assert without == pytest.approx(3670.0 - 18.2, abs=1.0)
    assert by_name["O–H stretch"]["area"] == pytest.approx(0.3 * 42.256, rel=0.01)
    own = report["assessment"]["scores"]["pearson"]
    assert own > max(null["pearson"] for null in report["assessment"]["nulls"].values())
    printed = capsys.readouterr().out
    assert "ir.png" in printed
    assert "O–H stretch" in printed


def test_single_files_give_the_same_numbers_as_the_library(run: Path, tmp_path: Path) -> None:
    assert main(["spectrum", str(run)]) == 0
    values = dipoles(0.4)
    (tmp_path / "sim.dipole_0").write_text(extras(values))
    words = ["spectrum", "--dipole", str(tmp_path / "sim.dipole_0"), "--timestep-fs", "0.5"]
    words += ["--temperature", "300", "--output", str(tmp_path / "out"), "--facf"]
    words += ["--overlay", f"before={run / 'spectrum' / 'ir.csv'}"]
    words += ["--window", "hann", "--resolution", "25", "--range", "500", "3900"]
    words += ["--bands", "ethanol", "--json", str(tmp_path / "report.json")]
    assert main(words) == 0
    report = json.loads((tmp_path / "report.json").read_text())["ir"]
    of_run = {band["band"]: band["maximum"] for band in report["overlay_bands"]["before"]}
    assert of_run["O–H stretch"] == pytest.approx(3670.0, abs=1.0)
    assert "before" in report["overlay_assessments"]
    table = read_csv(tmp_path / "out" / "ir.csv")
    spectrum = infrared([Signal("a", values, 2.0 / AU_FS, 300.0)], Resolution(25.0, "hann"))
    np.testing.assert_allclose(
        table[:, 1], spectrum.cut(500.0, 3900.0).intensity, rtol=1e-6, atol=1e-9
    )
    assert np.loadtxt(tmp_path / "out" / "ir_facf.data").shape[1] == 3


def test_density_of_states_and_raman_are_written_with_their_parts(tmp_path: Path) -> None:
    n = 2500
    q = line(1500.0, n=n).values[:, 0]
    tensor = np.array([[1.0, 0.2, 0.0], [0.2, 0.4, 0.0], [0.0, 0.0, -0.1]])
    frames = [
        f" #EXTRAS(polarizability)# Step: {4 * i} \n"
        + "\n".join(" ".join(f"{x:.12e}" for x in row) for row in 30 * np.eye(3) + v * tensor)
        for i, v in enumerate(q)
    ]
    (tmp_path / "sim.alpha_0").write_text("\n".join(frames) + "\n")
    velocities = line(1500.0, n=n, derivative=True).values * 1e4
    atoms = [f"1\n# Step: {4 * i}\nH {x:.8e} 0 0\n" for i, (x, _, _) in enumerate(velocities)]
    (tmp_path / "sim.vel_0.xyz").write_text("".join(atoms))
    words = ["spectrum", "--polarizability", str(tmp_path / "sim.alpha_0"), "--raman", "--vdos"]
    words += ["--velocities", str(tmp_path / "sim.vel_0.xyz"), "--laser-nm", "532"]
    words += ["--timestep-fs", "0.5", "--temperature", "300", "--output", str(tmp_path / "out")]
    assert main(words) == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    raman_files = {"raman.csv", "raman_isotropic.csv", "raman_depolarised.csv", "raman_stokes.csv"}
    assert names == raman_files | {"raman.png", "raman_stokes.png", "vdos.csv", "vdos.png"}
    assert read_csv(tmp_path / "out" / "raman_stokes.csv")[:, 1].max() == pytest.approx(1.0)
    for name in ("raman.csv", "raman_depolarised.csv", "raman_stokes.csv", "vdos.csv"):
        table = read_csv(tmp_path / "out" / name)
        assert table[table[:, 1].argmax(), 0] == pytest.approx(1500.0, abs=1.0), name


def test_a_measured_spectrum_is_scored_with_its_null(run: Path, tmp_path: Path) -> None:
    nu = np.arange(500.0, 4000.0, 2.0)
    for name, centres in (("own", WAVENUMBERS), ("other", {1400.0: 1.0, 2200.0: 0.5})):
        curve = sum(a * np.exp(-(((nu - c) / 6.0) ** 2)) for c, a in centres.items())
        rows = "".join(f"{a},{b}\n" for a, b in zip(nu, curve, strict=True))
        (tmp_path / f"{name}.csv").write_text(rows)
    words = ["spectrum", str(run), "--compare", str(tmp_path / "own.csv"), "--null"]
    words += [str(tmp_path / "other.csv"), "--output", str(tmp_path / "out")]
    words += ["--ceiling", str(tmp_path / "own.csv")]
    assert main([*words, "--json", str(tmp_path / "r.json")]) == 0
    report = json.loads((tmp_path / "r.json").read_text())["ir"]
    assessment = report["assessment"]
    assert assessment["scores"]["pearson"] > 0.97
    assert assessment["nulls"]["other"]["pearson"] < 0.2
    assert assessment["in_place"]["own"]["pearson"] == pytest.approx(1.0)
    assert assessment["in_place"]["other"]["pearson"] < 0.2
    assert assessment["stretch"] == pytest.approx(1.0, abs=2e-3)
    shares = {area["band"]: area for area in report["band_areas"]}
    assert shares["C–O stretch"]["calculated_share"] == pytest.approx(1.0 / 2.1, abs=0.02)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give a run directory"),
        (["--dipole", "x"], "need --timestep-fs and --temperature"),
        (["RUN", "--vdos"], "has no velocities"),
        (["RUN", "--raman"], "has no polarizability"),
        (["RUN", "--frame", "eckart"], "has no positions"),
        (["RUN", "--resolution", "1"], "cannot be resolved to 1 cm⁻¹"),
        (["RUN", "--window", "boxcar"], "no lag window is called 'boxcar'"),
        (["RUN", "--range", "4000", "400"], "two ascending wavenumbers"),
        (["RUN", "--range", "400", "12000"], "only up to 8339 cm⁻¹"),
        (["RUN", "--bands", "nothing"], "no band table 'nothing'"),
        (["RUN", "--compare", "lost.jdx"], r"lost.jdx does not exist"),
        (["RUN", "--dipole", "x"], "not both"),
        (["RUN", "--overlay", "a=lost.csv"], "lost.csv does not exist"),
        (["RUN", "--overlay", "a=OURS", "a=OURS"], "every spectrum needs a label of its own"),
        (["RUN", "--overlay", "a=FOREIGN"], "not a spectrum of 'densnet spectrum'"),
        (["RUN", "--null", "other.jdx"], "give --compare FILE"),
        (["RUN", "--skip-ps", "100"], "the longest stretch has 5.00 ps"),
    ],
)
def test_wrong_input_is_refused_in_one_line(
    run: Path, tmp_path: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    foreign = tmp_path / "foreign.csv"
    foreign.write_text("nu,intensity\n1000,1\n")
    ours = ROOT / "examples" / "spectra" / "ethanol" / "classical.csv"
    for name, path in {"FOREIGN": foreign, "OURS": ours}.items():
        words = [word.replace(name, str(path)) for word in words]
    words = [str(run) if word == "RUN" else word for word in words]
    assert main(["spectrum", *words, "--output", str(tmp_path)]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error
