"""`[start]`: a smaller model out of the one that a run starts from, before its first step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tinypylm_tools.layer_dropping import drop_layers
from tinypylm_tools.training.description import Reduction, unusable
from tinypylm_tools.training.start import Start, from_source, source_of
from tinypylm_tools.vocabulary_pruning import prune_vocabulary


def reduced(start: Start, wanted: Reduction, documents: Sequence[str]) -> Start:
    """The model without the layers, tokens and positions that are not `wanted`. Raises ToolError for unknown ones."""
    source = source_of(start, {})
    if wanted.drop_layers:
        source = drop_layers(source, wanted.drop_layers)
    if wanted.prune_vocabulary:
        source = prune_vocabulary(source, documents)
    trained = source.config.context_length
    if wanted.context_length > trained:
        raise unusable("context_length", "[start]", wanted.context_length, f"at most {trained}, as that model has")
    config = replace(source.config, context_length=wanted.context_length or trained)
    return replace(from_source(replace(source, config=config)), parent=start.parent)
