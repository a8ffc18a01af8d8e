"""Frames on disk: the HDF5 schema, its crash-safe writer and its strict reader."""
