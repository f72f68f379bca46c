"""A `.slm` model in the formats of other programs, so that what it computes can be checked there."""
