"""The lineage template: which models and parameters a child is to be made from. No operator runs without one."""

from __future__ import annotations

from collections.abc import Sequence

from tinypylm.canonical import JsonObject, JsonValue
from tinypylm.provenance import RecordKind, check, identifier
from tinypylm.provenance.operators import OPERATORS
from tinypylm_tools.breeding.parameters import Parameters
from tinypylm_tools.breeding.parents import Parent


def lineage_template(
    name: str, operator: str, chosen: Parameters, parents: Sequence[Parent], compatibility: JsonObject
) -> JsonObject:
    """The record of what is to be done; it exists before the child and says nothing about it but its `name`."""
    table = OPERATORS[operator]
    body: JsonObject = {
        "kind": "lineage", "version": 1, "operator": operator, "operator_version": table.version,
        "parameters": {"name": name, **chosen.record(table)},
        "parents": [{"role": parent.role, "sha256": parent.sha256} for parent in parents],
        "compatibility": identifier(RecordKind.COMPATIBILITY, compatibility),
    }
    check(RecordKind.LINEAGE, body)
    return body


def default_name(operator: str, parents: Sequence[Parent]) -> str:
    """The first model's name, on one line, with the operator behind it."""
    stated = str(parents[0].model.metadata.get("name", ""))
    first = " ".join("".join(letter if letter.isprintable() else " " for letter in stated).split())
    return f"{first[:150] or 'Unnamed'} ({operator})"


def child_metadata(lineage: JsonObject, parents: Sequence[Parent]) -> JsonObject:
    """The metadata section of the child: its name, its parents, and what they agree on."""
    parameters = lineage["parameters"]
    assert isinstance(parameters, dict)
    metadata: JsonObject = {
        "name": parameters["name"],
        "description": f"Bred by {lineage['operator']} from {len(parents)} models.",
        "lineage_sha256": _digests(lineage, parents),
    }
    licences = [parent.model.metadata.get("licence") for parent in parents]
    if all(licences):
        metadata["licence"] = " AND ".join(sorted({str(licence) for licence in licences}))
    chats = [parent.model.metadata.get("chat") for parent in parents]
    if chats[0] is not None and all(chat == chats[0] for chat in chats):
        metadata["chat"] = chats[0]
    return metadata


def _digests(lineage: JsonObject, parents: Sequence[Parent]) -> JsonObject:
    """The template's identifier and the parents' digests, by role; those that share a role are counted from 1."""
    digests: dict[str, JsonValue] = {"template": identifier(RecordKind.LINEAGE, lineage)}
    for role in dict.fromkeys(parent.role for parent in parents):
        same = [parent.sha256 for parent in parents if parent.role == role]
        for number, digest in enumerate(same, 1):
            digests[role if len(same) == 1 else f"{role}_{number}"] = digest
    return digests
