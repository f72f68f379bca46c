"""Weights that a checkpoint stores by name: are they exactly the model's, and the way to their rows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Set
from typing import Protocol

import numpy as np

from tinypylm.config import ModelConfig, Role, TensorSpec, expected_tensors
from tinypylm.errors import ErrorCode, ToolError
from tinypylm_tools.importers.source import Layout, Place, ReadRows, Rows
from tinypylm_tools.quantise import F32


class Stored(Protocol):
    """A tensor of a checkpoint, still on disk."""

    @property
    def kind(self) -> str:
        """Its type, as the checkpoint calls it."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def rows(self, name: str, rows: Rows) -> F32: ...

    def pieces(self) -> Iterator[bytes]:
        """Its bytes, in pieces of a fixed size."""


def open_named(stored: Mapping[str, Stored], layout: Layout, config: ModelConfig, where: str) -> ReadRows:
    """Reads rows of the tensors in `where`. Raises ToolError where they are not exactly those of `config`."""
    places = {(spec.role, spec.layer): layout.place(spec) for spec in expected_tensors(config)}
    expected = {place.name: place for place in places.values() if place is not None}
    _check_tied_head(stored, layout, config, places[Role.TOK_EMBEDDINGS, None])
    _check_names(stored, expected.keys(), layout, where)
    for name, place in expected.items():
        _check_shape(name, stored[name].shape, place.shape)

    def read(spec: TensorSpec, rows: Rows) -> F32:
        place = places[spec.role, spec.layer]
        if place is None:
            return np.zeros((len(rows), *spec.shape[1:]), np.float32)
        return stored[place.name].rows(place.name, place.stored_rows(rows))

    return read


def _check_tied_head(
    stored: Mapping[str, Stored], layout: Layout, config: ModelConfig, embeddings: Place | None
) -> None:
    """A tied model may carry a copy of its embeddings as head, which is not read; any other head is an error."""
    if not config.tied_embeddings or layout.head not in stored or embeddings is None:
        return
    if not _same(stored[layout.head], stored.get(embeddings.name)):
        raise ToolError(
            ErrorCode.UNSUPPORTED_CHECKPOINT, f"tie_word_embeddings in config.json is true, but {layout.head} differs "
            f"from {embeddings.name}. Set it to false, or remove {layout.head}.", {"tensor": layout.head})


def _same(one: Stored, other: Stored | None) -> bool:
    if other is None or (one.kind, one.shape) != (other.kind, other.shape):
        return False
    return all(mine == theirs for mine, theirs in zip(one.pieces(), other.pieces(), strict=True))


def _check_names(stored: Mapping[str, Stored], expected: Set[str], layout: Layout, where: str) -> None:
    lacking = sorted(expected - stored.keys())
    if lacking:
        hint = " Set tie_word_embeddings to true if the output shares the embeddings." if layout.head in lacking else ""
        raise _wrong_set(where, f"lacks {lacking[0]}", len(lacking), hint)
    extra = sorted(
        name for name in stored.keys() - expected if name != layout.head and not name.endswith(layout.implied))
    if extra:
        raise _wrong_set(where, f"holds {extra[0]}, which a model of this configuration does not have", len(extra), "")


def _wrong_set(where: str, what: str, count: int, hint: str) -> ToolError:
    others = f" (and {count - 1} more)" if count > 1 else ""
    return ToolError(
        ErrorCode.UNSUPPORTED_CHECKPOINT, f"{where} {what}{others}. Its tensors must be exactly those that its "
        f"configuration implies.{hint}")


def _check_shape(name: str, found: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if found != expected:
        raise ToolError(
            ErrorCode.SHAPE_MISMATCH, f"{name} has shape {found}, expected {expected} from the configuration.",
            {"tensor": name, "found": json.dumps(found), "expected": json.dumps(expected)})
