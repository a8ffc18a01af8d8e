"""Equivariant building blocks: few, large operations on harmonic-major arrays.

Equivariant features are arrays of shape ``(n_m, n_nodes, n_channels)``: the index ``lm`` of a real
spherical harmonic (l ascending, m = −l … l) comes first, so that a map per l is one batched matrix
product and an evaluation on the sphere is one matrix product. All irreps have natural parity,
(−1)^l, which is what densities and energies of molecules are made of.
"""

from densnet.nn.angular import SphereGrid, SphericalHarmonics, l_of_m, n_harmonics
from densnet.nn.graph import Graph, complete_graph, neighbour_graph
from densnet.nn.linear import HarmonicLinear, SpeciesHarmonicLinear
from densnet.nn.message import Convolution, TwoBody
from densnet.nn.product import SphereProduct
from densnet.nn.radial import PairRadialBasis

__all__ = [
    "Convolution",
    "Graph",
    "HarmonicLinear",
    "PairRadialBasis",
    "SpeciesHarmonicLinear",
    "SphereGrid",
    "SphereProduct",
    "SphericalHarmonics",
    "TwoBody",
    "complete_graph",
    "l_of_m",
    "n_harmonics",
    "neighbour_graph",
]
