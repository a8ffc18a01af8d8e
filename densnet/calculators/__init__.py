"""Doors into other Python programs."""
