"""Scorecard row 55: a file that appears between look and rename, and folders where nothing can be removed."""

import errno
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest
from apply_case import bruker, compile_plan, last_report, left_staged, thermo
from cli import Cli
from conftest import MakeRestoreCase
from failing_syscalls import with_failing
from fault_case import many_files
from file_systems import append_only
from needs import needs_compiler, needs_root
from preloaded import preloaded

if TYPE_CHECKING:
    from collections.abc import Iterator

# Two seconds are promised; machines that run tests may be busy.
SOON_SECONDS = 20

# Just before anything is renamed or linked to sample.raw, another program makes a file there.
APPEARING = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static void appear(int folder, const char *name) {
    static int done;
    int file;
    if (strcmp(name, "sample.raw") || done) return;
    done = 1;
    file = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (file >= 0) { if (write(file, "another program's", 17) != 17) _exit(9); close(file); }
}

int renameat2(int from, const char *old, int to, const char *name, unsigned int flags) {
    static int (*real)(int, const char *, int, const char *, unsigned int);
    if (!real) real = (int (*)(int, const char *, int, const char *, unsigned int))dlsym(RTLD_NEXT, "renameat2");
    appear(to, name);
    return real(from, old, to, name, flags);
}

int linkat(int from, const char *old, int to, const char *name, int flags) {
    static int (*real)(int, const char *, int, const char *, int);
    if (!real) real = (int (*)(int, const char *, int, const char *, int))dlsym(RTLD_NEXT, "linkat");
    appear(to, name);
    return real(from, old, to, name, flags);
}
"""


@needs_compiler
@pytest.mark.parametrize("under", [[], with_failing(renameat2=errno.EINVAL)], ids=["rename", "link"])
def test_a_file_that_appears_just_before_the_rename_should_be_looked_at_row_55(
    run_cli: Cli, make_restore_case: MakeRestoreCase, tmp_path: Path, under: list[str]
) -> None:
    case = make_restore_case(thermo(size_bytes=1000))
    plan = compile_plan(run_cli, case)
    environment: dict[str, str | None] = {"LD_PRELOAD": str(preloaded(APPEARING, tmp_path))}

    result = run_cli("apply", plan, "--on-corrupt", "quarantine", environment=environment, under=under)

    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
    assert "OK - Self-healed" in last_report(case)
    assert (case.destination() / "sample.raw.corrupted").read_bytes() == b"another program's"


@pytest.mark.parametrize(
    "without",
    [
        {"renameat2": errno.EINVAL},
        *({"renameat2": errno.ENOSYS, "linkat": number} for number in (errno.EPERM, errno.EXDEV, errno.EACCES)),
    ],
    ids=["link", "look", "no-links-across-folders", "links-denied"],
)
def test_file_systems_that_cannot_rename_exclusively_should_do_row_55(
    run_cli: Cli, make_restore_case: MakeRestoreCase, without: dict[str, int]
) -> None:
    case = make_restore_case(bruker(), thermo())
    plan = compile_plan(run_cli, case)
    case.destination().mkdir()
    (case.destination() / "sample.raw").write_bytes(b"corrupt")

    result = run_cli("apply", plan, "--on-corrupt", "quarantine", under=with_failing(**without))

    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
    assert (case.destination() / "sample.raw.corrupted").read_bytes() == b"corrupt"
    assert left_staged(case) == []


@needs_root
@pytest.mark.parametrize("on_corrupt", ["replace", "quarantine"])
@pytest.mark.parametrize("under", [[], with_failing(renameat2=errno.EINVAL)], ids=["rename", "link"])
def test_nothing_should_pile_up_in_an_append_only_folder_row_55(
    run_cli: Cli, make_restore_case: MakeRestoreCase, on_corrupt: str, under: list[str]
) -> None:
    # given a corrupt file that can be neither replaced nor moved, and a new one beside it
    case = make_restore_case(thermo(size_bytes=1000), thermo("new.raw", size_bytes=1000))
    plan = compile_plan(run_cli, case)
    case.destination().mkdir()
    path = case.destination() / "sample.raw"
    path.write_bytes(b"corrupt")
    with append_only(case.destination()):
        # when
        results = [run_cli("apply", plan, "--no-report", "--on-corrupt", on_corrupt, under=under) for _ in range(3)]

        # then
        assert [result.exit_code for result in results] == [1, 1, 1]
        assert "sample.raw: FAILURE - Cannot write: Operation not permitted" in results[-1].stderr
        names = {entry.name for entry in case.destination().iterdir()}
        assert names <= {"sample.raw", "sample.raw.corrupted", "new.raw", ".kraken-plan"}
        assert list((case.destination() / ".kraken-plan").iterdir()) == []
        assert path.read_bytes() == b"corrupt"
        assert case.unrestored() == ["PRID001/sample.raw"]


@needs_root
def test_nothing_should_pile_up_in_an_append_only_staging_folder_row_55(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(thermo(size_bytes=1000))
    plan = compile_plan(run_cli, case)
    staging = case.destination() / ".kraken-plan"
    staging.mkdir(parents=True)
    with append_only(staging):
        results = [run_cli("apply", plan, "--no-report") for _ in range(2)]

        assert [result.exit_code for result in results] == [1, 1]
        assert "nothing can be removed from" in results[-1].stderr
        assert list(staging.iterdir()) == []


@needs_root
def test_nothing_should_pile_up_where_a_sticky_folder_keeps_another_s_file_row_55(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    # given another account's corrupt file in a folder where each may remove its own only
    user = 12345
    case = make_restore_case(thermo(size_bytes=1000))
    plan = compile_plan(run_cli, case)
    case.destination().mkdir()
    path = case.destination() / "sample.raw"
    path.write_bytes(b"corrupt")
    path.chmod(0o666)
    case.destination().chmod(0o1777)
    for folder in [case.folder, *case.folder.parents][:-2]:
        folder.chmod(folder.stat().st_mode | 0o055)
    as_other = ["/usr/bin/setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]

    # when
    for on_corrupt in ("replace", "quarantine", "quarantine"):
        result = run_cli("apply", plan, "--no-report", "--on-corrupt", on_corrupt, under=as_other)

        # then
        assert result.exit_code == 1, result.stderr
        assert path.read_bytes() == b"corrupt"
        assert {entry.name for entry in case.destination().iterdir()} <= {"sample.raw", "sample.raw.corrupted"}


@needs_root
def test_a_folder_that_may_not_be_entered_should_cost_no_download_row_55(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    # given right files, small and large, in another account's folder
    user = 12345
    case = make_restore_case(many_files(20), bruker("large.d"))
    plan = compile_plan(run_cli, case)
    assert run_cli("apply", plan, "--no-report").exit_code == 0
    case.destination().chmod(0o777)
    for folder in [case.folder, *case.folder.parents][:-2]:
        folder.chmod(folder.stat().st_mode | 0o055)
    as_other = ["/usr/bin/setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]

    for mode in (0o700, 0o744):
        for name in ("many.d", "large.d"):
            (case.destination() / name).chmod(mode)

        # when
        result = run_cli("apply", plan, "--no-report", under=as_other)

        # then
        assert result.exit_code == 1
        assert "nothing fetched" in result.stderr
        assert "Cannot write: its folder PRID001/many.d cannot be entered: Permission denied" in result.stderr
        assert "Cannot write: its folder PRID001/large.d cannot be entered: Permission denied" in result.stderr
        assert "healing" not in result.stderr
    assert case.unrestored() == []


# Holds write leases on files, as a file server does for its clients, and gives them up some time after it was asked.
HOLD_LEASES = """
import fcntl, os, signal, sys, time

files = [os.open(path, os.O_RDWR) for path in sys.argv[2:]]

def give_up(signal_number, frame):
    print("asked", flush=True)
    time.sleep(float(sys.argv[1]))
    for file in files:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)

signal.signal(signal.SIGIO, give_up)
for file in files:
    fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print("held", flush=True)
while True:
    time.sleep(0.1)
"""


@contextmanager
def leases_held(*paths: Path, give_up_seconds: float) -> "Iterator[IO[bytes]]":
    """Have a file server hold files; yields what it prints: "asked" for each that it is asked to give up."""
    command = [sys.executable, "-c", HOLD_LEASES, str(give_up_seconds), *map(str, paths)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            yield holder.stdout
        finally:
            holder.kill()


@pytest.mark.parametrize("command", ["status", "verify", "apply"])
def test_right_files_that_a_file_server_holds_leases_on_should_be_read_row_55(
    run_cli: Cli, make_restore_case: MakeRestoreCase, command: str
) -> None:
    case = make_restore_case(many_files(20), thermo(size_bytes=300_000))
    plan = compile_plan(run_cli, case)
    assert run_cli("apply", plan).exit_code == 0
    held = [case.destination() / name for name in ("many.d/003", "many.d/004", "sample.raw")]

    with leases_held(*held, give_up_seconds=0.3):
        result = run_cli(command, plan)

    assert result.exit_code == 0, result.stdout + result.stderr


@pytest.mark.parametrize("command", ["verify", "apply"])
def test_a_run_that_waits_for_a_file_server_should_stop_at_a_signal_row_55(
    run_cli: Cli, make_restore_case: MakeRestoreCase, command: str
) -> None:
    case = make_restore_case(thermo(size_bytes=300_000))
    plan = compile_plan(run_cli, case)
    assert run_cli("apply", plan).exit_code == 0

    with leases_held(case.destination() / "sample.raw", give_up_seconds=300) as printed:
        process = run_cli.start(command, plan)
        assert printed.readline() == b"asked\n"
        process.send_signal(signal.SIGINT)
        result = run_cli.finish(process, timeout_seconds=SOON_SECONDS)

    assert result.exit_code == 128 + signal.SIGINT, result.stdout + result.stderr
    assert "FAILURE - Not attempted (interrupted)" in last_report(case) or command == "verify"
