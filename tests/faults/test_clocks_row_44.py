"""Scorecard row 44: the clocks of two hosts disagree. Nothing that is not there is called right."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from apply_case import compile_plan, last_report, thermo
from cli import Cli
from conftest import MakeRestoreCase
from restore_case import RestoreCase

from schemas.plan_source import load_plan

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def set_clock_of_host(results: Path, *, ahead: timedelta, host: str) -> None:
    """Make a results file one of another host, whose clock is ahead."""
    head, *lines = results.read_text(encoding="utf-8").splitlines(keepends=True)
    started_at = (datetime.now(UTC) + ahead).strftime("%Y-%m-%dT%H:%M:%SZ")
    head = json.dumps(json.loads(head) | {"started_at": started_at, "host": host}) + "\n"
    results.write_text("".join([head, *lines]), encoding="utf-8")


@pytest.fixture
def nights(run_cli: Cli, make_restore_case: MakeRestoreCase, s3: "S3Client") -> tuple[RestoreCase, Path, list[Path]]:
    """A run on a host whose clock is an hour fast, which restores all, and a later one, for which a.raw is missing.

    The plan has a.raw, b.raw and c.raw.
    """
    case = make_restore_case(*(thermo(f"{name}.raw", size_bytes=1000) for name in "abc"))
    plan = compile_plan(run_cli, case)
    results = [run_cli.folder / "first.results", run_cli.folder / "second.results"]
    assert run_cli("apply", plan, "--no-report", "--results", results[0]).exit_code == 0
    set_clock_of_host(results[0], ahead=timedelta(hours=1), host="fast-host")
    (case.destination() / "a.raw").unlink()
    s3.delete_object(Bucket=case.bucket(), Key="a.raw")
    assert run_cli("apply", plan, "--no-report", "--results", results[1]).exit_code == 1
    return case, plan, results


def test_report_should_not_call_right_what_is_gone_row_44(
    run_cli: Cli, nights: tuple[RestoreCase, Path, list[Path]]
) -> None:
    case, plan, results = nights
    for order in (results, results[::-1]):
        done = run_cli("report", "--plan", plan, *order)

        assert done.exit_code == 1
        assert "a.raw: FAILURE - S3 key not found: " in last_report(case)
        assert "b.raw: OK - " in last_report(case)
        assert "first.results: this run began in the future" in done.stderr
        assert "of different hosts, disagree on 1 file" in done.stderr


def test_select_should_take_what_is_gone_row_44(run_cli: Cli, nights: tuple[RestoreCase, Path, list[Path]]) -> None:
    _, plan, results = nights
    done = run_cli("select", plan, "--failed", results[0], "--failed", results[1], "-o", "again.json")
    assert done.exit_code == 0
    assert [raw_file.raw_file_id for raw_file in load_plan(str(run_cli.folder / "again.json")).raw_files] == ["a.raw"]


def test_one_run_should_not_be_believed_about_files_that_changed_since_row_44(
    run_cli: Cli, nights: tuple[RestoreCase, Path, list[Path]]
) -> None:
    # given, since the only run that is known: one file gone, one of another size, and one as it was
    case, plan, (results, _) = nights
    (case.destination() / "b.raw").write_bytes(b"half")

    # when
    done = run_cli("report", "--plan", plan, results)

    # then
    assert done.exit_code == 1
    reported = f"{results} reports it as downloaded. Apply the plan again"
    assert f"a.raw: FAILURE - Not as restored: there is no such file now; {reported}" in last_report(case)
    assert f"b.raw: FAILURE - Not as restored: it has 4 bytes now, expected 1,000; {reported}" in last_report(case)
    assert "c.raw: OK - Downloaded and verified" in last_report(case)
    selected = run_cli("select", plan, "--failed", results, "-o", "again.json")
    assert "selected 2 raw files, 2 files" in selected.stderr


def test_a_destination_that_is_not_reachable_should_be_said_row_44(
    run_cli: Cli, nights: tuple[RestoreCase, Path, list[Path]]
) -> None:
    case, plan, (results, _) = nights
    case.output_location.rename(case.output_location.with_name("unmounted"))
    selected = run_cli("select", plan, "--failed", results, "-o", "again.json")
    assert selected.exit_code == 2
    assert "3 restored files not looked at, the results are believed: " in selected.stderr
    assert f"{case.output_location} does not exist: is its file system mounted?" in selected.stderr
