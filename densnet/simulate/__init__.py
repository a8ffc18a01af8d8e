"""Molecular dynamics with i-PI: inputs, processes, progress, run directories, sweeps."""
