"""Rows 1 to 9: plans that are none or cannot be, and catalogs that fail, held against the program as a process.

Every form of a fault is in the unit tests of the reader and the rules; here is what the program says of each kind, that
it exits with 2, and that nothing is touched. Rows 6 to 9 have more of their tests in `acceptance/test_compile_mongo`.
"""

import json
import socket
from pathlib import Path

import pytest
from cli import Cli
from plan_samples import (
    MD5,
    OTHER_MD5,
    JsonObject,
    catalog_document,
    first_file,
    plan_document,
    planned_file,
    planned_raw_file,
)
from sample_data import write_export

from schemas.plan_file import seal_plan

Content = str | bytes


def to_text(document: JsonObject) -> str:
    return json.dumps(document, indent=2)


def with_file(**changes: object) -> str:
    document = plan_document()
    first_file(document).update(changes)
    return to_text(document)


def refusal(run_cli: Cli, content: Content) -> str:
    """What validate, seal and apply say of a plan, all the same, each having changed nothing."""
    output = run_cli.folder / "out"
    output.mkdir(exist_ok=True)
    plan = run_cli.folder / "plan.json"
    content = content if isinstance(content, bytes) else content.encode()
    plan.write_bytes(content.replace(b'"/out', f'"{output}'.encode()))
    before = plan.read_bytes()
    said = set()
    for command in ("validate", "apply"):
        result = run_cli(command, "plan.json")
        assert (result.exit_code, result.stdout) == (2, "")
        said.add(result.stderr)
    assert plan.read_bytes() == before
    assert list(output.iterdir()) == []
    assert sorted(path.name for path in run_cli.folder.iterdir()) == ["out", "plan.json"]
    (message,) = said
    assert message.startswith("kraken-plan: error: plan.json: ")
    return message


VALID = to_text(plan_document())


@pytest.mark.parametrize(
    ("content", "what", "where"),
    [
        (VALID[:400], "not a JSON document", "line 18, column 7"),
        (VALID.encode("utf-8-sig"), "not a JSON document: Unexpected UTF-8 BOM", "line 1, column 1"),
        (VALID.encode("utf-16"), "not UTF-8", "offset 0"),
        (VALID.replace("PRID001", "ä", 1).encode("latin-1"), "not UTF-8: byte 0xe4", "offset"),
        (VALID + "{}", "Extra data", "line 34, column 2"),
        ("[" * 200_000, "brackets nested too deeply", "plan.json"),
        (VALID.replace('"region"', '"region": null, "region"'), '"region": this key appears twice', "line 10"),
        (VALID.replace(": 3,", ": NaN,"), "NaN: a plan contains only whole numbers", "line 25"),
        (VALID.replace(": 3,", ": 1e3,"), "1e3: a plan contains only whole numbers", "line 25"),
        (VALID.replace(": 3,", ": true,"), "True is not of type 'integer'", "files[0].expected_size"),
        (VALID.replace(": 3,", f": {'9' * 5000},"), "a number of thousands of digits", "plan.json"),
    ],
)
def test_a_file_that_is_not_a_plan_should_be_refused_in_one_line_with_its_place_row_01(
    run_cli: Cli, content: Content, what: str, where: str
) -> None:
    message = refusal(run_cli, content)
    assert what in message
    assert where in message
    assert message.count("\n") == 1
    assert len(message) < 1000


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"expected_etag": f"{MD5}-2"}, "3 bytes in chunks of 5 MB make 1 parts, the etag names 2"),
        ({"chunk_size_mb": 0}, "0 is less than the minimum of 1"),
        ({"expected_etag": f"{MD5}-10001", "expected_size": None}, "names 10001 parts, S3 allows at most 10000"),
        ({"expected_etag": MD5.upper()}, "expected_etag"),
        ({"expected_etag": f'"{MD5}"'}, "expected_etag"),
    ],
)
def test_an_entry_that_can_never_verify_should_be_refused_by_name_row_02(
    run_cli: Cli, changes: JsonObject, words: str
) -> None:
    message = refusal(run_cli, with_file(**changes))
    assert words in message
    assert "sample.raw" in message


def test_compile_should_make_it_an_error_of_its_file_row_02(run_cli: Cli) -> None:
    # given a catalog with one good entry among impossible ones
    bad = {"parts": f"{MD5}-2__5", "zero": f"{MD5}__0", "many": f"{MD5}-10001__5", "upper": f"{MD5.upper()}__5"}
    bad |= {"quoted": f'"{MD5}"__5'}
    file_info = {name: [3, OTHER_MD5, etag] for name, etag in {"good": f"{MD5}__5", **bad}.items()}
    write_export(run_cli.folder / "export.jsonl", [catalog_document("a.d", file_info=file_info)])
    # when
    result = run_cli("compile", "a.d", "--catalog", "export.jsonl", "--output-root", "/out", "-o", "plan.json")
    # then
    assert result.exit_code == 1
    (raw_file,) = json.loads((run_cli.folder / "plan.json").read_bytes())["raw_files"].values()
    errors = {file["relative_path"]: file["error"] for file in raw_file["files"]}
    assert errors.pop("good") is None
    assert errors.keys() == bad.keys()
    for name, error in errors.items():
        assert error.startswith("Not verifiable: ")
        assert f"a.d: {name}: {error}" in result.stderr


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (with_file(favourite_colour="blue"), ["files[0]", "'favourite_colour' was unexpected"]),
        (to_text({**plan_document(), "format_version": "2.0"}), ["format_version is 2.0", "reads 1.0"]),
        (
            seal_plan(VALID.encode(), "x").replace(b'"eu-central-1"', b'"eu-west-1"'),
            ["was changed after it was compiled", "kraken-plan seal"],
        ),
    ],
    ids=["unknown property", "other major version", "wrong digest"],
)
def test_a_plan_of_another_kind_should_be_refused_with_what_to_do_row_03(
    run_cli: Cli, content: Content, words: list[str]
) -> None:
    message = refusal(run_cli, content)
    assert message.count("\n") == 1
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        (planned_file("a", MD5), planned_file("a", OTHER_MD5), "one destination, but etag"),
        (planned_file("a"), planned_file("a/b"), "a file and the folder of the other"),
    ],
)
def test_entries_in_each_others_way_should_both_be_named_row_04(
    run_cli: Cli, one: object, other: object, words: str
) -> None:
    raw_files = [planned_raw_file(name, file) for name, file in (("first.d", one), ("second.d", other))]  # type: ignore[arg-type]  # files
    message = refusal(run_cli, to_text(plan_document(*raw_files)))
    assert words in message
    assert "\n  first.d: a conflicts with second.d: a" in message
    assert "\n  second.d: a" in message


def test_an_empty_plan_should_be_applied_to_the_end_row_05(run_cli: Cli) -> None:
    (run_cli.folder / "out").mkdir()
    document = {**plan_document(), "raw_files": {}, "output_location": f"{run_cli.folder}/out"}
    for command in (["validate"], ["apply"], ["apply", "--dry-run"]):
        result = run_cli(*command, "-", stdin=to_text(document))
        assert result.exit_code == 0, result.stderr
    assert list((run_cli.folder / "out").iterdir()) == []


def test_a_catalog_that_says_nothing_should_leave_an_earlier_plan_alone_row_07(run_cli: Cli) -> None:
    earlier = b'{"format_version": "1.0", "and": "so on"}'
    (run_cli.folder / "plan.json").write_bytes(earlier)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"mongodb://kraken:SILENTPW@127.0.0.1:{silent.getsockname()[1]}/krakendb"
        options = "?serverSelectionTimeoutMS=500&connectTimeoutMS=200"
        result = run_cli("compile", "a", "--catalog", uri + options, "--output-root", "/out", "-o", "plan.json", "-vv")
    assert result.exit_code == 2
    assert "cannot be reached: timed out" in result.stderr
    assert "SILENTPW" in run_cli.secrets
    assert (run_cli.folder / "plan.json").read_bytes() == earlier
    assert [path.name for path in Path(run_cli.folder).iterdir()] == ["plan.json"]
