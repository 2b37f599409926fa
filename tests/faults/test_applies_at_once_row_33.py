"""Scorecard row 33: several applies of one plan at once, with file locks and where there are none."""

import errno

import pytest
from apply_case import compile_plan, last_report, left_staged, thermo
from cli import Cli
from conftest import MakeRestoreCase
from failing_syscalls import with_failing
from restore_case import raw_file
from sample_data import MIB, made_up_bytes


@pytest.mark.parametrize("under", [[], with_failing(flock=errno.EOPNOTSUPP)], ids=["locks", "no locks"])
def test_three_applies_at_once_should_restore_all_and_write_a_report_each_row_33(
    run_cli: Cli, make_restore_case: MakeRestoreCase, under: list[str]
) -> None:
    # given a file of five parts, which has a journal, one without, and a corrupt one
    big = raw_file("big.raw", {"big.raw": (made_up_bytes("big", 40 * MIB), 8)})
    other = thermo("other.raw", project_id="PRID002", size_bytes=1000)
    case = make_restore_case(big, thermo(), thermo("corrupt.raw", size_bytes=1000), other)
    plan = compile_plan(run_cli, case)
    case.destination().mkdir()
    (case.destination() / "corrupt.raw").write_bytes(b"corrupt")

    # when
    runs = [run_cli.start("apply", plan, under=under) for _ in range(3)]
    results = [run_cli.finish(run) for run in runs]

    # then
    assert [result.exit_code for result in results] == [0, 0, 0], results
    assert case.unrestored() == []
    assert len({result.stdout for result in results}) == 3
    assert len(case.reports()) == 3
    assert all(result.stderr.count("has no file locks") == bool(under) for result in results)
    assert left_staged(case) == []


def test_reports_of_one_second_should_not_overwrite_each_other_row_33(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(thermo(size_bytes=10))
    plan = compile_plan(run_cli, case)

    runs = [run_cli.start("apply", plan) for _ in range(4)]
    assert [run_cli.finish(run).exit_code for run in runs] == [0, 0, 0, 0]

    assert len(case.reports()) == 4
    assert left_staged(case) == []
    assert "Status: SUCCESS" in last_report(case)


def test_without_hard_links_reports_and_corrupt_bytes_should_be_kept_all_the_same_row_33(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    # given a file system as SMB's often are
    under = with_failing(linkat=errno.EPERM, fallocate=errno.EOPNOTSUPP, copy_file_range=errno.EOPNOTSUPP)
    case = make_restore_case(thermo(), thermo("short.raw"))
    plan = compile_plan(run_cli, case)
    case.destination().mkdir()
    (case.destination() / "sample.raw").write_bytes(b"corrupt")
    (case.destination() / "short.raw").write_bytes(case.raw_files[1].contents["short.raw"][: 10 * MIB])

    # when
    runs = [run_cli.start("apply", plan, "--on-corrupt", "quarantine", under=under) for _ in range(2)]
    results = [run_cli.finish(run) for run in runs]

    # then
    assert [result.exit_code for result in results] == [0, 0], results
    assert case.unrestored() == []
    assert len(case.reports()) == 2
    assert b"corrupt" in {path.read_bytes() for path in case.destination().glob("sample.raw.corrupted*")}
    assert left_staged(case) == []
