"""Tables that ``densnet spectrum`` prints."""

from collections.abc import Mapping, Sequence

from rich.table import Table

from densnet.spectra.assessment import Assessment, MeasuredBandArea
from densnet.spectra.bands import BandTable
from densnet.spectra.compare import Scores
from densnet.spectra.peaks import BandComparison, undo_time_step_shift


def bands_as_table(
    table: BandTable, bands: Sequence[BandComparison], timestep_fs: float | None
) -> Table:
    """Maxima and centres, measured and calculated, by assignment; what the time step adds."""
    shown = _table(
        f"bands of {table.molecule}: highest point, measured and calculated; centre of area; cm⁻¹"
    )
    shown.add_column("band")
    for name in ("top", "calc.", "Δ", "by Δt", "centre", "calc.", "km/mol"):
        shown.add_column(name, justify="right")
    for band in bands:
        shown.add_row(
            band.band,
            f"{band.measured_maximum:.0f} ± {band.measured_uncertainty:.0f}",
            *_maximum_cells(band, timestep_fs),
            f"{band.measured_centre:.0f}",
            _with_error(band.centre, band.centre_error, 0),
            _with_error(band.area, band.area_error, 1),
        )
    return shown


def maxima_as_table(
    bands: Sequence[BandComparison], others: Mapping[str, Sequence[BandComparison]]
) -> Table:
    """Maxima of the spectra drawn beside: where one source of error ends and the next begins."""
    shown = _table("the same bands in the spectra beside: highest point, cm⁻¹")
    shown.add_column("band")
    for name in ("measured", "this one", *others):
        shown.add_column(name, justify="right")
    found = [{band.band: band.maximum for band in beside} for beside in others.values()]
    for band in bands:
        maxima = [band.maximum, *(beside.get(band.band) for beside in found)]
        # Not covered by a spectrum, or without a top of its own there.
        cells = ["–" if maximum is None else f"{maximum:.0f}" for maximum in maxima]
        shown.add_row(band.band, f"{band.measured_maximum:.0f}", *cells)
    return shown


def areas_as_table(areas: Sequence[MeasuredBandArea]) -> Table:
    """Areas of bands as shares of their sum, measured and calculated."""
    shown = _table("share of each band in the area of all bands")
    for name in ("band", "measured", "calculated", "ratio"):
        shown.add_column(name, justify="left" if name == "band" else "right")
    for area in areas:
        ratio = f"{area.calculated_share / area.share:.2f}" if area.share > 0 else "–"
        shown.add_row(area.band, f"{area.share:.3f}", f"{area.calculated_share:.3f}", ratio)
    return shown


def scores_as_table(assessment: Assessment, overlays: Mapping[str, Assessment | None]) -> Table:
    """Scores against measurement, the best factor on the wavenumbers, nulls, spectra beside."""
    scores = assessment.scores
    shown = _table(
        f"agreement with measurement, {scores.low_cm1:.0f}–{scores.high_cm1:.0f} cm⁻¹ "
        f"at {scores.resolution_cm1:g} cm⁻¹"
    )
    for name in ("calculated against", "Pearson", "Spearman", "SIS"):
        shown.add_column(name, justify="left" if name == "calculated against" else "right")
    shown.add_row(*_score_cells(assessment.against, scores, assessment.pearson_error))
    shown.add_row(
        *_score_cells(f"  the same, wavenumbers × {assessment.stretch:.4f}", assessment.stretched)
    )
    for name, null in assessment.nulls.items():
        shown.add_row(*_score_cells(f"  null: {name}", null))
    for name, other in assessment.in_place.items():
        shown.add_row(*_score_cells(f"  in its place: {name}", other))
    for name, beside in overlays.items():
        if beside is not None:
            shown.add_row(*_score_cells(f"  beside: {name}", beside.scores))
    return shown


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")


def _score_cells(name: str, scores: Scores, error: float | None = None) -> list[str]:
    return [
        name,
        _with_error(scores.pearson, error, 3),
        f"{scores.spearman:.3f}",
        f"{scores.information_similarity:.3f}",
    ]


def _maximum_cells(band: BandComparison, timestep_fs: float | None) -> tuple[str, str, str]:
    """Highest point, its shift, and what of it the time step makes."""
    if band.maximum is None or band.shift is None:
        return "none", "–", "–"
    of_step = "–"
    if timestep_fs is not None:
        of_step = f"{band.maximum - undo_time_step_shift(band.maximum, timestep_fs):+.0f}"
    return _with_error(band.maximum, band.maximum_error, 0), f"{band.shift:+.0f}", of_step


def _with_error(value: float, error: float | None, digits: int) -> str:
    """A number with its error; an error that would round to zero is shown with one figure."""
    text = f"{value:.{digits}f}"
    if error is None:
        return text
    small = error < 0.5 * 10.0**-digits
    return f"{text} ± {error:.1g}" if small else f"{text} ± {error:.{digits}f}"
