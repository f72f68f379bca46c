"""The networks, each written once, top to bottom, in kernels."""
