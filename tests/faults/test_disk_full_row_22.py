"""Scorecard row 22: the disk gets full in mid-run. What fits is right, the rest is as it was, and its space is free."""

import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from apply_case import assert_failed, compile_plan, thermo
from cli import Cli
from conftest import MakeRestoreCase
from file_systems import free_bytes, mounted_ext4, mounted_tmpfs
from needs import needs_root
from sample_data import MIB

# What lets a run begin that is bound to fill the disk.
AT_ALL_COSTS = ("--skip-space-check",)


def small_tmpfs(folder: Path) -> AbstractContextManager[None]:
    return mounted_tmpfs(folder, "size=20m")


def small_ext4(folder: Path) -> AbstractContextManager[None]:
    return mounted_ext4(folder, 22)


@needs_root
@pytest.mark.parametrize("small", [small_tmpfs, small_ext4])
def test_full_disk_should_fail_what_does_not_fit_and_free_its_space_row_22(
    run_cli: Cli, make_restore_case: MakeRestoreCase, small: Callable[[Path], AbstractContextManager[None]]
) -> None:
    # given 20 MB for 6 + 36 + 6 MB, with something wrong in place of the large one
    sizes = {"a.raw": 6 * MIB, "b.raw": 36 * MIB, "c.raw": 6 * MIB}
    case = make_restore_case(*(thermo(name, size_bytes=size) for name, size in sizes.items()))
    plan = compile_plan(run_cli, case)
    with small(case.output_location):
        case.destination().mkdir()
        (case.destination() / "b.raw").write_bytes(b"old")
        free = free_bytes(case.output_location)

        # when, one file after the other
        result = run_cli("apply", plan, "--jobs", "1", *AT_ALL_COSTS)

        # then
        assert_failed(result, case, "b.raw: FAILURE - Disk full: ", "a.raw: OK", "c.raw: OK", "PARTIAL FAILURE")
        assert case.unrestored() == ["PRID001/b.raw"]
        assert [path.read_bytes() for path in case.destination().glob("b.raw*")] == [b"old"]
        assert free_bytes(case.output_location) > free - 13 * MIB


@needs_root
def test_many_files_on_a_full_disk_at_once_should_leave_what_fits_row_22(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    # given 20 MB for 12 x 4 MB
    case = make_restore_case(*(thermo(f"{number}.raw", size_bytes=4 * MIB) for number in range(12)))
    plan = compile_plan(run_cli, case)
    with mounted_tmpfs(case.output_location, "size=20m"):
        # when four are under way at once: less than 16 MB are unfinished when the disk is full, so two are whole
        result = run_cli("apply", plan, "--jobs", "4", *AT_ALL_COSTS)

        # then
        failed = case.unrestored()
        lines = [f"{path.removeprefix('PRID001/')}: FAILURE - Disk full: " for path in failed]
        assert_failed(result, case, f"Failed files: {len(failed)}\n", *lines)
        assert not any((case.output_location / path).exists() for path in failed)
        assert free_bytes(case.output_location) > (20 - 4 * (12 - len(failed)) - 1) * MIB
        assert len(failed) <= 10

        # and once there is room, the same plan ends well
        subprocess.run(["/bin/mount", "-o", "remount,size=80m", case.output_location], check=True)
        assert run_cli("apply", plan).exit_code == 0
        assert case.unrestored() == []
