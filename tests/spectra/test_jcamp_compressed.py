"""Compressed JCAMP-DX tables: the published example, round trips, and damage that is noticed."""

from itertools import groupby
from pathlib import Path

import numpy as np
import pytest

from densnet.errors import DataError
from densnet.spectra.jcamp_compressed import is_compressed, read_compressed
from densnet.spectra.measured_files import load_measured

# McDonald and Wilks 1988, figure of the compressed forms of one series.
PUBLISHED = [
    0,
    0,
    0,
    0,
    2,
    4,
    4,
    4,
    7,
    5,
    4,
    4,
    5,
    5,
    7,
    10,
    11,
    11,
    6,
    5,
    7,
    6,
    9,
    9,
    7,
    10,
    10,
    9,
]
PUBLISHED += [10, 11, 12, 15, 16, 16, 14, 17, 38, 38, 35, 38, 42, 47, 54, 59, 66, 75, 78, 88, 96]
PUBLISHED += [104, 110, 121, 128]
PACKED = "1+0+0+0+0+2+4+4+4+7+5+4+4+5+5+7+10+11+11+6+5+7+6+9+9+7+10+10+9"
SQUEEZED = "1@@@@BDDDGEDDEEGA0A1A1FEGFIIGA0A0I"
DIFFERENCES = "1@VKT%TLkj%J%KLJ%njKjL%kL%jJULJ%kLK1%lLMNPNPRLJ0QTOJ1P"


def test_the_published_series() -> None:
    assert read_compressed([DIFFERENCES], "file") == (PUBLISHED, [(0, 1.0)])
    assert read_compressed([SQUEEZED], "file")[0] == PUBLISHED[:28]
    assert read_compressed([PACKED], "file")[0] == PUBLISHED[:28]
    assert [is_compressed([line]) for line in (PACKED, SQUEEZED, DIFFERENCES)] == [0, 1, 1]
    assert not is_compressed(["600.0 1.5E-3 2.5e+04"])


def letter(number: int, zero: str, positive: str, negative: str) -> str:
    """Write a number with its first digit as a letter."""
    digits = str(abs(number))
    first = int(digits[0])
    return (zero if number == 0 else (positive if number > 0 else negative)[first - 1]) + digits[1:]


def compress(values: list[int], first_x: int) -> list[str]:
    """Write values one apart as differences with repetitions, eight new ones a line."""
    lines = []
    for start in range(0, len(values) - 1, 8):
        part = values[start : start + 9]
        text = f"{first_x + start}{letter(part[0], '@', 'ABCDEFGHI', 'abcdefghi')}"
        for difference, same in groupby(np.diff(part).tolist()):
            count = len(list(same))
            text += letter(difference, "%", "JKLMNOPQR", "jklmnopqr")
            text += letter(count, "", "STUVWXYZs", "") if count > 1 else ""
        lines.append(text)
    return [
        *lines,
        f"{first_x + len(values) - 1}{letter(values[-1], '@', 'ABCDEFGHI', 'abcdefghi')}",
    ]


def random_series() -> list[int]:
    rng = np.random.default_rng(3)
    steps = rng.choice([0, 0, 0, 1, -1, 7, -30, 412], size=200)
    return np.cumsum(steps).tolist()


def test_a_round_trip_with_check_values_and_repetitions() -> None:
    values = random_series()
    found, starts = read_compressed(compress(values, 600), "file")
    assert found == values
    assert all(x == 600 + index for index, x in starts)


def write(path: Path, values: list[int], lines: list[str]) -> Path:
    head = "##TITLE=x\n##JCAMP-DX=4.24\n##XUNITS=1/CM\n##YUNITS=ABSORBANCE\n##YFACTOR=0.001\n"
    head += f"##FIRSTX=600\n##LASTX={599 + len(values)}\n##NPOINTS={len(values)}\n"
    path.write_text(head + "##XYDATA=(X++(Y..Y))\n" + "\n".join(lines) + "\n##END=\n")
    return path


def test_a_compressed_file_is_the_spectrum(tmp_path: Path) -> None:
    values = random_series()
    spectrum = load_measured(write(tmp_path / "a.jdx", values, compress(values, 600)))
    np.testing.assert_allclose(spectrum.absorbance, 1e-3 * np.array(values))
    np.testing.assert_allclose(spectrum.wavenumber_cm1, 600 + np.arange(len(values)))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["600A5J2K", "602A9J"], "does not begin with the last value"),
        (["600A5J2K", "602"], "does not begin with the last value"),
        (["600A5?J"], "is not a compressed number"),
        (["600T5J"], "repeats nothing"),
        (["A5J2K"], "does not begin with a number"),
        (["600A5J1.2.3"], "is not a compressed number"),
    ],
)
def test_damage_is_noticed(lines: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_compressed(lines, "file")


def test_a_lost_line_of_a_file_is_noticed(tmp_path: Path) -> None:
    values = random_series()
    lines = compress(values, 600)
    with pytest.raises(DataError, match=r"last value of the line before|NPOINTS says 200"):
        load_measured(write(tmp_path / "a.jdx", values, lines[:5] + lines[6:]))
