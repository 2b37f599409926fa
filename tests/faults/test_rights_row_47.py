"""Scorecard row 47: the rights of healed and of new files."""

import errno
import os
import shutil
import stat
import struct
import subprocess
from pathlib import Path

import pytest
from apply_case import bruker, compile_plan, left_staged, thermo
from cli import Cli
from conftest import MakeRestoreCase
from failing_syscalls import with_failing
from faulty_proxy import FaultyProxy
from file_systems import mounted_tmpfs
from needs import needs_root
from network_faults import Fault, Stall
from restore_case import RestoreCase
from waiting import wait_for

ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
OTHER_USER, OTHER_GROUP = 12345, 54321


def access_list(*, owner: int, user: int, group: int, mask: int, others: int) -> bytes:
    """A POSIX access control list with an entry for OTHER_USER, as the kernel writes it."""
    nobody = 0xFFFFFFFF
    entries = [(1, owner, nobody), (2, user, OTHER_USER), (4, group, nobody), (16, mask, nobody), (32, others, nobody)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def rights(path: Path) -> tuple[int, int, int, dict[str, bytes]]:
    status = path.stat()
    attributes = {name: os.getxattr(path, name) for name in os.listxattr(path)}
    return status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode), attributes


def corrupt_file(case: RestoreCase, mode: int) -> Path:
    path = case.destination() / "sample.raw"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"corrupt")
    path.chmod(mode)
    return path


@pytest.mark.parametrize("mode", [0o600, 0o440, 0o640, 0o664, 0o444])
def test_a_healed_file_should_keep_its_mode_and_attributes_row_47(
    run_cli: Cli, make_restore_case: MakeRestoreCase, mode: int
) -> None:
    case = make_restore_case(thermo(size_bytes=1000))
    path = corrupt_file(case, 0o600)
    os.setxattr(path, "user.instrument", b"timsTOF")
    path.chmod(mode)
    before = rights(path)

    assert run_cli("apply", compile_plan(run_cli, case)).exit_code == 0

    assert case.unrestored() == []
    assert rights(path) == before


@needs_root
def test_a_healed_file_should_keep_owner_group_and_access_list_row_47(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(thermo(size_bytes=1000))
    path = corrupt_file(case, 0o640)
    os.setxattr(path, ACCESS, access_list(owner=6, user=4, group=0, mask=4, others=0))
    os.chown(path, OTHER_USER, OTHER_GROUP)
    before = rights(path)

    assert run_cli("apply", compile_plan(run_cli, case)).exit_code == 0

    assert case.unrestored() == []
    assert rights(path) == before


@needs_root
@pytest.mark.parametrize(
    ("mode", "with_list", "expected"),
    [(0o640, False, 0o600), (0o664, False, 0o644), (0o604, False, 0o600), (0o640, True, 0o600)],
)
def test_who_cannot_keep_a_group_should_give_nobody_more_row_47(
    run_cli: Cli, make_restore_case: MakeRestoreCase, mode: int, with_list: object, expected: int
) -> None:
    # given a file of an account and of a group that it is not in
    case = make_restore_case(thermo(size_bytes=1000))
    plan = compile_plan(run_cli, case)
    path = corrupt_file(case, mode)
    if with_list:
        os.setxattr(path, ACCESS, access_list(owner=6, user=4, group=4, mask=4, others=0))
    os.chown(path, OTHER_USER, OTHER_GROUP)
    os.chown(path.parent, OTHER_USER, OTHER_USER)
    for folder in [case.folder, *case.folder.parents][:-2]:  # down to the case, for an account that is nobody here
        folder.chmod(folder.stat().st_mode | 0o055)

    # when
    as_other = ["/usr/bin/setpriv", f"--reuid={OTHER_USER}", f"--regid={OTHER_USER}", "--clear-groups"]
    result = run_cli("apply", plan, under=as_other)

    # then
    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
    assert stat.S_IMODE(path.stat().st_mode) == expected
    assert path.stat().st_gid == OTHER_USER
    assert os.listxattr(path) == []


def test_what_heals_a_closed_file_should_be_closed_to_others_all_along_row_47(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    case = make_restore_case(thermo(), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    corrupt_file(case, 0o600)
    faulty_proxy.add(Fault(action=Stall(seconds=60, after=1000), key="sample.raw", method="GET"))
    process = run_cli.start("apply", plan)
    wait_for(lambda: list(case.output_location.rglob("run-*/*")), "a staged file")

    (run,) = (path for path in case.output_location.rglob("run-*") if path.is_dir())
    assert stat.S_IMODE(run.stat().st_mode) == 0o700
    process.kill()


@needs_root
@pytest.mark.parametrize("umask", ["002", "027"])
def test_a_new_file_should_have_the_rights_of_its_folder_row_47(
    run_cli: Cli, make_restore_case: MakeRestoreCase, umask: str
) -> None:
    """Those of a file that any program creates there: group, umask and default access list."""
    # given folders that differ from the destination: setgid, and a default access list
    case = make_restore_case(bruker(), thermo("a.raw", size_bytes=1000))
    plan = compile_plan(run_cli, case)
    folder = case.destination() / "sample.d" / "1.m"
    folder.mkdir(parents=True)
    os.chown(folder, -1, OTHER_GROUP)
    folder.chmod(0o2775)
    with_list = case.destination() / "sample.d" / "2.m"
    with_list.mkdir()
    os.setxattr(with_list, DEFAULT, access_list(owner=7, user=6, group=5, mask=7, others=0))

    # when
    under = ["/bin/sh", "-c", f'umask {umask}; exec "$@"', "sh"]
    assert run_cli("apply", plan, under=under).exit_code == 0

    # then
    assert case.unrestored() == []
    for restored in (folder / "f1.xml", with_list / "f2.xml", case.destination() / "a.raw", *case.reports()):
        created = restored.with_name("created")
        subprocess.run([*under, "/usr/bin/touch", created], check=True)
        assert rights(restored) == rights(created), restored
        created.unlink()


@needs_root
def test_a_file_system_without_nameless_files_should_do_row_47(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(bruker())
    plan = compile_plan(run_cli, case)
    folder = case.destination() / "sample.d" / "2.m"
    folder.mkdir(parents=True)
    os.setxattr(folder, DEFAULT, access_list(owner=7, user=6, group=5, mask=7, others=0))

    # FUSE knows no O_TMPFILE here
    if not shutil.which("bindfs"):
        pytest.skip("there is no bindfs")
    mount = case.folder / "mount"
    mount.mkdir()
    made = subprocess.run([shutil.which("bindfs") or "", case.output_location, mount], check=False, capture_output=True)
    if made.returncode != 0:
        pytest.skip(f"no FUSE here: {made.stderr!r}")
    try:
        assert run_cli("apply", plan, "--output-root", mount).exit_code == 0
    finally:
        subprocess.run(["/bin/umount", "--lazy", mount], check=True)

    assert case.unrestored() == []
    assert sorted(path.name for path in folder.iterdir()) == ["f2.xml"]


@needs_root
def test_what_a_killed_run_with_another_umask_has_staged_should_get_the_rights_of_this_one_row_47(
    run_cli: Cli, make_restore_case: MakeRestoreCase, faulty_proxy: FaultyProxy
) -> None:
    from stalled_run import big, stall, start_until_four_parts_are_staged  # noqa: PLC0415

    case = make_restore_case(big(), endpoint_url=faulty_proxy.endpoint_url)
    plan = compile_plan(run_cli, case)
    stall(faulty_proxy, part=4)
    closed = ["/bin/sh", "-c", 'umask 077; exec "$@"', "sh"]
    process = start_until_four_parts_are_staged(run_cli, case, plan, under=closed)
    process.kill()
    process.wait()
    case.destination().chmod(0o755)
    faulty_proxy.clear()

    assert run_cli("apply", plan, under=["/bin/sh", "-c", 'umask 022; exec "$@"', "sh"]).exit_code == 0

    assert stat.S_IMODE((case.destination() / "big.raw").stat().st_mode) == 0o644


@needs_root
def test_files_should_be_restored_where_there_are_no_attributes_row_47(
    run_cli: Cli, make_restore_case: MakeRestoreCase
) -> None:
    case = make_restore_case(thermo(size_bytes=1000))
    plan = compile_plan(run_cli, case)
    with mounted_tmpfs(case.output_location, "size=20m"):
        path = corrupt_file(case, 0o600)

        assert run_cli("apply", plan).exit_code == 0

        assert case.unrestored() == []
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("error_number", [errno.ENOSYS, errno.EOPNOTSUPP], ids=["ENOSYS", "ENOTSUP"])
def test_a_file_system_without_chmod_should_have_its_files_healed_row_47(
    run_cli: Cli, make_restore_case: MakeRestoreCase, error_number: int
) -> None:
    case = make_restore_case(thermo(size_bytes=1000))
    plan = compile_plan(run_cli, case)
    case.destination().mkdir()
    path = case.destination() / "sample.raw"
    path.write_bytes(b"corrupt")
    path.chmod(0o640)

    result = run_cli("apply", plan, under=with_failing(fchmodat=error_number))

    assert result.exit_code == 0, result.stderr
    assert case.unrestored() == []
    assert left_staged(case) == []
