"""`--drop-layers`: a source without some of its layers. The others keep their weights and their order."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from tinypylm.config import TensorSpec
from tinypylm.errors import ErrorCode, ToolError
from tinypylm_tools.importers.source import ReadRows, Rows, Source
from tinypylm_tools.quantise import F32


def drop_layers(source: Source, dropped: Collection[int]) -> Source:
    """The source without the layers of these numbers. Raises ToolError for a number that it does not have."""
    count = source.config.n_layers
    kept = [layer for layer in range(count) if layer not in dropped]
    unknown = sorted(layer for layer in dropped if not 0 <= layer < count)
    if unknown or not kept:
        raise ToolError(
            ErrorCode.UNUSABLE_CHOICE, f"--drop-layers names {', '.join(map(str, unknown or sorted(dropped)))}; "
            f"expected some, but not all, of 0 to {count - 1}.", {"expected": count - 1})

    def open_weights() -> ReadRows:
        read = source.open_weights()

        def read_kept(spec: TensorSpec, rows: Rows) -> F32:
            return read(spec if spec.layer is None else replace(spec, layer=kept[spec.layer]), rows)

        return read_kept

    return replace(source, config=replace(source.config, n_layers=len(kept)), open_weights=open_weights)


def read_layers(text: str) -> frozenset[int]:
    """`3,5` as numbers. Raises ToolError."""
    try:
        return frozenset(int(part) for part in text.split(","))
    except ValueError:
        raise ToolError(
            ErrorCode.UNUSABLE_CHOICE, f"--drop-layers is {text!r}; expected numbers with commas between them, such as "
            "3,5.", {"found": text}) from None
