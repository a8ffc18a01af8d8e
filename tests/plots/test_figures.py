"""Figures are drawn, hold what they were given, and refuse what cannot be drawn."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from densnet.errors import InputError, NonFiniteError
from densnet.plots import (
    Curve,
    CurvePanel,
    Line,
    Measurement,
    ParityPanel,
    Stick,
    learning_curve,
    parity,
    plot_spectrum,
)
from densnet.plots.learning_curve import PlainLogFormatter, name_rows
from densnet.plots.spectrum import spread
from densnet.plots.style import new_figure

NU = np.arange(400.0, 4000.0, 5.0)
BLUE_PIXEL = np.array([0x00, 0x72, 0xB2]) / 255.0


def count_pixels(path: Path, colour: np.ndarray) -> int:
    pixels = imread(path)[..., :3]
    return int((np.abs(pixels - colour).max(axis=-1) < 0.02).sum())


def bump(centre: float) -> np.ndarray:
    return np.exp(-(((NU - centre) / 30.0) ** 2))


def draw_spectrum(path: Path, **options) -> Path:
    line = Line("calculated", NU, bump(1060.0), 0.1 * bump(1060.0))
    return plot_spectrum([line], path, y_label="κ", range_cm1=(400.0, 4000.0), **options)


def test_a_spectrum_with_measurement_is_drawn(tmp_path: Path) -> None:
    measurement = Measurement("table", [Stick(1066.0, 1.0)], [(1066.0, "C–O stretch")])
    path = draw_spectrum(tmp_path / "new" / "a.png", measurement=measurement, note="note")
    assert imread(path).shape[1] == 1540
    assert count_pixels(path, BLUE_PIXEL) > 500


def test_the_line_is_drawn_where_it_belongs(tmp_path: Path) -> None:
    # Wavenumbers descend to the right: 1060 of 400–4000 lies at 82 % of the axis.
    pixels = imread(draw_spectrum(tmp_path / "a.png"))[..., :3]
    blue = np.argwhere(np.abs(pixels - BLUE_PIXEL).max(axis=-1) < 0.02)
    top = blue[blue[:, 0] < blue[:, 0].min() + 0.3 * pixels.shape[0]]
    right = top[top[:, 1] > 0.7 * pixels.shape[1]]
    assert right[:, 1].mean() / pixels.shape[1] == pytest.approx(0.835, abs=0.03)


def test_a_mirrored_line_hides_no_other(tmp_path: Path) -> None:
    lines = [Line("model", NU, bump(1060.0)), Line("DFT", NU, bump(1060.0))]
    pixels = {}
    for mirrored in (False, True):
        drawn = [lines[0], replace(lines[1], mirrored=mirrored)]
        path = tmp_path / f"{mirrored}.png"
        plot_spectrum(drawn, path, y_label="κ", range_cm1=(900.0, 1200.0))
        pixels[mirrored] = count_pixels(path, BLUE_PIXEL)
    assert pixels[True] > 3 * pixels[False]


@pytest.mark.parametrize("suffix", [".pdf", ".svg", ".png"])
def test_the_same_data_make_the_same_file(tmp_path: Path, suffix: str) -> None:
    first = draw_spectrum(tmp_path / f"a{suffix}").read_bytes()
    assert draw_spectrum(tmp_path / f"b{suffix}").read_bytes() == first


def test_no_partial_file_stays_behind(tmp_path: Path) -> None:
    draw_spectrum(tmp_path / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.gif: figures are written as"):
        draw_spectrum(tmp_path / "a.gif")


def test_labels_move_apart_and_keep_their_order() -> None:
    places = spread([880.0, 1060.0, 1240.0, 1400.0, 2950.0], 250.0)
    assert np.all(np.diff(places) >= 250.0 - 1e-9)
    assert np.mean(places[:4]) == pytest.approx(np.mean([880.0, 1060.0, 1240.0, 1400.0]))
    assert places[4] == 2950.0


def test_parity_of_several_quantities_is_drawn(tmp_path: Path, rng: np.random.Generator) -> None:
    reference = rng.normal(size=(50, 9, 3))
    pairs = {"300 K": (reference, reference + 0.01 * rng.normal(size=reference.shape))}
    panels = [
        ParityPanel(name, "eV/Å", pairs, "meV/Å", 1000.0) for name in ("Forces", "Energy", "Dipole")
    ]
    path = parity(panels, tmp_path / "parity.png", heading="test frames")
    assert count_pixels(path, BLUE_PIXEL) > 50


def test_parity_refuses_pairs_that_do_not_match(tmp_path: Path) -> None:
    panel = ParityPanel("Energy", "eV", {"300 K": (np.zeros(3), np.zeros(4))})
    with pytest.raises(InputError, match=r"Energy, 300 K: reference \(3,\) and predicted \(4,\)"):
        parity([panel], tmp_path / "a.png")


def test_parity_refuses_nan(tmp_path: Path) -> None:
    panel = ParityPanel("Energy", "eV", {"300 K": (np.zeros(3), np.array([0.0, np.nan, 1.0]))})
    with pytest.raises(NonFiniteError, match="Energy, 300 K"):
        parity([panel], tmp_path / "a.png")


def test_parity_of_equal_numbers_is_drawn(tmp_path: Path) -> None:
    panel = ParityPanel("Charge", "e", {"": (np.zeros(3), np.zeros(3))})
    assert parity([panel], tmp_path / "a.png").is_file()


def test_learning_curves_with_goal_gap_and_stages_are_drawn(tmp_path: Path) -> None:
    x = np.arange(1, 60)
    y = 100.0 / x
    y[10] = np.nan
    curves = [Curve("training", x, 0.7 * y, "training"), Curve("validation", x, y)]
    panels = [CurvePanel("Forces", "meV/Å", curves, goal=12.0), CurvePanel("Dipole", "mD", curves)]
    path = learning_curve(panels, tmp_path / "a.png", stages={"density": 0, "joint": 30})
    assert count_pixels(path, np.array([0xD5, 0x5E, 0x00]) / 255.0) > 200


def test_names_of_short_stages_stand_below_one_another() -> None:
    assert name_rows([0.0, 200.0, 210.0, 500.0], 70.0) == [0, 0, 1, 0]
    assert name_rows([0.0, 10.0, 20.0], 70.0) == [0, 1, 2]
    assert name_rows([], 70.0) == []


def test_learning_curve_of_no_epochs_yet_is_drawn(tmp_path: Path) -> None:
    panels = [CurvePanel("Forces", "meV/Å", [Curve("validation", [], [])], goal=12.0)]
    assert learning_curve(panels, tmp_path / "a.png").is_file()


def test_learning_curve_refuses_unequal_lengths(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Forces, validation"):
        learning_curve(
            [CurvePanel("Forces", "meV/Å", [Curve("validation", [1, 2], [1.0])])],
            tmp_path / "a.png",
        )


@pytest.mark.parametrize("draw", [parity, learning_curve])
def test_a_picture_of_nothing_is_refused(tmp_path: Path, draw) -> None:
    with pytest.raises(InputError, match="at least one panel"):
        draw([], tmp_path / "a.png")


@pytest.mark.parametrize(
    ("limits", "labelled"), [((1.3e-3, 2.1e-3), {"0.0014", "0.002"}), ((0.5, 50.0), {"1", "10"})]
)
def test_ticks_of_a_logarithmic_axis_are_plain_numbers(
    limits: tuple[float, float], labelled: set[str]
) -> None:
    axes = new_figure(4.0, 3.0).subplots()
    axes.set_yscale("log")
    axes.set_ylim(*limits)
    axes.yaxis.set_major_formatter(PlainLogFormatter())
    axes.yaxis.set_minor_formatter(PlainLogFormatter(minor_thresholds=(1.0, 0.5)))
    axes.figure.canvas.draw()
    labels = {t.get_text() for m in (False, True) for t in axes.yaxis.get_ticklabels(minor=m)} - {
        ""
    }
    assert labelled <= labels
    assert all(limits[0] / 10 <= float(label) <= limits[1] * 10 for label in labels)
