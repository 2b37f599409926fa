"""Row 59: where nothing at all resolves, compile is refused, and an earlier plan stays as it was."""

import pytest
from catalog_server import Catalog
from cli import Cli, CliResult
from plan_samples import JsonObject, catalog_document
from sample_data import write_export

OLD_PLAN = b'{"format_version": "old"}'
NEVER_BACKED_UP = {"s3_upload_path": ..., "file_info": ...}


def refusal(run_cli: Cli, *arguments: str, catalog: str = "catalog.jsonl") -> str:
    """What compile says when it is refused and has written nothing."""
    plan_path = run_cli.folder / "plan.json"
    plan_path.write_bytes(OLD_PLAN)
    common = ("--catalog", catalog, "--output-root", "/out")
    for result in (run_cli("compile", *arguments, *common, "-o", "plan.json"), run_cli("compile", *arguments, *common)):
        assert (result.exit_code, result.stdout) == (2, ""), result.stderr
    assert plan_path.read_bytes() == OLD_PLAN
    return result.stderr


def export(run_cli: Cli, *documents: JsonObject) -> None:
    write_export(run_cli.folder / "catalog.jsonl", documents)


def test_ids_of_which_none_is_known_should_be_refused_by_name(run_cli: Cli) -> None:
    export(run_cli, catalog_document("a.raw"))
    said = refusal(run_cli, "A.raw", "b.raw")
    assert "nothing of this can be restored, so no plan was written:\n" in said
    assert "A.raw: RawFile not found in the catalog; nearest: a.raw\n" in said
    assert "b.raw: RawFile not found in the catalog\n" in said


def test_a_project_of_which_nothing_is_on_s3_should_be_refused_with_the_reasons(run_cli: Cli) -> None:
    export(run_cli, *(catalog_document(f"f{number:02}", **NEVER_BACKED_UP) for number in range(25)))
    said = refusal(run_cli, "--project", "PRID001")
    assert said.count("RawFile has no s3_upload_path") == 20
    assert "… and 5 more" in said


@pytest.mark.parametrize("content", ["", "[]", "\n\n", " [ ] \n"])
@pytest.mark.parametrize("arguments", [("a.raw",), ("--project", "PRID001"), ("a.raw", "--project", "PRID001")])
def test_an_empty_export_should_be_refused_as_such(run_cli: Cli, content: str, arguments: tuple[str, ...]) -> None:
    (run_cli.folder / "catalog.jsonl").write_text(content)
    assert "catalog.jsonl h" in refusal(run_cli, *arguments)


def test_an_empty_collection_should_be_refused_as_such(run_cli: Cli, catalog: Catalog) -> None:
    assert "holds no raw files at all" in refusal(run_cli, "a.raw", catalog=catalog.uri)
    assert "has no raw files of project 'PRID001'" in refusal(run_cli, "--project", "PRID001", catalog=catalog.uri)


def test_one_file_that_resolves_should_be_enough_for_a_plan(run_cli: Cli) -> None:
    export(run_cli, catalog_document("a.raw"))
    result: CliResult = run_cli("compile", "a.raw", "b.raw", "--catalog", "catalog.jsonl", "--output-root", "/out")
    assert result.exit_code == 1
    assert '"a.raw"' in result.stdout
