"""Pictures that ``densnet spectrum`` draws."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from densnet.cli.spectrum_source import Computed
from densnet.plots import Line, Measurement, Stick, plot_spectrum
from densnet.spectra.bands import BandTable
from densnet.spectra.compare import subtract_baseline
from densnet.spectra.estimate import count_segments
from densnet.spectra.measured import MeasuredSpectrum
from densnet.spectra.spectrum import Spectrum

Y_LABELS: Final = {
    "ir": "κ / km mol⁻¹ per cm⁻¹",
    "vdos": "modes per cm⁻¹",
    "raman": "activity / Å⁴ amu⁻¹ per cm⁻¹",
    "raman_stokes": "Stokes intensity, relative",
}


def draw(
    kind: str,
    args: argparse.Namespace,
    computed: Computed,
    entry: dict[str, Any],
    overlays: Mapping[str, Spectrum],
    measurement: Measurement | None,
    path: Path,
) -> Path:
    """Draw one spectrum, and others and what was measured where there is something."""
    label = f"{entry['kind'] or 'calculated'}, {entry['temperature_kelvin']:.0f} K"
    spectrum = computed.spectrum
    lines = [Line(label, spectrum.wavenumber_cm1, spectrum.intensity, spectrum.error)]
    lines += [
        Line(name, part.wavenumber_cm1, part.intensity, part.error)
        for name, part in {**computed.parts, **overlays}.items()
    ]
    shaded = "" if spectrum.error is None else "; shaded: ± one standard error"
    note = (
        f"{count_segments(entry['segments'])}, {entry['total_ps']:.0f} ps in all; resolution "
        f"{spectrum.resolution_cm1:g} cm⁻¹; {spectrum.error_method}{shaded}"
    )
    return plot_spectrum(
        lines,
        path,
        y_label=Y_LABELS[kind],
        range_cm1=tuple(args.range),
        measurement=measurement,
        title=args.title,
        note=note,
    )


def measurement_to_draw(
    table: BandTable | None, measured: MeasuredSpectrum | None
) -> Measurement | None:
    """The lower panel of the picture: the measured curve, or the sticks of the band table."""
    groups = [(group.centre_cm1, group.name) for group in table.groups()] if table else []
    if measured is not None:
        absorbance = subtract_baseline(measured.wavenumber_cm1, measured.absorbance)
        curve = (measured.wavenumber_cm1, absorbance)
        return Measurement(f"measured: {measured.title}", groups=groups, curve=curve)
    if table is None:
        return None
    sticks = [Stick(row.wavenumber_cm1, row.intensity_relative or 0.0) for row in table.maxima()]
    return Measurement(f"measured: {table.sources[0]}", sticks, groups)
