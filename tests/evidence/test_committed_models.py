"""The registry of the tree: every entry holds, and the engine of the tree still says what their evaluations say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from tinypylm.errors import ProvenanceError
from tinypylm.provenance import RecordKind, dump, identifier, load
from tinypylm.provenance.schema import fields, items
from tinypylm.selector import Verified
from tinypylm_tools.cli import main
from tinypylm_tools.evaluation.defaults import smoke_items
from tinypylm_tools.evaluation.sidecar import run
from tinypylm_tools.evaluation.suites import load_text
from tinypylm_tools.evidence.book import Book
from tinypylm_tools.evidence.folder import Folder
from tinypylm_tools.evidence.walk import verify, verify_parents

MODELS = Folder(Path(__file__).parents[2] / "models")


@pytest.mark.parametrize("name", [str(entry["id"]) for entry in Book(MODELS).entries()])
def test_an_entry_of_the_registry_holds_with_its_parents(name: str) -> None:
    assembly = verify(MODELS, name)
    verify_parents(MODELS, assembly.records["receipt"], [], rebuild=False, on_step=lambda step: None)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in MODELS.names() if items(MODELS.load("receipt", name)["parents"])])
def test_a_child_of_the_tree_comes_out_of_its_parents_again(name: str) -> None:
    said: list[Verified] = []
    verify_parents(MODELS, MODELS.load("receipt", name), [], rebuild=True, on_step=said.append)
    assert said[-1].found == MODELS.load("manifest", name)["sha256"]


def test_every_model_of_the_tree_is_offered() -> None:
    offered = {entry["file"] for entry in Book(MODELS).entries() if entry["enabled"]}
    assert offered == {path.name for path in MODELS.models()}


def test_the_engine_still_says_what_the_committed_evaluation_says() -> None:
    """The smoke cases and four documents. After a change of arithmetic: `tinypylm admit --again models/`."""
    recorded = MODELS.load("evaluation", "storyteller-2m-q4_0")
    text = load_text(MODELS.root / "evaluation" / "little-stories.txt")
    work = replace(smoke_items(), texts=(replace(text, documents=text.documents[:4]),))
    found = run((MODELS.root / "storyteller-2m-q4_0.slm").read_bytes(), work)
    assert [result.row() for result in found.results] == [
        case for case in map(fields, items(recorded["cases"])) if case["suite"] == "smoke"]
    assert list(found.documents[0]) == items(fields(items(recorded["texts"])[0])["documents"])[:4]


def told(*adapters: Path) -> str:
    """What Storyteller 2M makes of a beginning, always the best token."""
    options = [part for package in adapters for part in ("--adapter", str(package))]
    result = CliRunner().invoke(main, ["generate", str(MODELS.root / "storyteller-2m-q8_0.slm"), *options, "--prompt",
                                       "One day, a little girl", "--temperature", "0", "--max-tokens", "80"])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_each_package_of_the_tree_tells_another_story() -> None:
    packages = [MODELS.root / "adapters" / str(manifest["file"]) for manifest in MODELS.adapter_manifests()]
    assert {package.suffix for package in packages} == {".adp1", ".alr1", ".asp1"}
    stories = [told(), *(told(package) for package in packages)]
    assert len(set(stories)) == len(stories)


RECORDS = {path: RecordKind("model-manifest" if path.stem == "manifest" else
                            "module-plan" if path.stem == "plan" else path.stem)
           for path in sorted(MODELS.root.glob("evidence/storyteller-2m-q4_0/*.json"))}


@given(st.sampled_from(sorted(RECORDS)), st.integers(0, 1 << 20), st.binary(max_size=3), st.integers(0, 3))
def test_a_record_with_other_bytes_in_it_is_refused_or_is_another_record(
    path: Path, at: int, inserted: bytes, removed: int
) -> None:
    data = path.read_bytes()
    at %= len(data)
    changed = data[:at] + inserted + data[at + removed :]
    try:
        body = load(changed, RECORDS[path])
    except ProvenanceError as error:
        code = str(error.code)
    else:
        assert dump(RECORDS[path], body) == changed
        original = identifier(RECORDS[path], load(data, RECORDS[path]))
        assert (changed == data) == (identifier(RECORDS[path], body) == original)
        return
    assert code.startswith(("Record", "Path"))
