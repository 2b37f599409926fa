"""Scorecard row 32: few file descriptors, little memory. Right with fewer workers, or a clean stop."""

import pytest
from apply_case import compile_plan, last_report, left_staged, thermo
from cli import Cli
from conftest import MakeRestoreCase
from faulty_proxy import FaultyProxy
from restore_case import raw_file
from sample_data import MIB, RawFileSample, made_up_bytes


def many_small(count: int) -> RawFileSample:
    return raw_file("many.d", {f"many.d/{number}": (made_up_bytes(str(number), 100), 5) for number in range(count)})


@pytest.mark.parametrize("limit", [52, 58, 64])
def test_right_files_should_stay_where_they_are_when_descriptors_run_out_row_32(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy, limit: int
) -> None:
    # given everything restored, and a network that keeps many connections busy at once
    case = make_restore_case(many_small(100), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    assert run_cli("apply", plan).exit_code == 0
    before = {path: path.stat().st_ino for path in case.output_location.rglob("many.d/*")}
    faulty_proxy.clear()
    faulty_proxy.latency_seconds = 0.005

    # when
    result = run_cli("apply", plan, "--jobs", "64", "--retries", "1", under=["prlimit", f"--nofile={limit}"])

    # then nothing is taken for wrong, moved or fetched again
    assert result.exit_code in {0, 1}, result.stderr
    assert {path: path.stat().st_ino for path in case.output_location.rglob("many.d/*")} == before
    assert "healing" not in result.stderr
    assert faulty_proxy.requests("GET", "many.d") == []


def test_many_destinations_should_do_with_64_descriptors_row_32(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    # given more destinations and buckets than there are descriptors for, their files by turns
    projects = [f"P{number}" for number in range(40)]
    case = make_restore_case(
        *(thermo(f"{project}-{turn}.raw", project, 100) for turn in "ab" for project in projects),
        *(thermo(f"{project}-large.raw", project, 34 * MIB) for project in projects[:2]),
    )
    plan = compile_plan(run_cli, case)

    # when
    result = run_cli("apply", plan, "--endpoint-url", faulty_proxy.endpoint_url, under=["prlimit", "--nofile=64"])

    # then
    assert result.exit_code == 0, result.stderr
    assert "only 4 jobs at once: the limits of open files or memory" in result.stderr
    assert case.unrestored() == []
    assert all("Status: SUCCESS" in last_report(case, project) for project in projects)
    assert left_staged(case) == []


def test_little_memory_should_mean_fewer_jobs_row_32(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    case = make_restore_case(many_small(100), thermo())
    plan = compile_plan(run_cli, case)

    result = run_cli("apply", plan, under=["prlimit", "--as=1024000000"])

    assert result.exit_code == 0, result.stderr
    assert "only 5 jobs at once: the limits of open files or memory" in result.stderr
    assert case.unrestored() == []


@pytest.mark.parametrize("limit", ["--nofile=20", "--nofile=30", "--as=300000000"])
def test_too_few_descriptors_or_too_little_memory_should_be_a_clean_stop_row_32(
    run_cli: Cli, make_restore_case: MakeRestoreCase, limit: str
) -> None:
    case = make_restore_case(many_small(20))
    plan = compile_plan(run_cli, case)

    result = run_cli("apply", plan, "--retries", "1", under=["prlimit", limit])

    if result.exit_code == 0:
        assert case.unrestored() == []
    assert result.exit_code in {0, 1, 2}, result.stderr
    assert result.exit_code == 0 or result.stderr
    assert run_cli("apply", plan).exit_code == 0
    assert case.unrestored() == []
    assert left_staged(case) == []
