"""Scorecard row 39: two planned names that are one file for the file system."""

from pathlib import Path

import pytest
from apply_case import compile_plan, last_report, left_staged, thermo
from cli import Cli, CliResult
from conftest import MakeRestoreCase
from file_systems import bind_mounted
from needs import needs_compiler, needs_root
from preloaded import preloaded
from restore_case import RestoreCase, raw_file
from sample_data import made_up_bytes

# A file system that takes the name of $ONE for that of $OTHER, and drops dots at the end of names.
ALIASES = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *resolved(const char *path, char *room) {
    const char *one = getenv("ONE"), *last = strrchr(path, '/');
    size_t length = strlen(path);
    last = last ? last + 1 : path;
    if (length > 4000 || path[0] == '/' || !strcmp(last, ".") || !strcmp(last, "..")) return path;
    strcpy(room, path);
    if (one && !strcmp(last, one)) strcpy(room + (last - path), getenv("OTHER"));
    for (length = strlen(room); length > 1 && room[length - 1] == '.'; length--) room[length - 1] = 0;
    return room;
}

#define REAL(type, name, ...) \\
    static type (*real)(__VA_ARGS__); \\
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

int openat(int folder, const char *path, int flags, ...) {
    char room[4096];
    va_list more;
    int mode;
    REAL(int, "openat", int, const char *, int, ...);
    va_start(more, flags);
    mode = va_arg(more, int);
    va_end(more);
    return real(folder, resolved(path, room), flags, mode);
}

int openat64(int folder, const char *path, int flags, ...) {
    va_list more;
    int mode;
    va_start(more, flags);
    mode = va_arg(more, int);
    va_end(more);
    return openat(folder, path, flags, mode);
}

int fstatat(int folder, const char *path, struct stat *status, int flags) {
    char room[4096];
    REAL(int, "fstatat", int, const char *, struct stat *, int);
    return real(folder, resolved(path, room), status, flags);
}

int fstatat64(int folder, const char *path, struct stat64 *status, int flags) {
    return fstatat(folder, path, (struct stat *)status, flags);
}

int mkdirat(int folder, const char *path, mode_t mode) {
    char room[4096];
    REAL(int, "mkdirat", int, const char *, mode_t);
    return real(folder, resolved(path, room), mode);
}

int unlinkat(int folder, const char *path, int flags) {
    char room[4096];
    REAL(int, "unlinkat", int, const char *, int);
    return real(folder, resolved(path, room), flags);
}

int renameat(int from, const char *old, int to, const char *path) {
    char room[4096];
    REAL(int, "renameat", int, const char *, int, const char *);
    return real(from, old, to, resolved(path, room));
}

int renameat2(int from, const char *old, int to, const char *path, unsigned int flags) {
    char room[4096];
    REAL(int, "renameat2", int, const char *, int, const char *, unsigned int);
    return real(from, old, to, resolved(path, room), flags);
}

int linkat(int from, const char *old, int to, const char *path, int flags) {
    char room[4096];
    REAL(int, "linkat", int, const char *, int, const char *, int);
    return real(from, old, to, resolved(path, room), flags);
}
"""
SAYS = "for the file system the two are one file"


def two_destinations(make_restore_case: MakeRestoreCase) -> RestoreCase:
    """Files of other bytes but one name in two destinations, and a file that has nothing to do with them."""
    case = make_restore_case(
        raw_file("one", {"f": (made_up_bytes("one", 1000), 5)}, project_id="PRID001"),
        raw_file("two", {"f": (made_up_bytes("two", 1000), 5)}, project_id="PRID002"),
        thermo(size_bytes=500),
    )
    for project_id in ("PRID001", "PRID002"):
        case.destination(project_id).mkdir()
    return case


@needs_root
def test_both_names_of_one_file_should_fail_and_stay_failed_row_39(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    # given a folder that is mounted a second time inside the output location
    case = two_destinations(make_restore_case)
    plan = compile_plan(run_cli, case)
    results = case.folder / "results.jsonl"
    with bind_mounted(case.destination("PRID001"), case.destination("PRID002")):
        # when
        first = run_cli("apply", plan, "--results", results)
        held = (case.destination() / "f").read_bytes()
        again = run_cli("apply", plan)

        # then
        assert first.exit_code == 1, first.stderr
        assert ", 3 entries: 1 verified, 2 failed, 0 unresolvable, 0 not attempted\n" in first.stderr
        reports = "".join(report.read_text() for report in case.reports())
        assert f"f: FAILURE - Conflicts with PRID002/f: {SAYS}" in reports
        assert f"f: FAILURE - Conflicts with PRID001/f: {SAYS}" in reports
        assert "sample.raw: OK - Downloaded" in reports
        assert "".join(results.read_text().splitlines()[:-1]).count("Conflicts with") == 2  # the last one sums up
        assert left_staged(case) == []

        # and run by run the same bytes stand there
        assert again.exit_code == 2
        assert "PRID001/f and PRID002/f are one file for the file system" in again.stderr
        assert (case.destination() / "f").read_bytes() == held


@needs_root
def test_a_corrupt_file_with_two_names_should_be_left_as_it_is_row_39(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = two_destinations(make_restore_case)
    plan = compile_plan(run_cli, case)
    (case.destination() / "f").write_bytes(b"neither")
    with bind_mounted(case.destination("PRID001"), case.destination("PRID002")):
        result = run_cli("apply", plan)

        assert result.exit_code == 2, result.stderr
        assert [path.read_bytes() for path in case.destination().iterdir()] == [b"neither"]


@needs_root
def test_a_folder_mounted_within_a_destination_should_cost_its_files_alone_row_39(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    """No rename leads from the staging folder into another mount, even of the same file system."""
    files = {f"s.d/{folder}/f": (made_up_bytes(folder, 1000), 5) for folder in ("a", "b")}
    case = make_restore_case(raw_file("s.d", files))
    plan = compile_plan(run_cli, case)
    one, other = (case.destination() / "s.d" / folder for folder in ("a", "b"))
    one.mkdir(parents=True)
    other.mkdir()
    with bind_mounted(one, other):
        result = run_cli("apply", plan, "--jobs", "1")

        assert result.exit_code == 1, result.stderr
        assert (one / "f").read_bytes() == case.raw_files[0].contents["s.d/a/f"]
        assert [path.name for path in one.iterdir()] == ["f"]
        assert "s.d/b/f: FAILURE" in last_report(case)


def test_hard_links_to_one_file_should_be_two_files_row_39(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    """Of the same content both are right; else one is healed and the other keeps its bytes."""
    content = made_up_bytes("same", 1000)
    files = {"s.d/a": (content, 5), "s.d/b": (content, 5), "s.d/c": (made_up_bytes("c", 1000), 5)}
    case = make_restore_case(raw_file("s.d", files))
    plan = compile_plan(run_cli, case)
    folder = case.destination() / "s.d"
    folder.mkdir(parents=True)
    (folder / "a").write_bytes(content)
    (folder / "b").hardlink_to(folder / "a")
    (folder / "c").hardlink_to(folder / "a")

    result = run_cli("apply", plan)

    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
    assert (folder / "a").stat().st_ino == (folder / "b").stat().st_ino
    assert last_report(case).count("OK - Skipped") == 2


def apply_where_names_are_aliases(run_cli: Cli, plan: Path, library: Path, *options: str, **names: str) -> CliResult:
    return run_cli("apply", plan, *options, environment={"LD_PRELOAD": str(library), **names})


@needs_compiler
@pytest.mark.parametrize("old", [None, b"corrupt"], ids=["absent", "corrupt"])
@pytest.mark.parametrize("jobs", ["1", "8"])
def test_a_short_name_that_another_file_has_should_fail_with_it_row_39(
    run_cli: Cli, make_restore_case: MakeRestoreCase, tmp_path: Path, old: bytes | None, jobs: str
) -> None:
    """No folding of names tells these two."""
    # given
    case = make_restore_case(thermo("longname.raw", size_bytes=1000), thermo("LONGNA~1.RAW", size_bytes=1000))
    plan = compile_plan(run_cli, case)
    aliases = preloaded(ALIASES, tmp_path)
    names = {"ONE": "LONGNA~1.RAW", "OTHER": "longname.raw"}
    case.destination().mkdir()
    if old is not None:
        (case.destination() / "longname.raw").write_bytes(old)

    # when
    first = apply_where_names_are_aliases(run_cli, plan, aliases, "--jobs", jobs, **names)
    files = {path.name: path.read_bytes() for path in case.destination().iterdir() if not path.name.startswith("_")}
    again = apply_where_names_are_aliases(run_cli, plan, aliases, **names)

    # then
    if old is None:
        assert first.exit_code == 1, first.stderr
        assert first.stderr.count("FAILURE - Conflicts with") == 2
        assert "Status: FAILURE" in last_report(case)
    else:
        assert first.exit_code == 2, first.stderr
    assert again.exit_code == 2
    assert "are one file for the file system" in again.stderr
    assert [*files] == ["longname.raw"]
    assert (case.destination() / "longname.raw").read_bytes() == files["longname.raw"]


@needs_compiler
@pytest.mark.parametrize("shape", [("a.raw", "a.raw."), ("x.d/f", "x.d./f"), ("x.d", "x.d./f")])
def test_names_that_differ_in_dropped_dots_should_be_refused_row_39(
    run_cli: Cli, make_restore_case: MakeRestoreCase, tmp_path: Path, shape: tuple[str, str]
) -> None:
    case = make_restore_case(*(thermo(name, size_bytes=100 + len(name)) for name in shape))
    plan = compile_plan(run_cli, case)

    result = apply_where_names_are_aliases(run_cli, plan, preloaded(ALIASES, tmp_path))

    assert result.exit_code == 2, result.stderr
    assert f"\n  {shape[0]}: {shape[0]} and {shape[1]}: {shape[1]}\n" in result.stderr
    assert list(case.output_location.iterdir()) == []


def test_names_with_dots_at_the_end_should_be_restored_where_they_are_kept_row_39(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    names = ("n.d/a", "n.d/a.", "n.d/a ", "n.d/b./c", "n.d/b/c")
    case = make_restore_case(raw_file("n.d", {name: (made_up_bytes(name, 100), 5) for name in names}))

    assert run_cli("apply", compile_plan(run_cli, case)).exit_code == 0

    assert case.unrestored() == []
    assert left_staged(case) == []
