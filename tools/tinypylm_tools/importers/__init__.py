"""Checkpoints of other programs, each opened as a `Source`."""
