"""Measuring in a real browser: the same shapes, the same clock, this project's engine and its peers in turns."""
