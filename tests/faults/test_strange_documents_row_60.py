"""Row 60: ids that read the same stay two, what nobody asked for is never planned, nonsense is one line."""

import struct
from collections.abc import Sequence

import pytest
from bson import ObjectId
from cli import Cli, CliResult
from plan_samples import JsonObject, catalog_document
from sample_data import write_export
from scripted_catalog import ScriptedCatalog

from schemas.plan_file import read_plan

OBJECT_ID = ObjectId("0102030405060708090a0b0c")


def compile_from_server(run_cli: Cli, documents: Sequence[JsonObject], *arguments: str) -> CliResult:
    reply = {"ok": 1, "cursor": {"id": 0, "ns": "krakendb.raw_file", "firstBatch": documents}}
    with ScriptedCatalog(lambda _: reply) as server:
        return run_cli("compile", *arguments, "--catalog", server.uri, "--output-root", "/out", timeout_seconds=90)


@pytest.mark.parametrize("odd", [5, 5.0, OBJECT_ID, {"a": 5}])
def test_an_id_and_its_text_should_stay_two(run_cli: Cli, odd: object) -> None:
    text = str(odd)
    odd_document = catalog_document(_id=odd, file_info={"one": [3, "m", f"{'0' * 32}__5"]})
    result = compile_from_server(run_cli, [odd_document, catalog_document(text)], "--project", "PRID001")
    assert result.exit_code == 1, result.stderr
    plan = read_plan(result.stdout.encode(), "stdout")
    by_id = {raw_file.raw_file_id: raw_file for raw_file in plan.raw_files}
    assert len(by_id) == 2
    assert by_id.pop(text).error is None
    ((name, raw_file),) = by_id.items()
    assert text in name
    assert "RawFile is malformed: _id is" in str(raw_file.error)
    assert text in result.stderr


def test_two_documents_with_one_id_should_be_refused_by_name(run_cli: Cli) -> None:
    documents = [catalog_document("twice.d"), catalog_document("twice.d")]
    by_id = compile_from_server(run_cli, documents, "twice.d")
    by_project = compile_from_server(run_cli, documents, "--project", "PRID001")
    write_export(run_cli.folder / "catalog.jsonl", documents)
    from_export = [
        run_cli("compile", *asked, "--catalog", "catalog.jsonl", "--output-root", "/out")
        for asked in (["twice.d"], ["--project", "PRID001"])
    ]
    for result in (by_id, by_project, *from_export):
        assert (result.exit_code, result.stdout) == (2, "")
        assert "twice.d" in result.stderr
        assert result.stderr.count("\n") == 1


def test_what_was_asked_for_by_id_and_is_in_the_project_should_be_planned_once(run_cli: Cli) -> None:
    write_export(run_cli.folder / "catalog.jsonl", [catalog_document("a"), catalog_document("b")])
    result = run_cli(
        "compile", "b", "--project", "PRID001", "--catalog", "catalog.jsonl", "--output-root", "/out"
    )  # fmt: skip
    assert result.exit_code == 0
    assert [raw_file.raw_file_id for raw_file in read_plan(result.stdout.encode(), "-").raw_files] == ["b", "a"]


@pytest.mark.parametrize("arguments", [("a",), ("--project", "PRID001")])
@pytest.mark.parametrize("strange", [catalog_document("b", project_id="P2"), {"_id": 5, "project_id": 7}])
def test_documents_that_nobody_asked_for_should_be_refused(
    run_cli: Cli, arguments: tuple[str, ...], strange: JsonObject
) -> None:
    result = compile_from_server(run_cli, [catalog_document("a"), strange], *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"it answers with the raw file {strange['_id']!r}" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_login_without_an_answer_should_be_one_line(run_cli: Cli) -> None:
    with ScriptedCatalog(lambda _: {"ok": 1}) as server:
        uri = server.uri.replace("//", "//user:hunter2@")
        result = run_cli("compile", "a", "--catalog", uri, "--output-root", "/out", timeout_seconds=90)
    assert result.exit_code == 2
    assert "the server's answer cannot be read" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_server_that_is_too_old_should_be_one_line(run_cli: Cli) -> None:
    with ScriptedCatalog(lambda _: {}, hello={"maxWireVersion": 6}) as server:
        result = run_cli("compile", "a", "--catalog", server.uri, "--output-root", "/out", timeout_seconds=90)
    assert result.exit_code == 2
    assert "the server is too old: it speaks wire version 6, MongoDB " in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "spoiled", [b"", b"\xff" * 40, struct.pack("<i", 2**31 - 1), struct.pack("<i", -5) + b"\0" * 40]
)
def test_bytes_that_are_no_document_should_be_one_line(run_cli: Cli, spoiled: bytes) -> None:
    with ScriptedCatalog(lambda _: {"ok": 1}, spoil=lambda reply: reply if b"helloOk" in reply else spoiled) as server:
        result = run_cli("compile", "a", "--catalog", server.uri, "--output-root", "/out", timeout_seconds=90)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
