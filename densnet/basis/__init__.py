"""Density basis sets: shells of Gaussians, their order, and the free-atom prior."""

from densnet.basis.density_basis import AtomicPrior, DensityBasis, library_names
from densnet.basis.layout import Layout
from densnet.basis.normalization import primitive_norm
from densnet.basis.shell import Shell

__all__ = [
    "AtomicPrior",
    "DensityBasis",
    "Layout",
    "Shell",
    "library_names",
    "primitive_norm",
]
