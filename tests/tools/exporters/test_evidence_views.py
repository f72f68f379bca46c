"""Views of the records, held to the schemas and packages of SLSA, in-toto and CycloneDX where these are installed."""

from __future__ import annotations

import json
import shutil
from hashlib import sha256
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tinypylm import canonical
from tinypylm.provenance import RecordKind, identifier
from tinypylm.provenance.schema import fields
from tinypylm_tools.cli import main
from tinypylm_tools.exporters.evidence_views import VIEWS

NAME = "storyteller-2m-q4_0"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def bred(repo_root: Path, tmp_path: Path) -> Path:
    """A child with its records, as far as its candidate manifest, in a folder of models."""
    models = repo_root / "models"
    for file in (f"{NAME}.slm", "selector.registry", "population.ledger"):
        shutil.copy(models / file, tmp_path / file)
    shutil.copytree(models / "evidence" / NAME, tmp_path / "evidence" / NAME)
    child = tmp_path / "child.slm"
    for result in (
        run("breed", "magnitude-prune", "--parent", tmp_path / f"{NAME}.slm", "--keep-ppm", "900000", "--out", child,
            "--evidence", tmp_path / "evidence" / "child"),
        run("candidate", child),
    ):
        assert result.exit_code == 0, result.output
    return child


def view(model: Path, kind: str, folder: Path) -> dict[str, object]:
    out = folder / f"{kind}.json"
    result = run("export", model, f"--{kind}", out)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{out}: {out.stat().st_size:,} bytes\n"
    read = json.loads(out.read_text("utf-8"))
    assert isinstance(read, dict)
    return read


@pytest.mark.parametrize("kind", ["slsa", "in-toto"])
def test_statements_are_those_of_in_totos_own_package(bred: Path, tmp_path: Path, kind: str) -> None:
    json_format = pytest.importorskip("google.protobuf.json_format")
    statement_pb2 = pytest.importorskip("in_toto_attestation.v1.statement_pb2")
    statement = pytest.importorskip("in_toto_attestation.v1.statement")
    read = view(bred, kind, tmp_path)
    parsed = statement.Statement.copy_from_pb(json_format.ParseDict(read, statement_pb2.Statement()))
    parsed.validate()
    assert parsed.pb.subject[0].digest["sha256"] == sha256(bred.read_bytes()).hexdigest()


def test_the_slsa_predicate_is_that_of_the_package_and_names_the_parents(bred: Path, tmp_path: Path) -> None:
    json_format = pytest.importorskip("google.protobuf.json_format")
    provenance_pb2 = pytest.importorskip("in_toto_attestation.predicates.provenance.v1.provenance_pb2")
    read = view(bred, "slsa", tmp_path)
    parsed = json_format.ParseDict(read["predicate"], provenance_pb2.Provenance())
    dependency = parsed.build_definition.resolved_dependencies[0]
    assert dependency.digest["sha256"] == sha256((bred.parent / f"{NAME}.slm").read_bytes()).hexdigest()
    assert parsed.build_definition.external_parameters["operator"] == "magnitude-prune"


@pytest.mark.parametrize("name", ["child", NAME])
def test_a_bill_keeps_the_schema_of_cyclonedx_1_7(bred: Path, tmp_path: Path, name: str) -> None:
    """With and without an evaluation."""
    validators = pytest.importorskip("cyclonedx.validation.json")
    schema = pytest.importorskip("cyclonedx.schema")
    pytest.importorskip("jsonschema")
    view(bred.with_stem(name), "cyclonedx", tmp_path)
    text = (tmp_path / "cyclonedx.json").read_text("utf-8")
    assert validators.JsonStrictValidator(schema.SchemaVersion.V1_7).validate_str(text) is None


def test_a_bill_has_parents_as_ancestors_and_scores_as_metrics(bred: Path, tmp_path: Path) -> None:
    component = fields(fields(view(bred, "cyclonedx", tmp_path)["metadata"])["component"])  # type: ignore[arg-type]
    ancestors = fields(component["pedigree"])["ancestors"]
    parent = sha256((bred.parent / f"{NAME}.slm").read_bytes()).hexdigest()
    assert ancestors == [{"type": "machine-learning-model", "name": "reference",
                          "hashes": [{"alg": "SHA-256", "content": parent}]}]
    other = view(bred.with_stem(NAME), "cyclonedx", tmp_path)
    metrics = json.dumps(other)
    assert '"bits per byte"' in metrics
    assert '"smoke cases passed", "value": "6 of 6"' in metrics


def test_an_in_toto_view_holds_the_records_themselves(bred: Path, tmp_path: Path) -> None:
    predicate = fields(view(bred, "in-toto", tmp_path)["predicate"])  # type: ignore[arg-type]
    assert set(predicate) == {"manifest", "compatibility", "lineage", "receipt", "candidate"}
    for component, entry in predicate.items():
        record = fields(fields(entry)["record"])
        stored = bred.parent / "evidence" / "child" / f"{component}.json"
        assert canonical.dumps(record) == stored.read_bytes()
        assert fields(entry)["identifier"] == identifier(RecordKind(str(record["kind"])), record)


@pytest.mark.parametrize("kind", VIEWS)
def test_a_view_is_the_same_whenever_it_is_made(bred: Path, tmp_path: Path, kind: str) -> None:
    assert view(bred, kind, tmp_path) == view(bred, kind, tmp_path)


def test_a_model_without_records_has_no_view(bred: Path, tmp_path: Path) -> None:
    lonely = bred.rename(bred.with_stem("lonely"))
    result = run("export", lonely, "--slsa", tmp_path / "view.json")
    assert result.exit_code == 1
    assert "manifest.json is missing" in result.output


def test_records_of_another_model_are_refused(bred: Path, tmp_path: Path) -> None:
    bred.write_bytes((bred.parent / f"{NAME}.slm").read_bytes())
    result = run("export", bred, "--slsa", tmp_path / "view.json")
    assert result.exit_code == 1
    assert "[DigestMismatch]" in result.output


def test_nothing_to_write_is_a_usage_error(bred: Path) -> None:
    result = run("export", bred)
    assert result.exit_code == 2
    assert "--cyclonedx" in result.output
