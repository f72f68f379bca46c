"""tests/corrupt_adapters/ as it lies in the tree: complete, reproducible, refused file by file, nothing changed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adapters.broken_packages import broken_packages, dense, low_rank, package, sparse, stack_that_is_too_large
from tests.adapters.corpus import BASE_NAME, FOLDER, INDEX, SUFFIX, contents
from tests.format.costs import peak_memory, processor_seconds
from tinypylm import canonical
from tinypylm.adapters import AdapterCode
from tinypylm.adapters.package import RawHeader
from tinypylm.errors import AdapterError
from tinypylm.hosts.native import NativeHost
from tinypylm.session import Session

CODES = canonical.loads((FOLDER / INDEX).read_bytes())
BASE = (FOLDER / BASE_NAME).read_bytes()
assert isinstance(CODES, dict)


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    session = Session(NativeHost())
    session.load(BASE)
    yield session
    session.free()


def weights(session: Session) -> bytes:
    return session._loaded.engine.instance.read(0, len(BASE))


def test_the_folder_holds_exactly_what_the_generator_writes() -> None:
    files = contents()
    assert {path.name for path in FOLDER.iterdir()} == set(files)
    for name, data in files.items():
        assert (FOLDER / name).read_bytes() == data, name


def test_every_way_to_break_a_rule_has_a_file_of_its_own() -> None:
    assert len(CODES) == len(broken_packages())


def test_every_code_has_a_file_but_that_of_a_stack() -> None:
    assert set(CODES.values()) == set(AdapterCode) - {AdapterCode.STACK_TOO_LARGE}


@pytest.mark.parametrize("name", CODES)
def test_a_package_is_refused_with_the_code_in_the_index_and_changes_nothing(session: Session, name: str) -> None:
    with pytest.raises(AdapterError) as refused:
        session.apply_adapter((FOLDER / (name + SUFFIX)).read_bytes())
    assert refused.value.code == CODES[name]
    assert refused.value.detail.keys() == {"where", "found", "expected"}
    assert weights(session) == BASE
    assert session.diagnostics()["adapter_apply_count"] == 0
    assert session.last_error_code == CODES[name]


@pytest.mark.parametrize("name", [name for name in CODES if CODES[name] != AdapterCode.RESULT_OVERFLOW])
def test_validation_alone_finds_what_is_wrong(session: Session, name: str) -> None:
    data = (FOLDER / (name + SUFFIX)).read_bytes()
    with pytest.raises(AdapterError) as refused:
        session.validate_adapter(data)
    assert refused.value.code == CODES[name]


def test_a_stack_over_a_mebibyte_is_refused_and_what_is_applied_stays(session: Session) -> None:
    *fitting, last = stack_that_is_too_large()
    for data in fitting:
        session.apply_adapter(data, 1e-3)
    before = weights(session)
    with pytest.raises(AdapterError) as refused:
        session.apply_adapter(last)
    assert refused.value.code is AdapterCode.STACK_TOO_LARGE
    assert weights(session) == before
    assert session.detach_adapters()["adapter_apply_count"] == 0
    assert weights(session) == BASE


@pytest.mark.parametrize("data", [package(dense()), package(sparse()), package(low_rank())])
def test_a_package_cut_off_or_with_a_flipped_bit_is_refused(session: Session, data: bytes) -> None:
    for size in range(len(data)):
        with pytest.raises(AdapterError):
            session.validate_adapter(data[:size])
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(AdapterError):
            session.validate_adapter(bytes(flipped))
    session.validate_adapter(data)


def test_a_verdict_on_a_full_package_is_quick_and_needs_little_memory(session: Session) -> None:
    data = bytearray(package(sparse()))
    pairs = 87_000
    data[112 + 8 : 112 + 24] = (8192).to_bytes(4, "little") + (4096).to_bytes(4, "little") + pairs.to_bytes(8, "little")
    data[136:] = b"".join(i.to_bytes(8, "little") + b"\0\0\0\x3f" for i in range(pairs))
    from tests.adapters.broken_packages import edited

    full = edited(bytes(data))

    def refused() -> None:
        with pytest.raises(AdapterError, match="shape"):
            session.validate_adapter(full)

    refused()
    assert processor_seconds(refused) < 0.5
    assert peak_memory(refused) < 4 * len(full)


def test_every_code_is_documented_in_the_order_in_which_rules_are_judged(repo_root: Path) -> None:
    text = (repo_root / "docs" / "adapters.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(Adapter\w+)` \|", text, re.MULTILINE) == [str(code) for code in AdapterCode]


def test_every_field_of_header_and_entry_is_documented_with_its_offset(repo_root: Path) -> None:
    text = (repo_root / "docs" / "adapters.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| (\d+) \| \S+(?: B)? \| (\w+)", text, re.MULTILINE)
    offsets = [0, 4, 6, *range(8, 25, 4)[:5], 56, *range(60, 97, 4), 108]
    assert [int(offset) for offset, _ in documented][: len(RawHeader._fields)] == offsets
    assert [name for _, name in documented][: len(RawHeader._fields)] == list(RawHeader._fields)
    assert [name for _, name in documented][len(RawHeader._fields) :] == [
        "role", "rank", "layer", "rows", "columns", "count"]
