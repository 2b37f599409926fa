"""Scorecard row 57: a results file for two runs, in the plan's way, on a full disk, with --dry-run."""

import json
import os
from pathlib import Path

import pytest
from apply_case import compile_plan, left_staged, thermo
from cli import Cli
from conftest import MakeRestoreCase
from faulty_proxy import FaultyProxy
from file_systems import bind_mounted, mounted_tmpfs
from needs import needs_root
from network_faults import Fault, Stall
from restore_case import RestoreCase
from waiting import wait_for


def recorded(results: Path) -> dict[str, str]:
    """The outcome of each file in a results file."""
    _, *lines, summary = map(json.loads, results.read_text(encoding="utf-8").splitlines())
    assert "run_summary" in summary
    return {line["relative_path"]: line["outcome"] for line in lines}


def waiting_case(make_restore_case: MakeRestoreCase, proxy: FaultyProxy) -> RestoreCase:
    """Two files, of which the second one keeps the run waiting."""
    case = make_restore_case(
        thermo("a.raw", size_bytes=100), thermo("slow.raw", size_bytes=100), endpoint_url=proxy.endpoint_url
    )
    proxy.add(Fault(action=Stall(seconds=4), key="slow.raw"))
    return case


def test_a_results_file_that_a_run_is_writing_should_be_refused_to_a_second_one_row_57(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    # given a run that is writing
    case = waiting_case(make_restore_case, faulty_proxy)
    plan, results = compile_plan(run_cli, case), case.folder / "results.jsonl"
    process = run_cli.start("apply", plan, "--results", results)
    wait_for(lambda: results.exists() and "a.raw" in results.read_text(), "a result")

    # when
    second = run_cli("apply", plan, "--results", results, "--no-report")
    first = run_cli.finish(process)

    # then
    assert second.exit_code == 2
    assert "another run is writing to it" in second.stderr
    assert first.exit_code == 0, first.stderr
    assert recorded(results) == {"a.raw": "downloaded", "slow.raw": "downloaded"}


@pytest.mark.parametrize("what", ["removed", "written by another run", "replaced"])
def test_results_that_were_lost_while_running_should_be_named_by_the_exit_code_row_57(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy, what: str
) -> None:
    """As on a file system where a lock does not reach other hosts."""
    case = waiting_case(make_restore_case, faulty_proxy)
    results = case.folder / "results.jsonl"
    process = run_cli.start("apply", compile_plan(run_cli, case), "--results", results)
    wait_for(lambda: results.exists() and "a.raw" in results.read_text(), "a result")

    match what:
        case "removed":
            results.unlink()
        case "written by another run":
            results.write_text('{"results_version": "1.0", "started_at": "another run"}\n', encoding="utf-8")
        case "replaced":
            other = case.folder / "other.jsonl"
            other.write_bytes(results.read_bytes())
            other.replace(results)
    result = run_cli.finish(process)

    assert result.exit_code == 1
    assert f"the results in {results} are not complete: " in result.stderr
    assert case.unrestored() == []
    assert left_staged(case) == []


@pytest.mark.parametrize("way", ["itself", "link to a folder", "other case"])
def test_results_should_not_stand_where_the_plan_restores_a_file_by_whatever_way_row_57(
    run_cli: Cli, make_restore_case: MakeRestoreCase, way: str
) -> None:
    case = make_restore_case(thermo("sample.raw", size_bytes=100))
    plan = compile_plan(run_cli, case)
    case.destination().mkdir()
    (case.folder / "alias").symlink_to(case.destination())
    places = {
        "itself": case.destination() / "sample.raw",
        "link to a folder": case.folder / "alias" / "sample.raw",
        "other case": case.destination() / "Sample.RAW",
    }

    result = run_cli("apply", plan, "--results", places[way])

    assert result.exit_code == 2
    assert "the plan restores a file to this place" in result.stderr
    assert list(case.destination().iterdir()) == []


@pytest.mark.parametrize("name", ["PRID001", "PRID001/.kraken-plan", "PRID001/_download_status_batch_1.txt"])
def test_results_should_not_take_the_place_of_folders_and_files_that_a_run_needs_row_57(
    run_cli: Cli, make_restore_case: MakeRestoreCase, name: str
) -> None:
    case = make_restore_case(thermo(size_bytes=100))
    plan = compile_plan(run_cli, case)
    if "/" in name:
        case.destination().mkdir()

    refused = run_cli("apply", plan, "--results", case.output_location / name)

    assert refused.exit_code == 2
    assert "--results" in refused.stderr
    assert not (case.output_location / name).is_file()
    assert run_cli("apply", plan).exit_code == 0
    assert case.unrestored() == []


@needs_root
def test_results_should_not_stand_where_the_plan_restores_a_file_in_another_mount_row_57(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(thermo("sample.raw", size_bytes=100))
    plan = compile_plan(run_cli, case)
    other = case.folder / "other"
    other.mkdir()
    case.destination().mkdir()
    with bind_mounted(case.output_location, other):
        result = run_cli("apply", plan, "--results", other / "PRID001" / "sample.raw")

    assert result.exit_code == 2
    assert "the plan restores a file to this place" in result.stderr


@needs_root
def test_results_that_do_not_fit_should_make_exit_code_1_row_57(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(*(thermo(f"{number}.raw", size_bytes=100) for number in range(20)))
    folder = case.folder / "small"
    folder.mkdir()
    with mounted_tmpfs(folder, "size=4k"):
        result = run_cli("apply", compile_plan(run_cli, case), "--results", folder / "results.jsonl")

    assert result.exit_code == 1
    assert "are not complete: No space left on device" in result.stderr
    assert case.unrestored() == []


def test_results_of_a_dry_run_should_be_refused_row_57(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    case = make_restore_case(thermo(size_bytes=100))

    result = run_cli("apply", compile_plan(run_cli, case), "--dry-run", "--results", "results.jsonl")

    assert result.exit_code == 2
    assert "--results" in result.stderr
    assert not (run_cli.folder / "results.jsonl").exists()


def test_results_on_a_fifo_should_be_refused_and_not_hang_row_57(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(thermo(size_bytes=100))
    os.mkfifo(case.folder / "fifo")

    result = run_cli("apply", compile_plan(run_cli, case), "--results", case.folder / "fifo", timeout_seconds=20)

    assert result.exit_code == 2
    assert "something that is not a file already exists there" in result.stderr
