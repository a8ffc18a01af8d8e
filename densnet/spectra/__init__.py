"""Correlation functions and spectra of trajectories: infrared, Raman, density of states.

Knows no neural network and no quantum chemistry: numbers along a trajectory in, spectra with error
bars out.
"""
