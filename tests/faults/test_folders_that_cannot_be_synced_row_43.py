"""Scorecard row 43: file systems whose folders cannot be synced."""

import errno
import os
from pathlib import Path

import pytest
from apply_case import bruker, compile_plan, last_report, left_staged, thermo
from cli import Cli
from conftest import MakeRestoreCase
from needs import needs_compiler
from preloaded import preloaded

UNSYNCABLE_FOLDERS = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

int fsync(int descriptor) {
    static int (*real)(int);
    struct stat status;
    if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    if (fstat(descriptor, &status) == 0 && S_ISDIR(status.st_mode)) { errno = atoi(getenv("FSYNC_ERRNO")); return -1; }
    return real(descriptor);
}
"""


@pytest.fixture
def fsync(tmp_path: Path) -> dict[str, str]:
    return {"LD_PRELOAD": str(preloaded(UNSYNCABLE_FOLDERS, tmp_path))}


@needs_compiler
@pytest.mark.parametrize("error", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.ENOTTY, errno.EBADF])
def test_folders_that_cannot_be_synced_should_be_warned_of_once(
    run_cli: Cli, make_restore_case: MakeRestoreCase, fsync: dict[str, str], error: int
) -> None:
    """Row 43."""
    case = make_restore_case(bruker(), thermo())
    plan = case.folder / "plan.json"
    environment = {**fsync, "FSYNC_ERRNO": str(error)}
    compiled = run_cli(
        "compile", *case.raw_file_ids, "--catalog", case.export_path, "--config", case.config_path, "-o", plan,
        environment=environment,
    )  # fmt: skip
    assert compiled.exit_code == 0, compiled.stderr

    result = run_cli("apply", plan, environment=environment)

    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
    assert result.stderr.count(f"folders cannot be synced here ({os.strerror(error)})") == 1
    assert "Status: SUCCESS" in last_report(case)
    assert left_staged(case) == []


@needs_compiler
def test_folders_of_a_failing_disk_should_fail_their_files(
    run_cli: Cli, make_restore_case: MakeRestoreCase, fsync: dict[str, str]
) -> None:
    """Row 43."""
    case = make_restore_case(thermo())
    plan = compile_plan(run_cli, case)
    environment = {**fsync, "FSYNC_ERRNO": str(errno.EIO)}
    again = run_cli(
        "compile", *case.raw_file_ids, "--catalog", case.export_path, "--config", case.config_path, "-o", plan,
        environment=environment,
    )  # fmt: skip

    result = run_cli("apply", plan, environment=environment)

    assert again.exit_code == 2
    assert "Input/output error" in again.stderr
    assert result.exit_code == 1
    assert "sample.raw: FAILURE - Cannot write: Input/output error" in result.stderr
