"""The arithmetic of a forward pass, one idea a file; `tests/reference` holds a NumPy twin of each kernel."""
