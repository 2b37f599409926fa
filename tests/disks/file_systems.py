"""File systems as tests need them: small ones to fill up, and pictures of a tree to compare."""

import hashlib
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from temporary_process import installed_program, temporary_process
from waiting import wait_for

# Runs a program to which permissions apply, also where the tests have root's privileges.
AS_ORDINARY_USER = ("setpriv", "--bounding-set=-all", "--inh-caps=-all") if os.geteuid() == 0 else ()


def with_files_of_at_most(size_bytes: int) -> list[str]:
    """The command that runs a program which can write no file larger than that: EFBIG, after a write that is cut.

    Python would leave the modules that it compiles cut, too, and find them so in every later run.
    """
    return ["/usr/bin/env", "PYTHONDONTWRITEBYTECODE=1", "prlimit", f"--fsize={size_bytes}"]


@contextmanager
def mounted_tmpfs(folder: Path, options: str) -> Iterator[None]:
    """Mount a file system in memory, for example with `size=20m`."""
    with _mounted(folder, "-t", "tmpfs", "-o", options, "tmpfs"):
        yield


@contextmanager
def mounted_ext4(folder: Path, size_mb: int, options: str = "") -> Iterator[None]:
    """Mount a new ext4 of this size, out of an image beside the folder."""
    image = folder.with_name(f"{folder.name}.ext4")
    with image.open("wb") as file:
        file.truncate(size_mb * 1024 * 1024)
    subprocess.run(["/sbin/mkfs.ext4", "-q", "-m", "0", image], check=True, stdin=subprocess.DEVNULL)
    with _mounted(folder, "-o", f"loop{options}", image):
        yield
    image.unlink()


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Mount a folder on itself, read-only."""
    with _mounted(folder, "--bind", folder):
        subprocess.run(["/bin/mount", "-o", "remount,bind,ro", folder], check=True)
        yield


@contextmanager
def bind_mounted(source: Path, folder: Path) -> Iterator[None]:
    """A folder in a second place."""
    with _mounted(folder, "--bind", source):
        yield


@contextmanager
def append_only(folder: Path) -> Iterator[None]:
    """Forbid that anything in a folder is removed or replaced (`chattr +a`)."""
    if subprocess.run(["/usr/bin/chattr", "+a", folder], check=False, capture_output=True).returncode != 0:
        pytest.skip("this file system has no append-only folders")
    try:
        yield
    finally:
        subprocess.run(["/usr/bin/chattr", "-a", folder], check=True)


@contextmanager
def immutable(path: Path) -> Iterator[None]:
    """Forbid every change of a file or folder (`chattr +i`); skip the test where the file system has no such thing."""
    if subprocess.run(["/usr/bin/chattr", "+i", path], check=False, capture_output=True).returncode != 0:
        pytest.skip("this file system has no immutable files")
    try:
        yield
    finally:
        subprocess.run(["/usr/bin/chattr", "-i", path], check=True)


def free_bytes(folder: Path) -> int:
    """What can still be written to a file system."""
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


def picture(folder: Path) -> dict[str, tuple[object, ...]]:
    """Everything below a folder, itself included: kinds, inodes, modes, times, contents. Equal if nothing changed."""
    return {str(path.relative_to(folder)): _seen(path) for path in [folder, *folder.rglob("*")]}


def _seen(path: Path) -> tuple[object, ...]:
    status = path.lstat()
    content: object = None
    if stat.S_ISREG(status.st_mode):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
    elif stat.S_ISLNK(status.st_mode):
        content = str(path.readlink())
    times = status.st_mtime_ns, status.st_ctime_ns
    return status.st_mode, status.st_ino, status.st_nlink, status.st_size, times, content


@contextmanager
def _mounted(folder: Path, *arguments: str | Path) -> Iterator[None]:
    subprocess.run(["/bin/mount", *arguments, folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["/bin/umount", folder], check=True)


@contextmanager
def mounted_folding(folder: Path) -> Iterator[None]:
    """Mount a file system that folds case and has no hard links: `rclone mount`, over FUSE."""
    tools = folder.with_name(f"{folder.name}.rclone")
    (tools / "content").mkdir(parents=True)
    fusermount = tools / "fusermount3"
    fusermount.write_text(f'#!/bin/sh\nexec {sys.executable} {Path(__file__).with_name("fusermount.py")} "$@"\n')
    fusermount.chmod(0o755)
    options = ["--vfs-case-insensitive", "--vfs-cache-mode=writes", f"--cache-dir={tools / 'cache'}"]
    command = [installed_program("rclone"), "mount", str(tools / "content"), str(folder), *options]
    with temporary_process(["/usr/bin/env", f"PATH={tools}:/usr/bin:/bin", *command], folder=tools) as process:
        wait_for(lambda: folder.is_mount() or process.poll() is not None, "the mount")
        try:
            if not folder.is_mount():
                pytest.skip(f"no FUSE here: {(tools / 'process.log').read_text(encoding='utf-8')}")
            yield
        finally:
            subprocess.run(["/bin/umount", folder], check=True)
