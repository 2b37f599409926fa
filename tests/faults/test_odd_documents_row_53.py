"""Row 53: numbers and shapes in the catalog that Python cannot take cost their own raw file, or are one line."""

import json
from pathlib import Path

import pytest
from bson.datetime_ms import DatetimeMS
from cli import Cli
from plan_samples import catalog_document
from scripted_catalog import ScriptedCatalog

from schemas.plan_file import read_plan

NUMBERS = ["1e999", "-1e999", "NaN", "9" * 400, "9" * 5000, '{"$numberLong": 1e999}', '{"$numberDecimal": "1E+9999"}']
SHAPES = [
    '{"$date": 1e999}',
    '{"$date": {"$numberLong": "9223372036854775807"}}',
    '{"a": {"b": [[[]]]}}',
    "[[]]",
    "true",
]


def compile_project(run_cli: Cli, catalog: str | Path) -> tuple[int, dict[str, int], str]:
    """The exit code, how many files of each raw file are planned, and what was said."""
    result = run_cli("compile", "--project", "PRID001", "--catalog", catalog, "--output-root", "/out")
    assert result.exit_code in {0, 1}, result.stderr
    plan = read_plan(result.stdout.encode(), "stdout")
    planned = {raw_file.raw_file_id: 0 for raw_file in plan.raw_files}
    for raw_file, _ in plan.planned_files():
        planned[raw_file.raw_file_id] += 1
    return result.exit_code, planned, result.stderr


@pytest.mark.parametrize("value", [*NUMBERS, *SHAPES])
@pytest.mark.parametrize(
    "place", ["size", "entry", "etag", "file_info", "s3_upload_path", "created_at", "backup_status"]
)
def test_an_export_should_lose_no_more_than_the_odd_document(run_cli: Cli, value: str, place: str) -> None:
    # given
    entry = {"size": ["HERE", "m", "e"], "entry": "HERE", "etag": [3, "m", "HERE"]}.get(place)
    changes: dict[str, object] = {"file_info": {"odd": entry}} if entry else {place: "HERE"}
    lines = [
        json.dumps(catalog_document("good")),
        json.dumps(catalog_document("odd", **changes)).replace('"HERE"', value),
    ]
    (run_cli.folder / "catalog.jsonl").write_text("\n".join(lines))
    # when
    exit_code, planned, said = compile_project(run_cli, "catalog.jsonl")
    # then
    assert planned["good"] == 1
    if place in {"created_at", "backup_status"}:  # a plan needs neither
        assert planned["odd"] == 1
    else:
        assert (exit_code, planned["odd"]) == (1, 0)
        assert "odd: " in said


@pytest.mark.parametrize("place", ["created_at", "size", "file_info"])
def test_a_server_should_lose_no_more_than_the_odd_document(run_cli: Cli, place: str) -> None:
    odd: dict[str, object] = {"created_at": DatetimeMS(2**62), "file_info": {"odd": [DatetimeMS(-(2**62)), "m", "e"]}}
    changes = {"size": odd["file_info"], "file_info": DatetimeMS(2**62)} | odd
    document = catalog_document("odd", **{"file_info" if place == "size" else place: changes[place]})
    documents = [catalog_document("good"), document]
    reply = {"ok": 1, "cursor": {"id": 0, "ns": "krakendb.raw_file", "firstBatch": documents}}
    with ScriptedCatalog(lambda _: reply) as server:
        exit_code, planned, _ = compile_project(run_cli, server.uri)
    assert planned["good"] == 1
    assert (exit_code, planned["odd"]) == ((0, 1) if place == "created_at" else (1, 0))
