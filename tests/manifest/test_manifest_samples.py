"""The sample manifests, the committed schema and docs/manifests.md match the code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from bulk.errors import ManifestError
from bulk.manifest import manifest_schema, read_manifest
from bulk.manifest.header import COLUMNS, REPETITION, RESULT_COLUMNS
from bulk.manifest.yaml_form import known_keys
from bulk.model import SAMPLE_ID_PREFIX, UUID_PATTERN
from bulk.report import REPORT_COLUMNS

ROOT = Path(__file__).parents[2]
TESTS = f"tests: [{{id: {SAMPLE_ID_PREFIX}0001-4c1e-8a01-000000000001}}]"
SAMPLES = ROOT / "manifests"
PAGE = (ROOT / "docs" / "manifests.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(
    r"```(csv|yaml)\n(.*?)```\n\n(?:It expands to (\d+) triggers\.|```text\n(.*?)\n```)",
    PAGE,
    re.DOTALL,
)


@pytest.mark.parametrize(
    ("name", "rows", "by_platform"),
    [
        ("release.csv", 5, {"web": 5, "ios": 6, "android": 3}),
        ("release.yaml", 4, {"web": 8, "ios": 6, "android": 6}),
        ("smoke.csv", 3, {"web": 4}),
    ],
)
def test_a_sample_expands_to_the_documented_triggers(
    name: str, rows: int, by_platform: dict[str, int]
) -> None:
    manifest = read_manifest(SAMPLES / name)
    assert (manifest.rows, dict(manifest.by_platform)) == (rows, by_platform)
    assert manifest.sample
    assert manifest.notes == ()
    for trigger in manifest.triggers():
        for one in filter(None, (trigger.test_id, trigger.app_id, trigger.environment_id)):
            assert UUID_PATTERN.fullmatch(one)
            assert one.startswith(SAMPLE_ID_PREFIX)


def test_the_committed_schema_is_current() -> None:
    committed = (SAMPLES / "manifest.schema.json").read_text(encoding="utf-8")
    assert committed == manifest_schema()


def editor() -> jsonschema.Draft202012Validator:
    """What an editor checks a manifest with."""
    schema = json.loads(manifest_schema())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_yaml_sample_points_editors_at_the_schema() -> None:
    first = (SAMPLES / "release.yaml").read_text(encoding="utf-8").splitlines()[0]
    assert first == "# yaml-language-server: $schema=manifest.schema.json"


def test_the_schema_accepts_what_we_accept() -> None:
    documents = [(SAMPLES / "release.yaml").read_text(encoding="utf-8")]
    documents += [text for kind, text, count, _ in EXAMPLES if kind == "yaml" and count]
    documents.append(
        f"version: 1\ntests: [{{id: {SAMPLE_ID_PREFIX}0001-4c1e-8a01-000000000001, name: 1.1}}]"
    )
    for document in documents:
        editor().validate(yaml.safe_load(document))


@pytest.mark.parametrize(
    "document",
    [
        f"version: 2\n{TESTS}",
        "version: 1\ntests: []",
        "version: 1\ntests: [{id: abc}]",
        f"version: 1\nmatrix: {{platform: [iso]}}\n{TESTS}",
        f"version: 1\nmatrix: {{platform: }}\n{TESTS}",
        f"version: 1\nunknown: 1\n{TESTS}",
    ],
)
def test_the_schema_rejects_what_we_reject(document: str, tmp_path: Path) -> None:
    assert not editor().is_valid(yaml.safe_load(document))
    path = tmp_path / "release.yaml"
    path.write_text(document)
    with pytest.raises(ManifestError):
        read_manifest(path)


@pytest.mark.parametrize(("kind", "text", "count", "errors"), EXAMPLES)
def test_each_example_of_the_page_gives_its_result(
    kind: str, text: str, count: str, errors: str, tmp_path: Path
) -> None:
    path = tmp_path / f"release.{kind}"
    path.write_text(text)
    if count:
        assert read_manifest(path).count == int(count)
    else:
        with pytest.raises(ManifestError) as caught:
            read_manifest(path)
        assert str(caught.value).replace(str(path), path.name) == errors


def test_the_page_documents_every_column_and_key_and_each_example_is_tested() -> None:
    assert len(EXAMPLES) == PAGE.count("```csv") + PAGE.count("```yaml")
    for parent in ("", "defaults", "matrix", "tests"):
        for key in known_keys(parent):
            assert f"`{key}`" in PAGE, key
    for column in (*COLUMNS, *RESULT_COLUMNS):
        assert f"`{column}`" in PAGE, column


def test_no_column_of_a_report_is_mistaken_for_an_own_column() -> None:
    written = {column.name for column in REPORT_COLUMNS}
    assert written <= {*COLUMNS, *RESULT_COLUMNS, REPETITION}
