"""Reports where people want them, and results that are kept and found again without being named."""

import json
import os
from pathlib import Path

from apply_case import compile_plan, left_staged, thermo
from cli import Cli
from conftest import MakeRestoreCase


def test_results_should_be_kept_and_found_and_reports_go_where_they_are_wanted(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    # given a run that fails in part, and whose reports are to be elsewhere
    case = make_restore_case(*(thermo(name, size_bytes=1000) for name in ("right.raw", "taken.raw")))
    plan = compile_plan(run_cli, case)
    reports = case.folder / "reports"
    assert "expected a folder" in run_cli("apply", plan, "--report-dir", reports).stderr
    assert list(case.output_location.iterdir()) == []
    reports.mkdir()
    (case.destination() / "taken.raw").mkdir(parents=True)
    assert run_cli("report", "--plan", plan).exit_code == 2
    first = run_cli("apply", plan, "--report-dir", reports, environment={"KRAKEN_PLAN_APPLY_JOBS": "2"})

    # then they are there, and say what needs attention and how they came about
    assert first.exit_code == 1
    (report,) = reports.iterdir()
    assert first.stdout == f"{report}\n"
    text = report.read_text(encoding="utf-8")
    attention = (
        'Attention:\n----------\nCannot write: 1 entry. Applying again helps: when it is writable.\n  "taken.raw"\n'
    )
    assert f"Status: PARTIAL FAILURE\n\n{attention}\n====" in text
    assert f"\nOptions: --jobs 2 --report-dir {reports}\n" in text
    assert case.reports() == []
    assert left_staged(case) == []

    # and what failed is found without naming any results
    selected = run_cli("select", plan, "--failed")
    assert list(json.loads(selected.stdout)["raw_files"]) == ["taken.raw"]
    reported = run_cli("report", "--plan", plan, "--report-dir", reports)
    assert (reported.exit_code, len(list(reports.iterdir()))) == (1, 2)
    last = run_cli("status", plan, "--last")
    assert last.exit_code == 1
    assert last.stdout.startswith("2 entries: 1 verified, 1 failed, 0 unresolvable, 0 not attempted\nRun ")
    assert "\n  taken.raw: Cannot write: a folder stands in the way\n" in last.stdout
    summary = json.loads(run_cli("status", plan, "--last", "--json").stdout)
    assert (summary["failed"], summary["exit_code"], summary["fetched_bytes"]) == (1, 1, 1000)
    assert run_cli("status", plan, "--last", "--html", "last.html").exit_code == 1
    assert b"<title>Restore results: " in (run_cli.folder / "last.html").read_bytes()
    moved = run_cli("report", "--plan", plan, "--output-root", case.folder, "--report-dir", reports)
    assert moved.exit_code == 2
    assert f"give --output-root {case.output_location}" in moved.stderr

    # and a run that restores the rest reports the whole, once more than one run is kept
    (case.destination() / "taken.raw").rmdir()
    assert run_cli("apply", plan, "--report", "changes").stdout.startswith(str(case.destination()))
    assert run_cli("select", plan, "--failed").exit_code == 2
    whole = run_cli("report", "--plan", plan)
    assert whole.exit_code == 0, whole.stderr
    assert case.reports()[-1].read_text(encoding="utf-8").count("\nRun: ") == 2

    # and one that changes nothing is not reported unless it is asked for
    number = len(case.reports())
    for options in (["--report", "changes"], ["--report", "never"], ["--no-report"]):
        assert run_cli("apply", plan, *options).stdout == ""
    assert len(case.reports()) == number


def test_results_of_another_plan_should_not_be_replaced(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    case = make_restore_case(thermo("a.raw", size_bytes=10), thermo("b.raw", size_bytes=10))
    plan = compile_plan(run_cli, case)
    other = run_cli("select", plan, "--raw-file", "a.raw").stdout
    results = case.folder / "results.jsonl"
    run_cli("apply", "-", "--results", results, "--no-report", stdin=other)
    before = results.read_bytes()

    refused = run_cli("apply", plan, "--results", results)

    assert refused.exit_code == 2
    assert f"it holds the results of another plan, {json.loads(other)['plan_digest']}" in refused.stderr
    assert results.read_bytes() == before
    assert not case.destination().joinpath("b.raw").exists()


def test_a_path_that_is_not_utf_8_should_stand_escaped_in_results_that_can_be_read(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    # given folders of a time when names were Latin-1
    case = make_restore_case(thermo(size_bytes=100))
    latin_1 = Path(os.fsdecode(bytes(case.folder) + b"/gr\xf6\xdfe"))
    latin_1.mkdir()
    plan = compile_plan(run_cli, case).rename(latin_1 / "plan.json")

    # when
    done = run_cli("apply", plan, "--report-dir", latin_1, "--summary", "summary.json", "--results", "results.jsonl")

    # then
    assert done.exit_code == 0, done.stderr
    last = run_cli("status", plan, "--last")
    assert (last.exit_code, last.stderr) == (0, "")
    assert run_cli("report", "results.jsonl", "--plan", plan).exit_code == 0
    written = (run_cli.folder / "summary.json").read_bytes().decode("utf-8")
    named = (*json.loads(written)["reports"], json.loads(written)["plan"])
    assert all(r"/gr\udcf6\udcdfe/" in path for path in named), named
