"""What tests of evidence share: small suites, a clock, an admitted stack, and an attacker who mends the pins."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable
from pathlib import Path

from click.testing import CliRunner

from tinypylm import canonical
from tinypylm.canonical import JsonObject
from tinypylm.config import DType, Role
from tinypylm.format import parse
from tinypylm.provenance import RecordKind, fingerprint, identifier, ledger
from tinypylm.provenance.schema import fields, items
from tinypylm_tools.cli import main
from tinypylm_tools.evaluation import sidecar
from tinypylm_tools.evaluation.defaults import default_items
from tinypylm_tools.evidence import adapters, steps
from tinypylm_tools.evidence.book import Book, Line
from tinypylm_tools.evidence.folder import Folder, adapter_paths, save_record
from tinypylm_tools.fixtures import fixtures
from tinypylm_tools.slm_writer import Payload, seal

SUITES = {
    "smoke.toml": """
name = "smoke"
role = "smoke"
scope = "two short texts"
[decoding]
max_tokens = 4
[[cases]]
id = "greedy"
task = "repeat"
prompt = "ab"
[[cases]]
id = "sampled"
task = "repeat"
prompt = "ab"
seed = "18446744073709551615"
decoding = { temperature_ppm = 900000 }
""",
    "choices.jsonl": """{"name": "choices", "role": "task", "scope": "which letter comes next"}
{"id": "one", "task": "choose", "prompt": "ab", "options": ["c", "d"], "expected": "c"}
{"id": "two", "task": "choose", "prompt": "xy", "options": ["z", "w"], "expected": "w"}
""",
    "story.txt": "the cat\n\na dog and\na cow\n",
}

_TIMES = itertools.count()


def TICK() -> str:  # noqa: N802 - it stands for a clock, which is a constant here
    """A second later each time."""
    seconds = next(_TIMES)
    return f"2026-01-01T00:{seconds // 60 % 60:02}:{seconds % 60:02}Z"


def write_suites(root: Path) -> None:
    (root / "evaluation").mkdir()
    for name, text in SUITES.items():
        (root / "evaluation" / name).write_text(text, encoding="utf-8")


def breed_half_and_half(root: Path, two: bytes) -> None:
    """`child`, half of a fixture, `one`, and half of `two`, with the records of its breeding."""
    write_suites(root)
    (root / "one.slm").write_bytes(fixtures()["tiny-test-model.slm"])
    (root / "two.slm").write_bytes(two)
    run("breed", "linear", "--parent", root / "one.slm", "--parent", root / "two.slm", "--weight-ppm", 500_000,
        "--weight-ppm", 500_000, "--out", root / "child.slm", "--evidence", root / "evidence" / "child")


def admit_fixture(book: Book, name: str) -> None:
    steps.admit_import(book, book.folder.root / f"{name}.slm", default_items(book.folder.root))


def admit_stacked(book: Book) -> None:
    """The model of `tiny` once more, as `stacked`, with two adapters.

    The walk looks at records and digests, so these packages are bytes that no engine could apply, and their
    evaluations are runs of the bare base.
    """
    folder = book.folder
    for name in ("first", "second"):
        write_adapter(folder, name)
    adapters.write_family(folder, "tiny-family")
    stack = [folder.adapter(f"{name}.adp1") for name in ("first", "second")]
    steps.candidate(book, folder.root / "tiny.slm", "stacked")
    bodies = {name: folder.load(name, "stacked") for name in ("manifest", "candidate")}
    work = default_items(folder.root)
    outcome = sidecar.run((folder.root / "tiny.slm").read_bytes(), work)
    cited = {"candidate": identifier(RecordKind.CANDIDATE, bodies["candidate"])}
    body = sidecar.sidecar(
        RecordKind.EVALUATION, cited, [adapter.attached() for adapter in stack], work, outcome, [outcome])
    folder.save("evaluation", "stacked", body)
    book.append(Line("evaluation", "stacked", identifier(RecordKind.EVALUATION, body)))
    steps.promote(book, "stacked")
    steps.admit(book, "stacked")


def write_adapter(folder: Folder, name: str) -> None:
    """A package of nothing for `tiny`, with its three records."""
    data = (folder.root / "tiny.slm").read_bytes()
    base: JsonObject = {
        "base_sha256": hashlib.sha256(data).hexdigest(), "layout_checksum": fingerprint.layout_checksum(parse(data)),
        "tokenizer_checksum": fingerprint.tokenizer_checksum(parse(data), data)}
    package = f"a package called {name}".encode()
    output: JsonObject = {"sha256": hashlib.sha256(package).hexdigest(), "bytes": len(package)}
    receipt: JsonObject = {
        "kind": "adapter-receipt", "version": 1, "operator": "factors", "operator_version": 1, "tool_version": "0.1.0",
        "parameters": {"format": "ALR1", "rank": 1}, "sources": [{"role": "base", "sha256": base["base_sha256"]}],
        **base, "output": output}
    manifest: JsonObject = {
        "kind": "adapter-manifest", "version": 1, "name": name, "label": name, "licence": "CC0-1.0", "format": "ADP1",
        "file": f"{name}.adp1", "family": "tiny-family", **base, **output, "tensor_count": 1, "scale_bits": "3f800000",
        "receipt": identifier(RecordKind.ADAPTER_RECEIPT, receipt)}
    work = default_items(folder.root)
    outcome = sidecar.run(data, work)
    evaluation = sidecar.sidecar(
        RecordKind.ADAPTER_EVALUATION, {"manifest": identifier(RecordKind.ADAPTER_MANIFEST, manifest)},
        [{"sha256": output["sha256"], "scale_bits": "3f800000"}], work, outcome, [outcome])
    paths = adapter_paths(f"{name}.adp1")
    for part, kind, body in (("receipt", RecordKind.ADAPTER_RECEIPT, receipt),
                             ("manifest", RecordKind.ADAPTER_MANIFEST, manifest),
                             ("evaluation", RecordKind.ADAPTER_EVALUATION, evaluation)):
        save_record(folder.root / paths[part], kind, body)
    (folder.root / paths["package"]).write_bytes(package)


Edit = Callable[[JsonObject], None]


def edited(data: bytes, edit: Edit) -> bytes:
    """A record's file after `edit`."""
    body = canonical.loads(data)
    assert isinstance(body, dict)
    edit(body)
    return canonical.dumps(body)


def repinned(name: str, files: dict[str, bytes]) -> dict[str, bytes]:
    """The files after an attacker has mended plan and registry, so that every digest of a file fits again."""
    def mend_plan(plan: JsonObject) -> None:
        for fetch in map(fields, items(plan["fetches"])):
            if fetch["pinned_by"] == "plan":
                fetch.update(pin_of(files[str(fetch["component"])]))

    def mend_registry(registry: JsonObject) -> None:
        for entry in map(fields, items(registry["models"])):
            if entry["id"] == name:
                fields(entry["plan"]).update(pin_of(plan))
                entry.update(pin_of(files["model"]))
                for index, adapter in enumerate(map(fields, items(entry["adapters"]))):
                    adapter.update(pin_of(files[f"adapter-{index}-package"]))
        book = ledger.read(files["ledger"])
        fields(registry["ledger"]).update(bytes=book.size_bytes, entries=len(book.entries), head=book.head)

    plan = edited(files["plan"], mend_plan)
    return {**files, "plan": plan, "registry": edited(files["registry"], mend_registry)}


def pin_of(data: bytes) -> JsonObject:
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def relined(data: bytes, change: Callable[[list[ledger.Entry]], Iterable[ledger.Entry]]) -> bytes:
    """The ledger with changed entries, numbered and linked again from the first line on."""
    book = ledger.read(b"")
    lines: list[bytes] = []
    for entry in change(list(ledger.read(data).entries)):
        lines.append(book.following(entry.kind, entry.name, entry.body, entry.time).line() + b"\n")
        book = ledger.read(b"".join(lines))
    return b"".join(lines)


def flipped(data: bytes, at: int, mask: int = 1) -> bytes:
    changed = bytearray(data)
    changed[at % len(data)] ^= mask
    return bytes(changed)


def run(*arguments: object, fails: str = "") -> str:
    """What a command prints; `fails` stands in the error of one that has to fail."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == bool(fails), result.stderr
    assert fails in result.stderr
    return result.stdout


def other_weights() -> bytes:
    """The f32 fixture with the signs of one matrix turned round."""
    data = fixtures()["tiny-test-model.slm"]
    model = parse(data)
    payloads = {(t.role, t.layer): Payload(t.dtype, data[t.offset : t.offset + t.payload_bytes]) for t in model.tensors}
    turned = memoryview(bytearray(payloads[Role.WQ, 0].data)).cast("f")
    for index, weight in enumerate(turned):
        turned[index] = -weight
    payloads[Role.WQ, 0] = Payload(DType.F32, turned.tobytes())
    return seal(model.config, payloads, None, model.metadata)


def snapshot(root: Path) -> dict[str, bytes]:
    """Every file under `root`."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
