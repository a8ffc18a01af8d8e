"""Equivariant building blocks: few, large operations on harmonic-major arrays.

Equivariant features are arrays of shape ``(n_m, n_nodes, n_channels)``: the index ``lm`` of a real
spherical harmonic (l ascending, m = −l … l) comes first, so that a map per l is one batched matrix
product and an evaluation on the sphere is one matrix product. All irreps have natural parity,
(−1)^l, which is what densities and energies of molecules are made of.
"""
