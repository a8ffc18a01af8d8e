"""Molecular dynamics in which the electron density is alive at every step.

DenSNet learns the Hohenberg-Kohn map (https://arxiv.org/abs/2604.24563): an equivariant network
predicts the electron density as coefficients of atom-centred Gaussians on top of superposed atomic
densities, and a second equivariant network maps that density to the energy.
"""

__version__ = "0.1.0"
