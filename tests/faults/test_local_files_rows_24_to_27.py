"""Scorecard rows 24 to 27: what stands under a final name, names that are too long, reports that cannot be written."""

import errno
import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from apply_case import assert_failed, compile_plan, last_report, left_staged, thermo
from cli import Cli
from conftest import MakeRestoreCase
from failing_syscalls import with_failing
from faulty_proxy import FaultyProxy
from file_systems import AS_ORDINARY_USER, immutable, picture, read_only, with_files_of_at_most
from needs import needs_compiler, needs_root
from network_faults import Fault, Stall
from preloaded import preloaded
from restore_case import raw_file
from sample_data import MIB
from waiting import wait_for

HEALED = "sample.raw: OK - Self-healed (hash mismatch detected, re-downloaded) ("


# --- row 24: wrong bytes


@pytest.mark.parametrize("damage", ["flipped", "short", "long", "zeros", "same size and time"])
def test_a_damaged_file_should_be_healed_by_a_rename_row_24(
    run_cli: Cli, make_restore_case: MakeRestoreCase, damage: str
) -> None:
    # given a restored file that another hard link shares, damaged
    case = make_restore_case(thermo())
    plan = compile_plan(run_cli, case)
    run_cli("apply", plan)
    path = case.destination() / "sample.raw"
    good, times = path.read_bytes(), path.stat()
    damaged = {
        "flipped": good[:7_000_000] + bytes([good[7_000_000] ^ 1]) + good[7_000_001:],
        "short": good[:-1],
        "long": good + b"x",
        "zeros": bytes(len(good)),
        "same size and time": good[::-1],
    }[damage]
    path.write_bytes(damaged)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    other_link = case.folder / "other_link"
    other_link.hardlink_to(path)

    # when
    result = run_cli("apply", plan)

    # then
    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
    assert HEALED in last_report(case)
    assert other_link.read_bytes() == damaged
    assert sorted(case.destination().iterdir()) == sorted([path, *case.reports()])


@pytest.mark.parametrize("content", [b"wrong", None], ids=["wrong", "right"])
def test_a_file_that_must_not_be_read_should_be_replaced_row_24(
    run_cli: Cli, make_restore_case: MakeRestoreCase, content: bytes | None
) -> None:
    # given a file without any permission, in a folder that may be written to
    case = make_restore_case(thermo(size_bytes=1000))
    plan = compile_plan(run_cli, case)
    path = case.destination() / "sample.raw"
    path.parent.mkdir()
    path.write_bytes(content or case.raw_files[0].contents["sample.raw"])
    path.chmod(0)
    inode = path.stat().st_ino

    # when
    result = run_cli("apply", plan, under=AS_ORDINARY_USER)

    # then
    assert result.exit_code == 0, result.stderr
    assert HEALED in last_report(case)
    assert path.stat().st_ino != inode
    assert path.stat().st_mode & 0o400
    assert case.unrestored() == []


def test_a_read_only_file_should_be_replaced_and_another_link_keep_it_row_24(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(thermo(size_bytes=1000))
    plan = compile_plan(run_cli, case)
    case.destination().mkdir()
    other_link = case.folder / "other_link"
    other_link.write_bytes(b"wrong")
    other_link.chmod(0o444)
    (case.destination() / "sample.raw").hardlink_to(other_link)

    result = run_cli("apply", plan, under=AS_ORDINARY_USER)

    assert result.exit_code == 0, result.stderr
    assert HEALED in last_report(case)
    assert case.unrestored() == []
    assert other_link.read_bytes() == b"wrong"


# --- row 25: what cannot be replaced


def stands_in_the_way(kind: str, folder: Path, outside: Path) -> None:
    """Put what is no file under the final name `folder/y`, or on the way to it."""
    target = folder / "y"
    (folder.parent if kind.endswith("on the way") else folder).mkdir(parents=True)
    match kind:
        case "folder":
            target.mkdir()
        case "FIFO":
            os.mkfifo(target)
        case "socket":
            with socket.socket(socket.AF_UNIX) as listener:
                here = Path.cwd()
                os.chdir(folder)  # the address may have 108 bytes
                listener.bind("y")
                os.chdir(here)
        case "device":
            os.mknod(target, 0o20666, os.makedev(1, 5))  # /dev/zero, which never ends
        case "link":
            target.symlink_to(outside / "y")
        case "link on the way":
            folder.symlink_to(outside)
        case "file on the way":
            folder.write_bytes(b"not ours")


@pytest.mark.parametrize(
    "kind",
    [
        "folder",
        "FIFO",
        "socket",
        pytest.param("device", marks=needs_root),
        "link",
        "link on the way",
        "file on the way",
    ],
)
def test_folders_devices_and_links_under_a_final_name_should_neither_be_touched_nor_followed_row_25(
    run_cli: Cli, make_restore_case: MakeRestoreCase, kind: str
) -> None:
    # given something else under a final name
    case = make_restore_case(thermo("good.raw", size_bytes=100), thermo("x.d/y", size_bytes=100))
    plan = compile_plan(run_cli, case)
    outside = case.folder / "outside"
    outside.mkdir()
    (outside / "y").write_bytes(b"not ours")
    stands_in_the_way(kind, case.destination() / "x.d", outside)
    before = picture(outside), picture(case.destination() / "x.d")

    # when
    result = run_cli("apply", plan)

    # then
    said = kind.removesuffix(" on the way").replace("link", "symbolic link")
    where = " (x.d)" if kind.endswith("on the way") else ""
    assert_failed(result, case, f"x.d/y: FAILURE - Cannot write: a {said} stands in the way{where}\n", "good.raw: OK")
    assert (picture(outside), picture(case.destination() / "x.d")) == before


@contextmanager
def without_permission(folder: Path) -> Iterator[None]:
    folder.chmod(0o555)
    yield
    folder.chmod(0o755)


def immutable_file(folder: Path) -> AbstractContextManager[None]:
    return immutable(folder / "y")


@pytest.mark.parametrize(
    ("forbid", "reason"),
    [
        (without_permission, "Permission denied"),
        pytest.param(read_only, "its folder is on another file system than ", marks=needs_root),
        pytest.param(immutable, "Operation not permitted", marks=needs_root),
        pytest.param(immutable_file, "Operation not permitted", marks=needs_root),
    ],
)
def test_places_that_must_not_be_written_should_stay_as_they_are_row_25(
    run_cli: Cli,
    make_restore_case: MakeRestoreCase,
    forbid: Callable[[Path], AbstractContextManager[None]],
    reason: str,
) -> None:
    # given a wrong file, and one that is missing beside it unless the file alone is protected
    case = make_restore_case(thermo("good.raw", size_bytes=100), thermo("x.d/y", size_bytes=100))
    plan = compile_plan(run_cli, case)
    folder = case.destination() / "x.d"
    folder.mkdir(parents=True)
    (folder / "y").write_bytes(b"wrong")
    with forbid(folder):
        before = picture(folder)

        # when
        result = run_cli("apply", plan, under=AS_ORDINARY_USER)

        # then
        after = picture(folder)
    assert_failed(result, case, f"x.d/y: FAILURE - Cannot write: {reason}", "good.raw: OK")
    if forbid is immutable_file:  # a name for its bytes was tried beside it
        assert after["y"] == before["y"]
        assert after.keys() == before.keys()
    else:
        assert after == before


# --- row 26: long names


def test_a_name_of_255_bytes_should_be_restored_healed_and_kept_row_26(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(thermo("ä" * 127 + "x", size_bytes=100))
    plan = compile_plan(run_cli, case)
    assert run_cli("apply", plan).exit_code == 0
    (case.destination() / case.raw_file_ids[0]).write_bytes(b"corrupt")

    result = run_cli("apply", plan, "--on-corrupt", "quarantine")

    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
    assert len(list(case.destination().glob("*.corrupted"))) == 1


def planned_anew(plan: Path, destination: Path, relative_path: str) -> str:
    """The plan with its file at another path below the destination."""
    document = json.loads(plan.read_bytes())
    del document["plan_digest"]
    file = document["raw_files"]["sample.raw"]["files"][0]
    file |= {"relative_path": relative_path, "absolute_dest_path": f"{destination}/{relative_path}"}
    return json.dumps(document)


def path_of(destination: Path, size_bytes: int) -> str:
    """A relative path, of folders with short names, whose absolute path has so many bytes."""
    room = size_bytes - len(os.fsencode(destination)) - 1
    name = "x" * 49 + "/"
    return (name * (room // 50 - 1)) + "y" * (room - (room // 50 - 1) * 50)


@pytest.mark.parametrize("case_of", ["name of 256 bytes", "path of 4,096 bytes"])
def test_names_and_paths_that_are_too_long_should_be_refused_before_anything_is_touched_row_26(
    run_cli: Cli, make_restore_case: MakeRestoreCase, case_of: str
) -> None:
    case = make_restore_case(thermo(size_bytes=100))
    long = "ä" * 128 if case_of.startswith("name") else path_of(case.destination(), 4096)
    plan = planned_anew(compile_plan(run_cli, case), case.destination(), long)

    result = run_cli("apply", "-", stdin=plan)

    assert result.exit_code == 2, result.stderr
    assert " bytes" in result.stderr
    assert len(result.stderr) < 1000
    assert list(case.output_location.iterdir()) == []


def test_a_path_of_4095_bytes_should_be_restored_row_26(run_cli: Cli, make_restore_case: MakeRestoreCase) -> None:
    case = make_restore_case(thermo(size_bytes=100))
    relative_path = path_of(case.destination(), 4095)
    plan = planned_anew(compile_plan(run_cli, case), case.destination(), relative_path)

    for _ in range(2):
        result = run_cli("apply", "-", stdin=plan)

        assert result.exit_code == 0, result.stderr
        assert (case.destination() / relative_path).read_bytes() == case.raw_files[0].contents["sample.raw"]
    assert left_staged(case) == []


def test_an_output_root_that_makes_a_path_too_long_should_be_refused_row_26(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(thermo(size_bytes=100))
    plan = planned_anew(compile_plan(run_cli, case), case.destination(), path_of(case.destination(), 4095))
    root = case.folder / "longer-than-output"
    root.mkdir()

    result = run_cli("apply", "-", "--output-root", root, stdin=plan)

    assert result.exit_code == 2, result.stderr
    assert "--output-root" in result.stderr
    assert list(root.iterdir()) == []


# --- row 27: no report


def test_a_report_that_is_too_large_should_be_said_with_the_counts_row_27(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    # given files that may have 40 kB each, and a report of more than that
    files = {f"long.d/{'x' * 200}{number}": (b"content", 5) for number in range(250)}
    case = make_restore_case(raw_file("long.d", files))
    plan = compile_plan(run_cli, case)

    # when
    result = run_cli("apply", plan, under=with_files_of_at_most(40_000))

    # then
    assert result.exit_code == 1
    assert f"{case.destination()}: the report cannot be written: File too large" in result.stderr
    assert "1 raw file, 250 entries: 250 verified, 0 failed, 0 unresolvable, 0 not attempted\n" in result.stderr
    assert case.unrestored() == []
    assert case.reports() == []
    assert left_staged(case) == []


def test_a_destination_that_is_closed_meanwhile_should_be_said_with_the_counts_row_27(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    # given a run that waits for the second of two files
    case = make_restore_case(thermo("a.raw", size_bytes=100), thermo("b.raw", size_bytes=100))
    plan = compile_plan(run_cli, case)
    faulty_proxy.add(Fault(action=Stall(seconds=2), key="b.raw", method="GET", times=1))
    process = run_cli.start("apply", plan, "--endpoint-url", faulty_proxy.endpoint_url, under=AS_ORDINARY_USER)
    wait_for((case.destination() / "a.raw").exists, "the first file")
    wait_for(lambda: faulty_proxy.requests("GET", "b.raw"), "the second file")

    # when
    with without_permission(case.destination()):
        result = run_cli.finish(process)

    # then
    assert result.exit_code == 1
    assert "b.raw: FAILURE - Cannot write: Permission denied" in result.stderr
    assert f"{case.destination()}: the report cannot be written: Permission denied" in result.stderr
    assert "2 raw files, 2 entries: 1 verified, 1 failed, 0 unresolvable, 0 not attempted\n" in result.stderr
    assert case.unrestored() == ["PRID001/b.raw"]


# Opening sample.raw to read it fails, as on a disk that fails behind NFS or FUSE, or an archiving file system.
UNREADABLE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>

static int fails(const char *name, int flags) {
    int others = O_ACCMODE | O_CREAT | O_DIRECTORY | O_PATH;
    return (flags & others) == O_RDONLY && !strcmp(name, "sample.raw");
}

int openat64(int folder, const char *name, int flags, ...) {
    static int (*real)(int, const char *, int, ...);
    va_list more;
    int mode;
    if (!real) real = (int (*)(int, const char *, int, ...))dlsym(RTLD_NEXT, "openat64");
    va_start(more, flags);
    mode = va_arg(more, int);
    va_end(more);
    if (fails(name, flags)) { errno = EIO; return -1; }
    return real(folder, name, flags, mode);
}

int openat(int folder, const char *name, int flags, ...) {
    va_list more;
    int mode;
    va_start(more, flags);
    mode = va_arg(more, int);
    va_end(more);
    return openat64(folder, name, flags, mode);
}
"""


@needs_compiler
def test_a_local_file_that_cannot_be_opened_should_be_healed_with_one_download_row_24(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy, tmp_path: Path
) -> None:
    case = make_restore_case(thermo(size_bytes=3 * MIB), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    case.destination().mkdir()
    (case.destination() / "sample.raw").write_bytes(b"corrupt")
    environment: dict[str, str | None] = {"LD_PRELOAD": str(preloaded(UNREADABLE, tmp_path))}

    result = run_cli("apply", plan, environment=environment)

    assert result.exit_code == 0, result.stderr
    assert "the local file cannot be read: Input/output error" in result.stderr
    assert case.unrestored() == []
    assert len(faulty_proxy.requests("GET", "/sample.raw")) == 1


def test_a_report_should_count_as_written_where_nothing_can_be_removed_row_27(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(thermo(size_bytes=1000))

    result = run_cli("apply", compile_plan(run_cli, case), under=with_failing(unlinkat=errno.EIO))

    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
    (report,) = case.reports()
    assert result.stdout == f"{report}\n"
