"""Destinations that cannot be used, or not any longer: full, read-only, missing, in the way."""

import os
import subprocess

import pytest
from apply_case import assert_failed, compile_plan, last_report, left_staged, thermo
from cli import Cli
from conftest import MakeRestoreCase
from mounted_tmpfs import mounted_tmpfs, needs_root
from sample_data import MIB


@needs_root
def test_full_disk_should_fail_what_does_not_fit_and_free_its_space(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    # given 20 MB for 6 + 40 + 6 MB
    case = make_restore_case(
        thermo("a.raw", size_bytes=6 * MIB), thermo("b.raw", size_bytes=40 * MIB), thermo("c.raw", size_bytes=6 * MIB)
    )
    plan = compile_plan(run_cli, case)
    with mounted_tmpfs(case.output_location, "size=20m"):
        # when, one file after the other, by somebody who does not care about what the space check says
        result = run_cli("apply", plan, "--jobs", "1", "--skip-space-check")

        # then
        assert_failed(result, case, "b.raw: FAILURE - Disk full: ", "a.raw: OK", "c.raw: OK", "PARTIAL FAILURE")
        assert case.unrestored() == ["PRID001/b.raw"]
        assert os.statvfs(case.output_location).f_bavail * os.statvfs(case.output_location).f_bsize > 7 * MIB

        # and once there is room, the same plan ends well
        subprocess.run(["/bin/mount", "-o", "remount,size=80m", case.output_location], check=True)
        assert run_cli("apply", plan).exit_code == 0
        assert case.unrestored() == []


@needs_root
def test_read_only_output_location_should_be_refused_before_anything_is_fetched(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(thermo())
    plan = compile_plan(run_cli, case)
    with mounted_tmpfs(case.output_location, "ro"):
        result = run_cli("apply", plan)

    assert result.exit_code == 2
    assert f"{case.destination()}: the file system is read-only" in result.stderr


def test_missing_output_location_should_be_refused_and_never_made(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(thermo())
    plan = compile_plan(run_cli, case)
    case.output_location.rmdir()

    result = run_cli("apply", plan)

    assert result.exit_code == 2
    assert f"the output location {case.output_location} does not exist" in result.stderr
    assert not case.output_location.exists()


@pytest.mark.parametrize("kind", ["folder", "fifo", "link", "link on the way", "file on the way"])
def test_what_is_no_file_should_neither_be_touched_nor_followed(
    run_cli: Cli, make_restore_case: MakeRestoreCase, kind: str
) -> None:
    # given something else under a final name
    case = make_restore_case(thermo("good.raw", size_bytes=100), thermo("x.d/y", size_bytes=100))
    plan = compile_plan(run_cli, case)
    outside = case.folder / "outside"
    outside.mkdir()
    (outside / "y").write_bytes(b"not ours")
    folder = case.destination() / "x.d"
    target = folder / "y"
    match kind:
        case "folder":
            target.mkdir(parents=True)
        case "fifo":
            folder.mkdir(parents=True)
            os.mkfifo(target)
        case "link":
            folder.mkdir(parents=True)
            target.symlink_to(outside / "y")
        case "link on the way":
            case.destination().mkdir()
            folder.symlink_to(outside)
        case "file on the way":
            case.destination().mkdir()
            folder.write_bytes(b"not ours")

    # when
    result = run_cli("apply", plan)

    # then
    assert_failed(result, case, "x.d/y: FAILURE - Cannot write: ", " stands in the way", "good.raw: OK")
    assert (outside / "y").read_bytes() == b"not ours"
    assert list(outside.iterdir()) == [outside / "y"]


def test_destination_that_is_a_link_should_be_refused(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    case = make_restore_case(thermo())
    outside = case.folder / "outside"
    outside.mkdir()
    case.destination().symlink_to(outside)

    result = run_cli("apply", compile_plan(run_cli, case))

    assert result.exit_code == 2
    assert "a symbolic link stands in the way" in result.stderr
    assert list(outside.iterdir()) == []


def test_output_location_itself_may_be_a_link(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    case = make_restore_case(thermo())
    plan = compile_plan(run_cli, case)
    case.output_location.rename(case.folder / "pool")
    case.output_location.symlink_to(case.folder / "pool")

    assert run_cli("apply", plan).exit_code == 0
    assert case.unrestored() == []


def test_name_of_255_bytes_should_be_restored_and_healed(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    case = make_restore_case(thermo("ä" * 127 + "x", size_bytes=100))
    plan = compile_plan(run_cli, case)
    assert run_cli("apply", plan).exit_code == 0
    (case.destination() / case.raw_file_ids[0]).write_bytes(b"corrupt")

    result = run_cli("apply", plan, "--on-corrupt", "quarantine")

    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
    assert len(list(case.destination().glob("*.corrupted"))) == 1


def test_delivered_files_should_have_the_mode_of_the_umask(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    case = make_restore_case(thermo())
    plan = compile_plan(run_cli, case)
    before = os.umask(0o027)
    try:
        run_cli("apply", plan)
    finally:
        os.umask(before)

    assert (case.destination() / "sample.raw").stat().st_mode & 0o777 == 0o640
    assert case.reports()[0].stat().st_mode & 0o777 == 0o640


def test_report_that_cannot_be_written_should_be_said(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    # given that the staging folder's name is taken by a file once everything is restored
    case = make_restore_case(thermo())
    plan = compile_plan(run_cli, case)
    assert run_cli("apply", plan).exit_code == 0
    (case.destination() / ".kraken-plan").write_bytes(b"")

    result = run_cli("apply", plan)

    assert result.exit_code == 1
    assert "the report cannot be written" in result.stderr
    assert "1 skipped" in result.stderr
    assert case.unrestored() == []


def test_reports_of_one_second_should_not_overwrite_each_other(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(thermo(size_bytes=10))
    plan = compile_plan(run_cli, case)

    runs = [run_cli.start("apply", plan) for _ in range(4)]
    assert [run_cli.finish(run).exit_code for run in runs] == [0, 0, 0, 0]

    assert len(case.reports()) == 4
    assert left_staged(case) == []
    assert "Status: SUCCESS" in last_report(case)
