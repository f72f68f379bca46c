"""A generation saved from the page and replayed in it: the bytes of CPython, and the token at which two runs part."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.replay.runs import MODELS, OPTIONS, PROMPT, opened, record, stack
from tests.web.desk import Desk
from tinypylm import canonical

pytestmark = pytest.mark.browser

RECORD = """async ([prompt, options]) => {
  for await (const token of tinypylm.generate(prompt, options));
  return tinypylm.receipt();
}"""
ATTACH = "async ([bytes, scale]) => void await tinypylm.applyAdapter(new Uint8Array(bytes), { scale })"
IN_THE_PAGE: dict[str, object] = OPTIONS | {"seed": str(OPTIONS["seed"]), "receipt": True}


def receipt_of(desk: Desk, **options: object) -> bytes:
    return desk.page.evaluate(RECORD, [PROMPT, IN_THE_PAGE | options]).encode()


def open_fixture(desk: Desk, repo_root: Path, kind: str = "q8_0") -> None:
    name = f"{MODELS[kind]}.slm"
    desk.open_file(name, (repo_root / "models" / "fixtures" / name).read_bytes())


def test_a_receipt_that_was_changed_since_it_was_chosen_is_refused_by_name(desk: Desk, repo_root: Path, tmp_path: Path):
    open_fixture(desk, repo_root)
    chosen = tmp_path / "receipt.json"
    chosen.write_text("{}")
    desk.page.evaluate("""() => {
      document.body.append(Object.assign(document.createElement("input"), { type: "file", id: "other" }));
    }""")
    desk.element("other").set_input_files(chosen)
    assert desk.page.evaluate("document.querySelector('#other').files[0].size") == 2
    chosen.write_text("{ }")
    desk.page.evaluate("""() => {
      const [other, replay] = ["other", "replay-file"].map((id) => document.getElementById(id));
      const held = new DataTransfer();
      held.items.add(other.files[0]);
      replay.files = held.files;
      other.remove();
      replay.dispatchEvent(new Event("change"));
    }""")
    desk.shows("FileUnreadable")
    assert desk.state == "model-ready"


def replay_file(desk: Desk, receipt: bytes) -> None:
    desk.page.evaluate("document.querySelector('#receipts').open = true")
    desk.element("replay-file").set_input_files(
        {"name": "receipt.json", "mimeType": "application/json", "buffer": receipt})


def verdict(desk: Desk, outcome: str) -> str:
    desk.page.locator(f'#replay-verdict[data-outcome="{outcome}"]').wait_for()
    return desk.element("replay-verdict").text_content() or ""


@pytest.mark.parametrize("kind", MODELS)
def test_page_and_command_line_write_the_same_receipt(desk: Desk, repo_root: Path, kind: str):
    open_fixture(desk, repo_root, kind)
    for adapters in ((), stack(kind)):
        for data, scale in adapters:
            desk.page.evaluate(ATTACH, [list(data), scale])
        session = opened(kind, adapters)
        assert receipt_of(desk) == record(session)
        session.free()


def test_a_recorded_generation_is_saved_and_replayed_with_the_buttons(desk: Desk, repo_root: Path):
    open_fixture(desk, repo_root)
    desk.page.evaluate("document.querySelector('#receipts').open = true")
    desk.element("record-receipt").check()
    desk.generate("The cat", seed=3, max_tokens=20)
    desk.element("record-receipt").uncheck()
    with desk.page.expect_download() as download:
        desk.press("save-receipt")
    receipt = Path(download.value.path()).read_bytes()
    assert download.value.suggested_filename == "tinypylm-receipt.json"
    assert receipt.decode() == desk.page.evaluate("tinypylm.receipt()")
    written = desk.transcript
    desk.press("clear")
    replay_file(desk, receipt)
    assert verdict(desk, "same") == "The same 20 tokens, all digests of logits equal."
    assert desk.transcript == written
    session = opened("q8_0")
    assert receipt == record(session, "The cat", **json.loads(receipt)["options"] | {
        "temperature": 0.8, "top_k": 40, "top_p": 1, "min_p": 0, "repetition_penalty": 1, "max_tokens": 20})
    session.free()


def test_the_page_says_where_two_runs_part(desk: Desk, repo_root: Path):
    open_fixture(desk, repo_root)
    held = json.loads(receipt_of(desk))
    held["ids"][9] ^= 1
    replay_file(desk, canonical.dumps(held))
    assert verdict(desk, "parted").startswith("The runs part at token 9 of 40: id ")
    elsewhere = canonical.dumps(held | {"runtime_sha256": "0" * 64}).decode()
    found = desk.page.evaluate("(text) => tinypylm.replay(text)", elsewhere)
    assert (found["outcome"], found["token"], found["what"], found["same_runtime"]) == ("parted", 9, "id", False)


def test_a_receipt_that_fits_nothing_here_is_refused_with_its_code(desk: Desk, repo_root: Path):
    open_fixture(desk, repo_root)
    held = json.loads(receipt_of(desk))
    for changes, code in (({"model_sha256": "0" * 64}, "ReceiptModelMismatch"), ({"more": 1}, "RecordUnknownKey"),
                          ({"adapters": [{"sha256": "0" * 64, "scale_bits": "3f800000"}]}, "ReceiptAdapterMismatch")):
        replay_file(desk, canonical.dumps(held | changes))
        desk.shows(code)
        assert desk.state in ("context-ready", "model-ready")
        assert desk.element("replay-verdict").text_content() == ""
    assert desk.refused("replay", " " * 4_194_305)["code"] == "RecordNotCanonical"
    assert desk.refused("replay", "{}")["code"] == "RecordKind"


def test_nothing_is_recorded_that_was_not_asked_for(desk: Desk, repo_root: Path):
    open_fixture(desk, repo_root)
    before = receipt_of(desk, max_tokens=3)
    desk.tokens("The cat", max_tokens=3)
    assert desk.page.evaluate("tinypylm.receipt()").encode() == before
    assert desk.refused("generate", "The cat", {"receipt": "yes"})["code"] == "OptionOutOfRange"


def test_a_stopped_generation_is_replayed_as_far_as_it_came(desk: Desk, repo_root: Path):
    open_fixture(desk, repo_root)
    receipt = desk.page.evaluate("""async ([prompt, options]) => {
      for await (const token of tinypylm.generate(prompt, options)) if (token.index === 4) await tinypylm.stop();
      return tinypylm.receipt();
    }""", [PROMPT, IN_THE_PAGE])
    replay_file(desk, receipt.encode())
    assert verdict(desk, "same").startswith("The same ")
