"""Figures, all in one style. Needs matplotlib; nothing else in the package does."""

from densnet.plots.learning_curve import Curve, CurvePanel, learning_curve
from densnet.plots.parity import ParityPanel, parity
from densnet.plots.spectrum import Line, Measurement, Stick, plot_spectrum

__all__ = [
    "Curve",
    "CurvePanel",
    "Line",
    "Measurement",
    "ParityPanel",
    "Stick",
    "learning_curve",
    "parity",
    "plot_spectrum",
]
