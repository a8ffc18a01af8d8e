"""JCAMP-DX and CSV files of measured spectra, well-formed and not."""

from pathlib import Path

import numpy as np
import pytest

from densnet.errors import DataError, InputError
from densnet.spectra.jcamp import load_jcamp
from densnet.spectra.measured_files import load_measured

N, FIRST, LAST = 101, 600.0, 1000.0
X = np.linspace(FIRST, LAST, N)
ABSORBANCE = 0.02 + np.exp(-(((X - 800.0) / 30.0) ** 2))

HEADER = """##TITLE=TEST SUBSTANCE  $$ a comment
##JCAMP-DX=4.24
##DATA TYPE=INFRARED SPECTRUM
##XUNITS=1/CM
##YUNITS={units}
##RESOLUTION=4 CM-1
##XFACTOR=1.0
##YFACTOR=0.0001
##FIRSTX={first}
##LASTX={last}
##NPOINTS={n}
"""


def table(x: np.ndarray, y: np.ndarray, per_line: int = 7) -> str:
    return "".join(
        f"{x[i]:.1f} " + " ".join(str(round(v * 1e4)) for v in y[i : i + per_line]) + "\n"
        for i in range(0, len(x), per_line)
    )


def jcamp(x: np.ndarray = X, y: np.ndarray = ABSORBANCE, units: str = "ABSORBANCE") -> str:
    head = HEADER.format(units=units, first=x[0], last=x[-1], n=len(x))
    return head + "##XYDATA=(X++(Y..Y))\n" + table(x, y) + "##END=\n"


def load(tmp_path: Path, text: str):
    path = tmp_path / "a.jdx"
    path.write_text(text)
    return load_jcamp(path)


def test_affn_table_is_read(tmp_path: Path) -> None:
    spectrum = load(tmp_path, jcamp())
    np.testing.assert_allclose(spectrum.wavenumber_cm1, X, atol=1e-9)
    np.testing.assert_allclose(spectrum.absorbance, ABSORBANCE, atol=5e-5)
    assert spectrum.title == "TEST SUBSTANCE"
    assert spectrum.resolution_cm1 == 4.0


def test_descending_abscissa_is_turned_round(tmp_path: Path) -> None:
    spectrum = load(tmp_path, jcamp(X[::-1], ABSORBANCE[::-1]))
    np.testing.assert_allclose(spectrum.wavenumber_cm1, X, atol=1e-9)
    np.testing.assert_allclose(spectrum.absorbance, ABSORBANCE, atol=5e-5)


def test_packed_numbers_are_separated_by_their_signs(tmp_path: Path) -> None:
    y = ABSORBANCE - 0.5
    text = jcamp(y=y)
    head, body = text.split("(X++(Y..Y))\n")
    packed = body.replace(" -", "-").replace(" ", "+")
    spectrum = load(tmp_path, f"{head}(X++(Y..Y))\n{packed}")
    np.testing.assert_allclose(spectrum.absorbance, y, atol=5e-5)


def test_transmittance_becomes_absorbance(tmp_path: Path) -> None:
    spectrum = load(tmp_path, jcamp(y=10**-ABSORBANCE, units="TRANSMITTANCE"))
    np.testing.assert_allclose(spectrum.absorbance, ABSORBANCE, atol=5e-4)


def test_per_cent_transmittance_is_recognised(tmp_path: Path) -> None:
    spectrum = load(tmp_path, jcamp(y=100 * 10**-ABSORBANCE, units="% TRANSMITTANCE"))
    np.testing.assert_allclose(spectrum.absorbance, ABSORBANCE, atol=5e-5)


def test_a_black_detector_does_not_make_infinite_absorbance(tmp_path: Path) -> None:
    y = 10**-ABSORBANCE
    y[50] = -0.001
    spectrum = load(tmp_path, jcamp(y=y, units="TRANSMITTANCE"))
    assert spectrum.absorbance[50] == pytest.approx(3.0)


def test_quantitative_units_stay(tmp_path: Path) -> None:
    units = "(micromol/mol)-1m-1 (base 10)"
    spectrum = load(tmp_path, jcamp(units=units))
    np.testing.assert_allclose(spectrum.absorbance, ABSORBANCE, atol=5e-5)


def test_micrometres_become_wavenumbers(tmp_path: Path) -> None:
    micrometres = 1e4 / X
    pairs = "".join(
        f"{a:.8f},{b * 1e4:.1f}; " for a, b in zip(micrometres, ABSORBANCE, strict=True)
    )
    head = HEADER.format(units="ABSORBANCE", first=0, last=0, n=N).replace("1/CM", "MICROMETERS")
    spectrum = load(tmp_path, f"{head}##XYPOINTS=(XY..XY)\n{pairs}\n##END=\n")
    np.testing.assert_allclose(spectrum.wavenumber_cm1, X, rtol=1e-7)
    np.testing.assert_allclose(spectrum.absorbance, ABSORBANCE, atol=1e-5)


def test_a_lost_line_is_noticed(tmp_path: Path) -> None:
    lines = jcamp().splitlines(keepends=True)
    del lines[18]
    with pytest.raises(DataError, match="but NPOINTS says"):
        load(tmp_path, "".join(lines))


def test_a_table_cut_short_is_noticed(tmp_path: Path) -> None:
    text = jcamp().replace("##END=\n", "")
    with pytest.raises(DataError, match="NPOINTS says 101"):
        load(tmp_path, text[: len(text) * 9 // 10].rsplit("\n", 1)[0] + "\n")


def test_another_ordinate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="REFLECTANCE"):
        load(tmp_path, jcamp(units="REFLECTANCE"))


def test_a_file_without_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no XYDATA"):
        load(tmp_path, "##TITLE=x\n##END=\n")


def test_csv_is_read_with_and_without_header(tmp_path: Path) -> None:
    body = "".join(f"{a},{b}\n" for a, b in zip(X, ABSORBANCE, strict=True))
    for name, head in (("a.csv", ""), ("b.csv", "wavenumber,absorbance\n"), ("c.csv", "# note\n")):
        (tmp_path / name).write_text(head + body)
        spectrum = load_measured(tmp_path / name)
        np.testing.assert_allclose(spectrum.absorbance, ABSORBANCE)


def test_csv_of_transmittance_is_converted(tmp_path: Path) -> None:
    rows = "".join(f"{a},{10**-b}\n" for a, b in zip(X, ABSORBANCE, strict=True))
    (tmp_path / "a.csv").write_text("wavenumber,transmittance\n" + rows)
    np.testing.assert_allclose(load_measured(tmp_path / "a.csv").absorbance, ABSORBANCE)


def test_a_band_table_is_sent_to_its_own_option(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("wavenumber_cm1,height\n1000,1\n2000,0.5\n")
    with pytest.raises(InputError, match="use --bands"):
        load_measured(tmp_path / "a.csv")
