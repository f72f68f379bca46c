"""Adapter packages made, imported, combined, and applied to files, in NumPy."""
