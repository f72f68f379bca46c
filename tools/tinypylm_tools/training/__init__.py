"""Training: a run is described by a TOML file, lives in a folder of its own, and ends as `.slm` files.

In the order of use: `description`, `corpus` with `overlap`, `start` with `tokens`, `opening`, `run` with `batches`,
`measure`, `network`, `rounding`, `optimiser`, `schedule` and `checkpoint`, `export`. The first three do without torch
and `tokenizers`, the extra [train].
"""
