"""`kraken-plan validate`, `seal` and `schema`, as a user runs them."""

import errno
import json
from pathlib import Path

import pytest
from cli import Cli
from failing_syscalls import with_failing
from file_systems import picture, with_files_of_at_most
from plan_samples import MD5, first_file, make_plan, plan_bytes, plan_document, planned_file, planned_raw_file

from schemas.plan import UnresolvedFile
from schemas.plan_file import read_plan
from schemas.plan_schema import schema_text

PLAN = plan_bytes(
    make_plan(planned_raw_file("s.d", planned_file("s.d/a"), UnresolvedFile(relative_path="s.d/b", error="no etag")))
)
CHANGED = PLAN.replace(b"eu-central-1", b"eu-west-1")


@pytest.fixture
def plan_path(run_cli: Cli) -> Path:
    path = run_cli.folder / "plan.json"
    path.write_bytes(PLAN)
    return path


def test_validate_should_say_in_one_line_what_a_valid_plan_holds(run_cli: Cli, plan_path: Path) -> None:
    digest = json.loads(PLAN)["plan_digest"]
    expected = f"valid, 1 raw file, 2 files (1 not resolved), 3 B, {digest}\n"
    result = run_cli("validate", plan_path)
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{plan_path}: {expected}", "")
    assert run_cli("validate", "-", stdin=PLAN.decode()).stdout == f"<stdin>: {expected}"


def test_validate_should_refuse_a_changed_plan_and_say_what_to_do(run_cli: Cli, plan_path: Path) -> None:
    plan_path.write_bytes(CHANGED)
    result = run_cli("validate", plan_path)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "kraken-plan seal" in result.stderr


def test_validate_should_list_everything_that_is_wrong_a_line_each(run_cli: Cli, plan_path: Path) -> None:
    # given
    document = plan_document(planned_raw_file("a\nforged: line", planned_file("x")), planned_raw_file("b"))
    first_file(document)["expected_etag"] = f"{MD5}-2"
    document["output_location"] = "/elsewhere"
    plan_path.write_text(json.dumps(document))
    # when
    result = run_cli("validate", plan_path)
    # then
    assert result.exit_code == 2
    lines = result.stderr.splitlines()
    assert lines[0] == f"kraken-plan: error: {plan_path}: the plan is refused:"
    assert len(lines) == 4
    assert all(line.startswith("  raw file ") for line in lines[1:])
    assert "forged" in lines[1]


@pytest.mark.parametrize("content", ["", "{}", "[" * 200_000, '{"format_version": "2.0"}', "\x1b"])
def test_validate_should_refuse_a_file_that_is_not_a_plan(run_cli: Cli, content: str) -> None:
    result = run_cli("validate", "-", stdin=content)
    assert result.exit_code == 2
    assert result.stderr.startswith("kraken-plan: error: <stdin>: ")


def test_seal_should_renew_the_digest_in_place(run_cli: Cli, plan_path: Path) -> None:
    plan_path.write_bytes(CHANGED)
    result = run_cli("seal", plan_path)
    assert (result.exit_code, result.stdout) == (0, "")
    sealed = read_plan(plan_path.read_bytes(), "plan.json")
    assert sealed.s3.region == "eu-west-1"
    before = json.loads(CHANGED)["plan_digest"]
    assert result.stderr == f"{plan_path}: sealed with {sealed.plan_digest}, in place of {before}\n"
    assert run_cli("seal", plan_path).stderr == f"{plan_path}: sealed with {sealed.plan_digest}, as it was\n"
    assert sorted(path.name for path in run_cli.folder.iterdir()) == ["plan.json"]


def test_seal_should_write_elsewhere_if_told_to(run_cli: Cli, plan_path: Path) -> None:
    plan_path.write_bytes(CHANGED)
    assert run_cli("seal", plan_path, "-o", "sealed.json").exit_code == 0
    assert plan_path.read_bytes() == CHANGED
    sealed = (run_cli.folder / "sealed.json").read_bytes()
    assert run_cli("seal", "-", stdin=CHANGED.decode()).stdout.encode() == sealed
    assert run_cli("seal", plan_path, "-o", "-").stdout.encode() == sealed


def test_seal_should_overwrite_nothing_but_plans(run_cli: Cli, plan_path: Path) -> None:
    (run_cli.folder / "raw_file.jsonl").write_text('{"_id": "a"}\n')
    for output, words in (
        ("raw_file.jsonl", "is not a plan already exists there; it was left untouched"),
        ("/", "something that is not a plan already exists there"),
    ):
        result = run_cli("seal", plan_path, "-o", output)
        assert result.exit_code == 2
        assert words in result.stderr
    assert (run_cli.folder / "raw_file.jsonl").read_text() == '{"_id": "a"}\n'


def test_a_plan_whose_keys_were_sorted_should_be_replaced_as_any_plan(run_cli: Cli, plan_path: Path) -> None:
    document = {**json.loads(PLAN), "compiled_from": f"an export: {'x' * 300}"}
    (run_cli.folder / "sorted.json").write_text(json.dumps(document, sort_keys=True))
    assert run_cli("seal", plan_path, "-o", "sorted.json").exit_code == 0
    assert (run_cli.folder / "sorted.json").read_bytes() == PLAN


def test_seal_should_refuse_a_plan_that_breaks_the_rules_and_leave_it(run_cli: Cli, plan_path: Path) -> None:
    broken = PLAN.replace(b'"/out"', b'"/elsewhere"')
    plan_path.write_bytes(broken)
    result = run_cli("seal", plan_path)
    assert result.exit_code == 2
    assert "not within the output_location" in result.stderr
    assert plan_path.read_bytes() == broken


def test_seal_should_leave_a_sealed_plan_as_it_is(run_cli: Cli, plan_path: Path) -> None:
    assert run_cli("seal", plan_path).exit_code == 0
    assert plan_path.read_bytes() == PLAN


@pytest.mark.parametrize(
    "arguments",
    [
        ["seal", "changed.json"],
        ["seal", "changed.json", "-o", "earlier.json"],
        ["select", "plan.json", "--raw-file", "s.d", "-o", "earlier.json"],
        ["split", "plan.json", "-n", "1"],
        ["show", "plan.json", "--html", "earlier.html"],
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("plan_path")
def test_what_the_disk_does_not_take_should_be_an_error_and_leave_the_earlier_file(
    run_cli: Cli, arguments: list[str]
) -> None:
    # given files that earlier runs have written
    run_cli("show", "plan.json", "--html", "earlier.html")
    for name, content in (("changed.json", CHANGED), ("earlier.json", PLAN), ("plan-1-of-1.json", PLAN)):
        (run_cli.folder / name).write_bytes(content)
    before = picture(run_cli.folder)

    # when
    result = run_cli(*arguments, under=with_failing(fsync=errno.EIO))

    # then
    assert result.exit_code == 2
    assert "Input/output error" in result.stderr
    after = picture(run_cli.folder)
    assert {**after, ".": None} == {**before, ".": None}  # the folder itself, where a temporary file came and went


@pytest.mark.parametrize("limit", [0, 100])
@pytest.mark.usefixtures("plan_path")
def test_a_disk_that_gets_full_should_keep_the_earlier_plan(run_cli: Cli, limit: int) -> None:
    (run_cli.folder / "earlier.json").write_bytes(PLAN)
    before = picture(run_cli.folder)

    result = run_cli(
        "select", "plan.json", "--raw-file", "s.d", "-o", "earlier.json", under=with_files_of_at_most(limit)
    )

    assert (result.exit_code, result.stderr) == (2, "kraken-plan: error: cannot write earlier.json: File too large\n")
    after = picture(run_cli.folder)
    assert {**after, ".": None} == {**before, ".": None}


def test_schema_should_be_printed_as_it_is_published(run_cli: Cli) -> None:
    result = run_cli("schema")
    assert (result.exit_code, result.stdout) == (0, schema_text())
