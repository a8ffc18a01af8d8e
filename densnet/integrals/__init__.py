"""Integrals of density functions: the Python face of the C++ kernel, and its torch twin.

NumPy in, NumPy out, float64, atomic units. Coefficients are ordered as
:class:`densnet.basis.Layout` says. ``kernel_info()`` tells which implementation runs.
"""

from densnet.integrals.forms import (
    FormWithGradients,
    apply_metric,
    bilinear_form_with_gradients,
    quadratic_form,
    quadratic_form_with_gradients,
)
from densnet.integrals.kernel import KernelInfo, kernel_info
from densnet.integrals.moments import Moments, moments
from densnet.integrals.points import (
    density_and_gradient_on_points,
    density_on_points,
    potential_on_points,
)
from densnet.integrals.shell_table import flat_exponents, with_exponents
from densnet.integrals.two_centre import (
    MetricGradient,
    coulomb_metric,
    metric_between,
    metric_vjp,
    overlap,
)

__all__ = [
    "FormWithGradients",
    "KernelInfo",
    "MetricGradient",
    "Moments",
    "apply_metric",
    "bilinear_form_with_gradients",
    "coulomb_metric",
    "density_and_gradient_on_points",
    "density_on_points",
    "flat_exponents",
    "kernel_info",
    "metric_between",
    "metric_vjp",
    "moments",
    "overlap",
    "potential_on_points",
    "quadratic_form",
    "quadratic_form_with_gradients",
    "with_exponents",
]
