"""Records: closed shapes, one text, one identifier."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from tinypylm.canonical import JsonObject, JsonValue
from tinypylm.errors import ProvenanceError
from tinypylm.provenance import ProvenanceCode, RecordKind, check, dump, identifier, load
from tinypylm.provenance.records import RECORD_CAP_BYTES, SCHEMAS
from tinypylm.provenance.registry import FETCH_ENVELOPE, components, phase_components
from tinypylm.provenance.schema import (
    DECIMAL,
    boolean,
    choice,
    integer,
    list_of,
    map_of,
    record,
    string,
    text,
    variants,
)

DIGEST = "ab" * 32
QUARANTINE: JsonObject = {
    "kind": "quarantine", "version": 1, "name": "a", "step": "receipt", "code": "ReceiptRejected",
    "reason": "two\nlines", "moved": [{"path": "a", "to": "b", "sha256": DIGEST, "bytes": 0}],
}


def refused(action: Callable[[], object]) -> ProvenanceError:
    with pytest.raises(ProvenanceError) as raised:
        action()
    return raised.value


def test_every_kind_has_a_schema_that_wants_its_kind_and_version() -> None:
    assert set(SCHEMAS) == set(RecordKind)
    for kind in RecordKind:
        error = refused(lambda kind=kind: check(kind, {"kind": str(kind), "version": 1}))
        assert error.code in {ProvenanceCode.RECORD_MISSING_KEY, ProvenanceCode.RECORD_VALUE}
        assert refused(lambda kind=kind: check(kind, {"kind": "x"})).code is ProvenanceCode.RECORD_KIND
        for version in (2, True, "1"):
            body: JsonObject = {"kind": str(kind), "version": version}
            assert refused(lambda kind=kind, body=body: check(kind, body)).code is ProvenanceCode.RECORD_VERSION


def test_an_identifier_is_the_sha_256_of_a_domain_line_and_the_canonical_text() -> None:
    canonical = rfc8785.dumps(QUARANTINE)
    digest = hashlib.sha256(b"slm/quarantine/v1\n" + canonical).hexdigest()
    assert identifier(RecordKind.QUARANTINE, QUARANTINE) == digest
    assert dump(RecordKind.QUARANTINE, QUARANTINE) == canonical
    assert load(canonical, RecordKind.QUARANTINE) == QUARANTINE


def test_the_same_body_has_another_identifier_under_another_kind() -> None:
    assert len({identifier(kind, QUARANTINE) for kind in RecordKind}) == len(RecordKind)


@pytest.mark.parametrize("data", [
    b"", b"[]", b"{}", b'{"kind":"quarantine","version":1.0}', b'{"version":1,"kind":"quarantine"}', b"\xff",
    dump(RecordKind.QUARANTINE, QUARANTINE) + b"\n", b"\xef\xbb\xbf" + dump(RecordKind.QUARANTINE, QUARANTINE),
])
def test_bytes_that_are_not_the_canonical_text_of_a_record_are_refused(data: bytes) -> None:
    assert str(refused(lambda: load(data, RecordKind.QUARANTINE)).code).startswith("Record")


def test_a_record_over_the_cap_is_refused_before_it_is_read() -> None:
    error = refused(lambda: load(b"[" * (RECORD_CAP_BYTES + 1), RecordKind.RECEIPT))
    assert error.code is ProvenanceCode.RECORD_NOT_CANONICAL
    assert error.detail["bytes"] == RECORD_CAP_BYTES + 1


def test_an_unknown_key_is_refused_with_its_place_and_the_nearest_one() -> None:
    moved: JsonValue = [{"path": "a", "to": "b", "sha265": DIGEST, "sha256": DIGEST, "bytes": 0}]
    error = refused(lambda: check(RecordKind.QUARANTINE, {**QUARANTINE, "moved": moved}))
    assert error.code is ProvenanceCode.RECORD_UNKNOWN_KEY
    assert error.detail == {"kind": "quarantine", "path": "moved[0]", "key": "sha265", "nearest": "sha256"}
    assert error.message == (
        "the quarantine record: moved[0] has the key 'sha265', which it must not; did you mean sha256?")


def test_a_missing_key_is_refused_with_its_place() -> None:
    error = refused(lambda: check(RecordKind.QUARANTINE, {**QUARANTINE, "moved": [{"path": "a"}]}))
    assert (error.code, error.detail["path"], error.detail["key"]) == ("RecordMissingKey", "moved[0]", "to")


@pytest.mark.parametrize(("rule", "good", "bad"), [
    (text("[a-c]+", "a to c"), ["a", "abc"], ["", "d", "ab\n", 1, True, ["a"]]),
    (string(1, 3), ["a", "\n\0", "日本語"], ["", "abcd", 1, True, ["a"]]),
    (DECIMAL, ["0.8", "1.0", "0.0", "1e-07", "1.5e+300", "0.00012345678901234567"],
     ["0.80", "1", ".5", "-1.0", "inf", "nan", "1e999", "1e+999", "1_0.0", "1.0 ", "", 1, True, ["1.0"]]),
    (choice("x", "y"), ["x"], ["z", "", 1, ["x"], {"x": 1}]),
    (integer(1, 3), [1, 3], [0, 4, True, "1", [1]]),
    (boolean, [True, False], [0, 1, "true"]),
    (list_of(integer(), 1, 2), [[0], [1, 2]], [[], [1, 2, 3], [-1], {"0": 1}, "ab"]),
    (map_of(integer(), 1), [{}, {"a": 1}], [{"a": "1"}, {"a": 1, "b": 2}, [], 1]),
    (record({"a": integer()}, {"b": boolean}), [{"a": 1}, {"a": 1, "b": True}],
     [{}, {"b": True}, {"a": 1, "c": 1}, {"a": 1, "b": 1}, [], "a"]),
    (variants("t", {"p": record({"t": choice("p")}), "q": record({"t": choice("q"), "n": integer()})}),
     [{"t": "p"}, {"t": "q", "n": 1}], [{}, {"t": "r"}, {"t": "q"}, {"t": "p", "n": 1}, [], {"t": ["p"]}]),
])
def test_a_rule_accepts_and_refuses(
    rule: Callable[[JsonValue, str], None], good: list[JsonValue], bad: list[JsonValue]
) -> None:
    for value in good:
        rule(value, "x")
    for value in bad:
        error = refused(lambda value=value: rule(value, "x"))
        assert str(error.detail["path"]).startswith("x")


@given(st.floats(min_value=0, allow_infinity=False))
def test_every_fraction_has_a_decimal_text_that_is_accepted(value: float) -> None:
    DECIMAL(repr(value + 0.0), "x")


JUNK: st.SearchStrategy[JsonValue] = st.recursive(
    st.text(max_size=3) | st.booleans() | st.integers(-5, 5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abkn"), inner, max_size=3),
    max_leaves=6)


@given(st.sampled_from(list(RecordKind)), st.dictionaries(st.sampled_from(["models", "moved", "name", "cases"]), JUNK))
def test_junk_is_refused_by_a_typed_error_whatever_it_is(kind: RecordKind, junk: JsonObject) -> None:
    body: JsonObject = {**junk, "kind": str(kind), "version": 1}
    assert isinstance(refused(lambda: check(kind, body)).code, ProvenanceCode)


def test_a_full_assembly_plans_12_17_or_21_fetches_each_in_one_phase() -> None:
    assert [len(components(stack)) for stack in range(3)] == [12, 17, 21]
    assert FETCH_ENVELOPE == 32
    for stack in range(3):
        phased = [component for _, parts in phase_components(stack) for component in parts]
        assert sorted(phased) == sorted(set(components(stack)) - {"registry", "plan"})
    assert [phase for phase, _ in phase_components(2)] == [
        "load-model-bytes", "verify-model-manifest", "verify-assembly-evidence", "verify-adapter-family",
        "apply-adapter-stack-0", "apply-adapter-stack-1"]


def test_every_code_is_documented(repo_root: Path) -> None:
    section = (repo_root / "docs" / "registry.md").read_text("utf-8").split("\n## Codes\n")[1]
    assert set(re.findall(r"`([A-Z]\w+)`", section)) == {str(code) for code in ProvenanceCode}
