"""`kraken-plan select`: smaller plans, as a user makes and applies them."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from apply_case import bruker, compile_plan, last_report, thermo
from cli import Cli
from conftest import MakeRestoreCase
from plan_samples import make_plan, plan_bytes, planned_raw_file

from schemas.plan_source import load_plan

PLAN = plan_bytes(make_plan(planned_raw_file("a.raw"), planned_raw_file("b.raw", project_id="PRID002")))


@pytest.fixture
def plan_path(run_cli: Cli) -> Path:
    path = run_cli.folder / "plan.json"
    path.write_bytes(PLAN)
    return path


def test_what_is_selected_should_be_restored_and_nothing_else(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    # given
    case = make_restore_case(bruker(), thermo())
    plan = compile_plan(run_cli, case)

    # when
    done = run_cli(
        "select", plan, "--raw-file", "sample.d", "--include", "*.xml", "--exclude", "*/1?.m/*", "-o", "some.json"
    )

    # then
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "selected 1 raw file, 10 files, 2.9 KiB, of 2 raw files, 15 files, 23.0 MiB\n"
    assert run_cli("apply", "some.json").exit_code == 0
    restored = {path.name for path in case.destination().rglob("*") if path.is_file() and path.suffix != ".txt"}
    assert restored == {f"f{number}.xml" for number in range(10)}
    assert "Total files: 10\n" in last_report(case)


def test_what_failed_last_time_should_be_selected_and_tried_again(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    # given a run in which one of three files fails, and another that is not attempted by it
    case = make_restore_case(thermo("a.raw", size_bytes=100), thermo("b.raw", size_bytes=100), bruker())
    plan = compile_plan(run_cli, case)
    (case.destination() / "b.raw").mkdir(parents=True)
    assert run_cli("select", plan, "--exclude", "*/3.m/*", "-o", "most.json").exit_code == 0
    assert run_cli("apply", "most.json", "--results", "results.jsonl").exit_code == 1

    # when
    done = run_cli("select", plan, "--failed", "results.jsonl", "-o", "again.json")

    # then
    assert done.exit_code == 0, done.stderr
    again = load_plan(str(run_cli.folder / "again.json"))
    assert [file.relative_path for _, file in again.planned_files()] == ["b.raw", "sample.d/3.m/f3.xml"]

    # and both runs together make the whole
    (case.destination() / "b.raw").rmdir()
    assert run_cli("apply", "again.json", "--results", "more.jsonl").exit_code == 0
    assert run_cli("report", "--plan", plan, "results.jsonl", "more.jsonl").exit_code == 0
    none_left = run_cli("select", plan, "--failed", "results.jsonl", "--failed", "more.jsonl")
    assert (none_left.exit_code, none_left.stdout) == (2, "")
    assert "nothing in the plan has failed" in none_left.stderr


def test_a_selection_should_go_through_a_pipe(run_cli: Cli) -> None:
    done = run_cli("select", "-", "--project", "PRID002", "-q", stdin=PLAN.decode())
    assert (done.exit_code, done.stderr) == (0, "")
    assert "valid, 1 raw file, 1 file" in run_cli("validate", "-", stdin=done.stdout).stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "nothing was asked for"),
        (("--raw-file", "x.raw,a.raw"), "the plan has no raw file x.raw\n"),
        (("--project", "PRID009"), "the plan has no project PRID009 (did you mean PRID00"),
        (("--include", "*.none"), "nothing in the plan matches"),
        (("--failed", "none.jsonl"), "none.jsonl: there is no such results file"),
        (("--project", "PRID001", "-o", "plan.json"), "plan.json: this is the plan itself"),
        (("--project", "PRID001", "-o", "notes.txt"), "notes.txt: something that is not a plan"),
    ],
)
def test_what_cannot_be_selected_should_be_refused(
    run_cli: Cli, plan_path: Path, arguments: Sequence[str], words: str
) -> None:
    (run_cli.folder / "notes.txt").write_text("notes")
    done = run_cli("select", plan_path, *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert words in done.stderr
    assert plan_path.read_bytes() == PLAN
    assert (run_cli.folder / "notes.txt").read_text() == "notes"
