"""Scorecard row 56: file systems that number inodes anew at each look."""

from pathlib import Path

import pytest
from apply_case import bruker, compile_plan, last_report, left_staged, thermo
from cli import Cli
from conftest import MakeRestoreCase
from fault_case import many_files
from faulty_proxy import FaultyProxy
from needs import needs_compiler
from preloaded import preloaded

UNSTABLE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

static void renumber(struct stat *status) {
    static unsigned long looks = 1000000;
    if (getenv("FOLDERS") || S_ISREG(status->st_mode)) status->st_ino = __sync_add_and_fetch(&looks, 1);
}

#define REAL(name, ...) \\
    static int (*real)(__VA_ARGS__); \\
    if (!real) real = (int (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

int fstat(int file, struct stat *status) {
    int result;
    REAL("fstat", int, struct stat *);
    if ((result = real(file, status)) == 0) renumber(status);
    return result;
}

int stat(const char *path, struct stat *status) {
    int result;
    REAL("stat", const char *, struct stat *);
    if ((result = real(path, status)) == 0) renumber(status);
    return result;
}

int fstatat(int folder, const char *path, struct stat *status, int flags) {
    int result;
    REAL("fstatat", int, const char *, struct stat *, int);
    if ((result = real(folder, path, status, flags)) == 0) renumber(status);
    return result;
}

int fstat64(int file, struct stat64 *status) { return fstat(file, (struct stat *)status); }
int stat64(const char *path, struct stat64 *status) { return stat(path, (struct stat *)status); }
int fstatat64(int folder, const char *path, struct stat64 *status, int flags) {
    return fstatat(folder, path, (struct stat *)status, flags);
}
"""


@needs_compiler
@pytest.mark.parametrize("folders", [{}, {"FOLDERS": "1"}], ids=["files", "folders too"])
@pytest.mark.parametrize("on_corrupt", ["replace", "quarantine"])
def test_files_should_be_healed_whatever_number_they_have_row_56(
    run_cli: Cli, make_restore_case: MakeRestoreCase, tmp_path: Path, folders: dict[str, str], on_corrupt: str
) -> None:
    # given a corrupt file, one of the same size, right ones and missing ones
    case = make_restore_case(bruker(), thermo(), thermo("same.raw", size_bytes=1000))
    plan = compile_plan(run_cli, case)
    case.destination().mkdir()
    (case.destination() / "sample.raw").write_bytes(b"corrupt")
    (case.destination() / "same.raw").write_bytes(bytes(1000))
    environment: dict[str, str | None] = {"LD_PRELOAD": str(preloaded(UNSTABLE, tmp_path)), **folders}

    # when
    result = run_cli("apply", plan, "--on-corrupt", on_corrupt, environment=environment)

    # then
    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
    assert last_report(case).count("OK - Self-healed") == 2
    assert left_staged(case) == []
    again = run_cli("apply", plan, environment=environment)
    assert again.exit_code == 0, again.stderr
    assert "16 already right" in again.stderr


@needs_compiler
def test_small_files_should_be_fetched_only_once_whatever_numbers_they_have_row_56(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy, tmp_path: Path
) -> None:
    case = make_restore_case(many_files(40), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    environment: dict[str, str | None] = {"LD_PRELOAD": str(preloaded(UNSTABLE, tmp_path))}

    results = [run_cli("apply", plan, "--jobs", "2", environment=environment) for _ in range(2)]

    assert [result.exit_code for result in results] == [0, 0], results
    assert case.unrestored() == []
    assert len(faulty_proxy.requests("GET", "many.d/")) == 40
