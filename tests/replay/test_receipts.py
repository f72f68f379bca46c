"""Receipts: the same bytes from every way to make one, nothing else accepted, and nothing said that did not happen."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import tinypylm
from tests.engine.models import loaded
from tests.replay.runs import OPTIONS, PROMPT, fixture, opened, record, scale_bits, stack
from tinypylm import canonical
from tinypylm.errors import CanonicalError, ErrorCode, OptionError, ProvenanceError
from tinypylm.identity import runtime_sha256
from tinypylm.memory import KVCache
from tinypylm.options import SamplingOptions
from tinypylm.receipts import options_of, parse_receipt
from tinypylm.session import Session
from tinypylm.tokenizer import Tokenizer
from tinypylm_tools.commands.replay import PARTED, PARTED_ELSEWHERE
from tinypylm_tools.model_file import open_model
from tinypylm_tools.serving.wheel import build_wheel

GOLDEN = Path(__file__).with_name("golden.json")


@pytest.fixture(scope="module")
def receipt(session: Session) -> bytes:
    return record(session)


def altered(receipt: bytes, **changes: Any) -> bytes:
    return canonical.dumps(json.loads(receipt) | changes)


@pytest.mark.parametrize("kind", ["f32", "q8_0", "q4_0"])
@pytest.mark.parametrize("with_adapters", [False, True])
def test_a_receipt_is_the_golden_one_but_for_the_runtime_that_made_it(kind: str, with_adapters: bool):
    session = opened(kind, stack(kind) if with_adapters else ())
    made = json.loads(record(session))
    session.free()
    assert made.pop("runtime_sha256") == runtime_sha256()
    assert made == json.loads(GOLDEN.read_bytes())[f"{kind}{' adapted' if with_adapters else ''}"]


def test_it_holds_what_the_generation_came_from_and_what_came(receipt: bytes, repo_root: Path):
    held = json.loads(receipt)
    data = fixture("q8_0")
    assert canonical.dumps(held) == receipt
    assert held["model_sha256"] == hashlib.sha256(data).hexdigest()
    tokenizer = Tokenizer.of(open_model(repo_root / "models/fixtures/tiny-test-model-q8_0.slm").model)
    assert held["prompt_ids"] == tokenizer.encode(PROMPT)
    assert held["options"]["seed"] == str(2**64 - 1)
    assert held["options"]["temperature"] == "0.7"
    assert options_of(held) == SamplingOptions.from_dict(OPTIONS)
    assert (len(held["ids"]), len(held["logits_sha256"]), held["finish_reason"]) == (40, 3, "length")


def test_its_digests_are_those_of_the_logits_that_an_engine_computes_token_by_token(receipt: bytes):
    held = json.loads(receipt)
    engine, found = loaded(fixture("q8_0")), []
    chosen_at = len(held["prompt_ids"]) - 1
    for position, token in enumerate([*held["prompt_ids"], *held["ids"][:-1]]):
        engine.step(token, position)
        if position >= chosen_at and (position - chosen_at) % 16 == 0:
            found.append(hashlib.sha256(engine.logits()).hexdigest())
    engine.free()
    assert held["logits_sha256"] == found


def test_recording_changes_no_token(session: Session, receipt: bytes):
    session.start(PROMPT, SamplingOptions.from_dict(OPTIONS))
    assert [event.id for event in session.advance(lambda: False)] == json.loads(receipt)["ids"]


@pytest.mark.parametrize("threads", [2, 3, 4])
def test_threads_change_no_byte(receipt: bytes, threads: int):
    session = opened("q8_0", threads=threads)
    assert record(session) == receipt
    session.free()


def test_a_cached_beginning_of_the_prompt_changes_no_byte(session: Session, receipt: bytes):
    session.start(PROMPT[:8], SamplingOptions(max_tokens=1))
    session.advance(lambda: False)
    assert record(session) == receipt
    assert session.diagnostics()["reused_prompt_tokens"]


def test_adapters_stand_in_their_order_with_their_scales_and_are_gone_after_detaching(receipt: bytes):
    packages = stack("q8_0")
    session = opened("q8_0", packages)
    rows = [{"sha256": hashlib.sha256(data).hexdigest(), "scale_bits": scale_bits(scale or 1.0)}
            for data, scale in packages]
    with_adapters = json.loads(record(session))
    assert with_adapters["adapters"] == rows
    assert with_adapters["logits_sha256"] != json.loads(receipt)["logits_sha256"]
    session.detach_adapters()
    assert record(session) == receipt
    session.free()


def test_the_cache_of_keys_and_values_is_named(receipt: bytes):
    session = opened("q8_0", kv_cache=KVCache.F16)
    held = json.loads(record(session))
    session.free()
    assert held["kv_cache"] == "f16"
    assert held["logits_sha256"] != json.loads(receipt)["logits_sha256"]


def test_whole_numbers_for_options_give_the_same_bytes_as_fractions(session: Session):
    assert record(session, temperature=1, top_p=1, min_p=0) == record(session, temperature=1.0, top_p=1.0, min_p=0.0)


def test_a_stopped_generation_has_a_receipt_of_what_came(session: Session, receipt: bytes):
    held = json.loads(record(session, stop_after=17))
    assert (held["ids"], held["finish_reason"]) == (json.loads(receipt)["ids"][:17], "cancelled")
    assert held["logits_sha256"] == json.loads(receipt)["logits_sha256"][:2]


def test_what_no_receipt_could_hold_is_refused_before_the_first_token(session: Session):
    with pytest.raises(CanonicalError, match="lone surrogate"):
        record(session, stop_strings=["\ud800"])
    assert session.finished


REFUSED = {
    "an unknown key": ({"text": "x"}, "RecordUnknownKey"),
    "another kind": ({"kind": "receipt"}, "RecordKind"),
    "another version": ({"version": 2}, "RecordVersion"),
    "a digest in upper case": ({"model_sha256": "A" * 64}, "RecordValue"),
    "a digest too short": ({"logits_sha256": ["ab"]}, "RecordValue"),
    "a token that is a text": ({"ids": ["7"]}, "RecordValue"),
    "a negative token": ({"ids": [-1]}, "RecordValue"),
    "no prompt": ({"prompt_ids": []}, "RecordValue"),
    "an unknown reason": ({"finish_reason": "error"}, "RecordValue"),
    "an unknown cache": ({"kv_cache": "q8"}, "RecordValue"),
    "an adapter without scale": ({"adapters": [{"sha256": "0" * 64}]}, "RecordMissingKey"),
    "no options": ({"options": {}}, "RecordMissingKey"),
}
OPTIONS_REFUSED = {
    "temperature": ["0.70", "1", ".5", "nan", "inf", "-1.0", "1e999", 1, "1_0.0"], "seed": ["01", "-1", 7, "1.0"],
    "stop_strings": [["x" * 257], ["x"] * 17, "x", [""]],
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_malformed_receipt_is_refused_by_name(receipt: bytes, name: str):
    changes, code = REFUSED[name]
    with pytest.raises(ProvenanceError) as refused:
        parse_receipt(altered(receipt, **changes))
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("option", "value"), [(name, value) for name, values in OPTIONS_REFUSED.items() for value in values])
def test_an_option_has_one_spelling(receipt: bytes, option: str, value: object):
    options = json.loads(receipt)["options"] | {option: value}
    with pytest.raises(ProvenanceError) as refused:
        parse_receipt(altered(receipt, options=options))
    assert refused.value.code == "RecordValue"
    assert option in refused.value.message


def test_an_option_out_of_its_range_is_refused_as_anywhere(receipt: bytes):
    options = json.loads(receipt)["options"] | {"temperature": "1000.0"}
    with pytest.raises(OptionError, match=r"temperature is 1000\.0"):
        parse_receipt(altered(receipt, options=options))


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b"null", b" ", b'{"kind":"replay-receipt"}'])
def test_anything_else_is_no_receipt(data: bytes):
    with pytest.raises(ProvenanceError):
        parse_receipt(data)


def test_spaces_and_another_order_are_no_receipt(receipt: bytes):
    for data in (receipt + b"\n", json.dumps(json.loads(receipt)).encode(), receipt[:-1]):
        with pytest.raises(ProvenanceError) as refused:
            parse_receipt(data)
        assert refused.value.code == "RecordNotCanonical"


def test_every_option_of_the_sampler_is_in_a_receipt(receipt: bytes):
    assert set(json.loads(receipt)["options"]) == {field.name for field in fields(SamplingOptions)}


def test_the_runtime_is_named_by_all_of_its_sources(repo_root: Path):
    total, root = hashlib.sha256(), Path(tinypylm.__file__).parent
    sources = {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*.py")}
    for name in sorted(sources):
        total.update(f"{name}\n{hashlib.sha256(sources[name]).hexdigest()}\n".encode())
    assert runtime_sha256() == total.hexdigest()


def test_the_runtime_in_the_wheel_has_the_same_name(repo_root: Path, tmp_path: Path):
    wheel = build_wheel(repo_root)
    (tmp_path / wheel.name).write_bytes(wheel.data)
    program = "import tinypylm.identity; print(tinypylm.__file__, tinypylm.identity.runtime_sha256())"
    run = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path / wheel.name)!r}); {program}"]
    file, digest = subprocess.run(run, capture_output=True, text=True, check=True).stdout.split()
    assert ".whl" in file
    assert digest == runtime_sha256()


def test_the_document_names_every_key_code_and_exit_status(receipt: bytes, repo_root: Path):
    document = (repo_root / "docs" / "replay.md").read_text(encoding="utf-8")
    named = set(re.findall("`([A-Za-z0-9_]+)`", document))
    assert json.loads(receipt).keys() - named == set()
    assert {str(code) for code in ErrorCode if code.name.startswith("RECEIPT_")} - named == set()
    assert {PARTED, PARTED_ELSEWHERE} <= set(map(int, re.findall(r"^\| (\d) \|", document, re.MULTILINE)))
