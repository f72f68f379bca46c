"""The signature: what it covers that the chain alone cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.evidence.workplace import edited, flipped, relined, snapshot
from tinypylm import canonical
from tinypylm.errors import ProvenanceError, ToolError
from tinypylm.provenance import ledger
from tinypylm.provenance.schema import fields
from tinypylm_tools.evidence import signature
from tinypylm_tools.evidence.book import Book
from tinypylm_tools.evidence.folder import Folder

pytest.importorskip("cryptography")


def refused(folder: Folder, key: str) -> str:
    with pytest.raises(ProvenanceError) as raised:
        signature.check(folder, key)
    assert raised.value.code == "SignatureRejected"
    return raised.value.message


@pytest.fixture
def signed(folder: Folder, tmp_path: Path) -> tuple[Folder, str]:
    public = signature.new_key(tmp_path / "key")
    assert signature.sign(folder, tmp_path / "key") == public
    return folder, public


def test_a_signed_registry_holds_and_its_key_is_private(signed: tuple[Folder, str], tmp_path: Path) -> None:
    folder, public = signed
    signature.check(folder, public)
    assert (tmp_path / "key").stat().st_mode & 0o077 == 0
    assert public not in (tmp_path / "key").read_text()


def test_a_ledger_and_registry_that_were_both_written_anew_are_caught_by_the_signature(
    signed: tuple[Folder, str]
) -> None:
    folder, public = signed
    data = relined(folder.ledger.read_bytes(), lambda lines: lines[:-1])
    book = ledger.read(data)
    folder.ledger.write_bytes(data)
    folder.registry.write_bytes(edited(folder.registry.read_bytes(), lambda registry: fields(registry["ledger"]).update(
        bytes=book.size_bytes, entries=len(book.entries), head=book.head)))
    Book(folder).verified()
    assert "registry_sha256" in refused(folder, public)


def test_another_key_and_a_damaged_signature_are_refused(signed: tuple[Folder, str], tmp_path: Path) -> None:
    folder, public = signed
    assert "public_key" in refused(folder, signature.new_key(tmp_path / "other"))
    path = folder.root / signature.FILE_NAME
    body = fields(canonical.loads(path.read_bytes()))
    turned = flipped(bytes.fromhex(str(body["signature"])), 0).hex()
    path.write_bytes(canonical.dumps({**body, "signature": turned}))
    assert "does not verify" in refused(folder, public)
    path.write_bytes(b"{}")
    refused(folder, public)


def test_a_key_is_never_replaced_and_a_file_without_one_is_refused(signed: tuple[Folder, str], tmp_path: Path) -> None:
    folder, _ = signed
    with pytest.raises(ToolError, match="never replaced"):
        signature.new_key(tmp_path / "key")
    before = snapshot(folder.root)
    (tmp_path / "bad").write_text("zz")
    with pytest.raises(ToolError, match="holds no key"):
        signature.sign(folder, tmp_path / "bad")
    assert snapshot(folder.root) == before
