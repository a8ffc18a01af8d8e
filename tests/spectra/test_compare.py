"""Scores, band tables, band positions and areas."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from densnet.errors import InputError
from densnet.spectra.assessment import (
    assess,
    measured_band_areas,
    sketch_from_bands,
)
from densnet.spectra.bands import BandGroup, load_bands, shipped_tables
from densnet.spectra.compare import (
    Terms,
    best_stretch,
    broaden,
    compare,
    information_similarity,
    score,
    subtract_baseline,
    to_grid,
)
from densnet.spectra.measured import MeasuredSpectrum
from densnet.spectra.peaks import (
    compare_bands,
    maximum_position,
    search_windows,
    undo_time_step_shift,
)
from densnet.spectra.spectrum import Spectrum

NU = np.arange(400.0, 4000.0, 1.0)


def gaussians(lines: dict[float, float], width: float = 20.0) -> np.ndarray:
    sigma = width / np.sqrt(8 * np.log(2))
    return sum(a * np.exp(-0.5 * ((NU - c) / sigma) ** 2) for c, a in lines.items())


def as_spectrum(samples: np.ndarray, resolution: float = 10.0) -> Spectrum:
    weights = np.full(len(samples), 1 / len(samples))
    return Spectrum(NU, weights @ samples, None, samples, weights, "x", "1", resolution, "")


LINES = {880.0: 0.2, 1060.0: 1.0, 1240.0: 0.3, 1390.0: 0.5, 2950.0: 0.8, 3670.0: 0.2}
MEASURED = MeasuredSpectrum("itself", NU, gaussians(LINES), 2.0, "ABSORBANCE")


def test_a_spectrum_agrees_with_itself() -> None:
    scores = compare(NU, MEASURED.absorbance, 2.0, MEASURED, Terms())
    assert scores.pearson > 0.9999
    assert scores.information_similarity > 0.99


def test_scores_are_those_of_scipy(rng: np.random.Generator) -> None:
    a, b = rng.random(200), rng.random(200).round(1)
    pearson, spearman, _ = score(a, b)
    assert pearson == pytest.approx(pearsonr(a, b).statistic, abs=1e-12)
    assert spearman == pytest.approx(spearmanr(a, b).statistic, abs=1e-12)


def test_information_similarity_is_its_formula() -> None:
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5])
    divergence = np.sum((p - q) * np.log(p / q))
    assert information_similarity(p, q) == pytest.approx(1 / (1 + divergence), rel=1e-12)
    assert information_similarity(3 * p, q) == pytest.approx(1 / (1 + divergence), rel=1e-12)


def test_scores_do_not_depend_on_absolute_intensity() -> None:
    other = gaussians({1060.0: 1.0, 2900.0: 0.5})
    first = compare(NU, other, 10.0, MEASURED, Terms())
    second = compare(NU, 37.0 * other, 10.0, MEASURED, Terms())
    assert first.pearson == pytest.approx(second.pearson, abs=1e-12)
    assert first.information_similarity == pytest.approx(second.information_similarity, abs=1e-12)


def test_broadening_gives_the_width_and_keeps_the_area() -> None:
    narrow = gaussians({2000.0: 1.0}, width=8.0)
    wide = broaden(NU, narrow, 8.0, 24.0)
    above = NU[wide > 0.5 * wide.max()]
    assert above[-1] - above[0] == pytest.approx(24.0, abs=2.0)
    assert wide.sum() == pytest.approx(narrow.sum(), rel=1e-6)


def test_nothing_is_sharpened() -> None:
    curve = gaussians(LINES)
    np.testing.assert_array_equal(broaden(NU, curve, 20.0, 10.0), curve)


def test_a_coarse_spectrum_on_a_fine_grid_is_the_broadened_one() -> None:
    grid = np.arange(600.0, 3790.0, 4.0)
    direct = gaussians(LINES, width=np.hypot(20.0, 16.0))
    scaled = to_grid(NU, gaussians(LINES), 0.0, grid, 16.0)
    expected = np.interp(grid, NU, direct) * 20.0 / np.hypot(20.0, 16.0)
    np.testing.assert_allclose(scaled, expected, atol=2e-3)


def test_a_slow_baseline_is_taken_out() -> None:
    curve = gaussians(LINES)
    slope = 0.1 + 0.1 * (NU / 4000.0) ** 2
    flat = subtract_baseline(NU, curve + slope)
    assert np.abs(flat - curve).max() < 0.02


def test_the_best_factor_on_wavenumbers_is_found() -> None:
    moved = np.interp(NU, NU * 0.975, gaussians(LINES))
    factor, scores = best_stretch(NU, moved, 2.0, MEASURED, Terms())
    assert factor == pytest.approx(1 / 0.975, abs=2e-4)
    assert scores.pearson > 0.995
    assert compare(NU, moved, 2.0, MEASURED, Terms()).pearson < 0.7


def test_spectra_without_a_common_range_are_refused() -> None:
    far = MeasuredSpectrum("far", NU + 5000.0, gaussians(LINES), None, "")
    with pytest.raises(InputError, match="nothing to compare"):
        compare(NU, gaussians(LINES), 10.0, far, Terms())


def test_the_right_molecule_scores_above_the_null_with_an_error(rng: np.random.Generator) -> None:
    samples = np.array(
        [gaussians({c: a * rng.uniform(0.5, 1.5) for c, a in LINES.items()}) for _ in range(8)]
    )
    wrong = MeasuredSpectrum("wrong", NU, gaussians({1030.0: 1.0, 2840.0: 0.4}), 2.0, "")
    result = assess(as_spectrum(samples), MEASURED, Terms(), [wrong])
    assert result.pearson_error is not None
    assert result.scores.pearson > result.nulls["wrong"].pearson + 5 * result.pearson_error
    assert result.stretched.pearson >= result.scores.pearson - 1e-6


@pytest.mark.parametrize("name", shipped_tables())
def test_shipped_tables_are_complete_and_cited(name: str) -> None:
    table = load_bands(name)
    assert len(table.rows) > 10
    assert table.groups()
    for row in table.rows:
        assert 150 < row.wavenumber_cm1 < 4000
        assert row.source
        assert row.kind in ("band", "fundamental")
        if row.kind == "band":
            assert row.band
            assert row.intensity_relative is not None
            assert 0 < row.intensity_relative <= 1


def test_the_four_molecules_are_shipped() -> None:
    assert shipped_tables() == ["ethanethiol", "ethanol", "methanol", "thiophene"]


def test_ethanol_groups_are_its_six_bands() -> None:
    groups = load_bands("ethanol").groups()
    assert [group.name for group in groups] == [
        "C–C/C–O s-stretch",
        "C–O stretch",
        "C–O–H bend",
        "CH₂/CH₃ deformation",
        "C–H stretch",
        "O–H stretch",
    ]
    assert groups[1].maximum_cm1 == 1066.0


def test_a_users_own_table_needs_only_positions(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("wavenumber_cm1,assignment\n1000,a\n1500,b\n")
    assert [group.name for group in load_bands(tmp_path / "mine.csv").groups()] == ["a", "b"]


def test_a_table_with_a_bad_number_is_refused_with_its_row(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("wavenumber_cm1\n1000\nabc\n")
    with pytest.raises(InputError, match=r"mine\.csv, band 2"):
        load_bands(tmp_path / "mine.csv")


def test_an_unknown_table_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="ethanethiol, ethanol"):
        load_bands("unobtainium")


def test_windows_of_neighbouring_bands_meet_in_the_middle() -> None:
    def group(low: float, high: float) -> BandGroup:
        return BandGroup("", (low + high) / 2, low, high, 1.0, low, 4.0, "")

    assert search_windows([group(880, 900), group(1000, 1100)]) == [(760, 950), (950, 1220)]


def test_bands_are_found_with_their_areas_and_errors(rng: np.random.Generator) -> None:
    table = load_bands("ethanol")
    shifted = [
        {c + 7.0 + rng.normal(0, 1): a * rng.uniform(0.8, 1.2) for c, a in LINES.items()}
        for _ in range(10)
    ]
    bands = compare_bands(as_spectrum(np.array([gaussians(s) for s in shifted])), table.groups())
    by_name = {band.band: band for band in bands}
    stretch = by_name["O–H stretch"]
    assert stretch.maximum == pytest.approx(3677.0, abs=1.5)
    assert stretch.shift == pytest.approx(3677.0 - 3665.0, abs=1.5)
    assert stretch.centre == pytest.approx(3677.0, abs=1.5)
    assert stretch.maximum_error is not None
    assert 0.05 < stretch.maximum_error < 1.5
    gaussian_area = 0.2 * 20.0 * np.sqrt(np.pi / np.log(2)) / 2
    assert stretch.area == pytest.approx(gaussian_area, rel=0.15)


def test_a_band_without_a_top_of_its_own_has_no_maximum() -> None:
    """The C–O–H bend left out: its window only holds the feet of its neighbours."""
    lines = {c: a for c, a in LINES.items() if not 1200.0 < c < 1300.0}
    assert len(lines) < len(LINES)
    spectrum = as_spectrum(np.array([gaussians(lines)] * 2))
    by_name = {b.band: b for b in compare_bands(spectrum, load_bands("ethanol").groups())}
    bend = by_name["C–O–H bend"]
    assert (bend.maximum, bend.maximum_error, bend.shift) == (None, None, None)
    assert by_name["O–H stretch"].maximum is not None
    assert bend.window_cm1[0] < bend.centre < bend.window_cm1[1]


def test_area_shares_of_the_same_spectrum_have_ratio_one() -> None:
    bands = compare_bands(as_spectrum(MEASURED.absorbance[None, :]), load_bands("ethanol").groups())
    for area in measured_band_areas(MEASURED, bands):
        assert area.calculated_share == pytest.approx(area.share, abs=2e-3)


def test_a_sketch_has_its_maxima_where_the_table_has_them() -> None:
    sketch = sketch_from_bands(load_bands("ethanol"))
    at = sketch.wavenumber_cm1[sketch.absorbance.argmax()]
    assert at == pytest.approx(1066.0, abs=1.0)
    assert sketch.absorbance.max() == pytest.approx(1.0, abs=0.01)


def test_the_maximum_between_grid_points_is_found() -> None:
    nu = np.arange(0.0, 100.0, 2.0)
    assert maximum_position(nu, 5.0 - (nu - 41.3) ** 2) == pytest.approx(41.3, abs=1e-9)


def test_time_step_shift_has_its_textbook_size() -> None:
    found = undo_time_step_shift(3700.0, 0.5)
    # ω(1 − (ωΔt)²/24) to leading order.
    assert 3700.0 - found == pytest.approx(18.7, abs=0.3)
