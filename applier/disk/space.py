"""Adds up, for each file system, whether the missing files fit: their bytes, and their number (no hashing).

A hint, taken before the first byte: other programs write meanwhile, and quotas cannot be seen from here. As every file
is looked at, names that are one file for the file system are found here, too.
"""

import heapq
import itertools
import os
import stat
import threading
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

from applier.disk.folders import OutputFolder, taken_bytes
from applier.disk.left_runs import find_left_staged
from applier.disk.staging import resumable_file, staged_name
from applier.disk.verified_files import SameFileError, VerifiedFiles
from applier.target import Target
from schemas.paths import join_path
from schemas.text import human_size, printable

_OWN_FILES = 8  # below each destination: staging folder, run folder, lock, report, some journals
_MARGIN = 10  # a tenth more than the files themselves: folders, reports, what other programs write meanwhile


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSystemSpace:
    """The space on one file system.

    Args:
        path: a destination on it.
        missing_bytes: what is still to be written, as far as the plan has sizes.
        free_bytes: what users may still write; None where the file system does not say.
        missing_files: how many files and folders are still to be made, our own among them.
        free_files: how many can still be made (inodes); None where the file system has no such limit, or does not say.
    """

    path: str
    missing_bytes: int
    free_bytes: int | None
    missing_files: int = 0
    free_files: int | None = None

    @property
    def needed_bytes(self) -> int:
        """What is missing, and a tenth more."""
        return self.missing_bytes + -(-self.missing_bytes // _MARGIN)

    @property
    def is_enough(self) -> bool:
        """Whether what is missing fits, as far as it can be known."""
        return self._has_bytes and self._has_files

    @property
    def _has_bytes(self) -> bool:
        return self.free_bytes is None or self.needed_bytes <= self.free_bytes

    @property
    def _has_files(self) -> bool:
        return self.free_files is None or self.missing_files <= self.free_files

    def __str__(self) -> str:
        if self._has_bytes and not self._has_files:
            return (
                f"{printable(self.path)}: {self.missing_files:,} files and folders (inodes) needed, "
                f"{self.free_files:,} free"
            )
        free = "unknown space" if self.free_bytes is None else human_size(self.free_bytes)
        return (
            f"{printable(self.path)}: {human_size(self.needed_bytes)} needed "
            f"({human_size(self.missing_bytes)} missing, and 10 %), {free} free"
        )


@dataclass(slots=True)
class _Need:
    """What one file system has to take, added up.

    Args:
        path: a destination on it.
        status: of the file system.
        files: to be made and to stay, folders included.
        destinations: on it; each has folders and files of ours for a while.

    A healed file's old bytes are freed when it is replaced: only as many at a time as there are jobs stand beside
    their new copies.
    """

    path: str
    status: os.statvfs_result
    lasting_bytes: int = 0
    passing_bytes: list[int] = field(default_factory=list)
    files: int = 0
    destinations: int = 0

    def space(self, jobs: int) -> FileSystemSpace:
        missing_bytes = max(0, self.lasting_bytes + sum(heapq.nlargest(jobs, self.passing_bytes)))
        own_files = _OWN_FILES * self.destinations + min(jobs, len(self.passing_bytes))  # staged to heal others
        return FileSystemSpace(
            path=self.path,
            missing_bytes=missing_bytes,
            free_bytes=self.status.f_bavail * self.status.f_frsize if self.status.f_blocks else None,
            missing_files=self.files + own_files if self.files or missing_bytes else 0,
            free_files=self.status.f_favail if self.status.f_files else None,
        )


class _Needs:
    """Adds up what is missing, by the file system that it goes to.

    Args:
        output: the output location.
    """

    def __init__(self, output: OutputFolder) -> None:
        self._output = output
        self._by_destination: dict[str, _Need] = {}
        self._by_device: dict[int, _Need] = {}
        self._staged: dict[str, dict[str, int]] = {}
        self._counted: list[str] = []  # the folders on the way to the last file whose folder is missing

    def of(self, destination: str) -> _Need:
        """Return the need of the file system that a destination is on."""
        if destination not in self._by_destination:
            with self._output.deepest_folder(destination) as folder:
                device, status = os.fstat(folder).st_dev, os.fstatvfs(folder)
            path = join_path(self._output.path, destination).rstrip("/")
            self._by_destination[destination] = need = self._by_device.setdefault(device, _Need(path, status))
            need.destinations += 1
        return self._by_destination[destination]

    def spaces(self, jobs: int) -> list[FileSystemSpace]:
        """Return the space on every file system that something is missing on."""
        spaces = (need.space(jobs) for need in self._by_device.values())
        return [space for space in spaces if space.missing_files]

    def staged_bytes(self, target: Target) -> int:
        """Return how much of a file is there already, staged by a run that was interrupted."""
        if target.destination not in self._staged:
            self._staged[target.destination] = find_left_staged(self._output, target.destination)
        staged = self._staged[target.destination]
        return staged.get(resumable_file(staged_name(target.file)), 0) if staged else 0

    def add_missing_folders(self, target: Target) -> None:
        """Count the folders that have to be made for a file, less those on the way to the file before.

        Files come in the plan's order, in which those of one folder mostly stand together.
        """
        names = target.folder.split("/")
        common = sum(
            1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(names, self._counted, strict=False))
        )
        missing = 0
        for depth in range(len(names), common, -1):
            try:
                os.stat("/".join(names[:depth]), dir_fd=self._output.descriptor, follow_symlinks=False)
            except FileNotFoundError:
                missing += 1
            else:
                break
        self._counted = names
        self.of(target.destination).files += missing


class SpaceLook:
    """Looks at every file of a plan and at the file systems that they go to.

    Args:
        output: the output location.
        jobs: how many files are on their way at once.
        stop: whether the run is to stop; what was not looked at by then is left out.
        seen: remembers every file, so that two names of one are noticed.
        keep_corrupt: whether a healed file's old bytes stay.
    """

    def __init__(
        self, output: OutputFolder, jobs: int, stop: threading.Event, seen: VerifiedFiles, *, keep_corrupt: bool
    ) -> None:
        self._output, self._jobs, self._stop, self._seen, self._keep_corrupt = output, jobs, stop, seen, keep_corrupt
        self._needs = _Needs(output)

    def look(self, targets: Iterable[Target]) -> list[FileSystemSpace]:
        """Return the space on every file system that something is missing on."""
        for relative, files in itertools.groupby(targets, key=lambda target: target.folder):
            if self._stop.is_set():
                break
            with suppress(OSError), ExitStack() as opened:  # what is in the way lets files fail: they need no space
                folder = self._opened(relative, opened)
                for target in files:
                    self._look_at_file(target, folder)
        return self._needs.spaces(self._jobs)

    def _opened(self, relative: str, opened: ExitStack) -> int | None:
        """Return the descriptor of a folder, closed with `opened`; None where it is not there."""
        try:
            return opened.enter_context(self._output.folder(relative))
        except FileNotFoundError:
            return None

    def _look_at_file(self, target: Target, folder: int | None) -> None:
        size_bytes = target.file.expected_size or 0
        if folder is None:
            self._needs.add_missing_folders(target)
            self._add(target, size_bytes, None)
            return
        try:
            found = os.stat(target.name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            self._add(target, size_bytes, None)
            return
        except OSError:
            return
        if not stat.S_ISREG(found.st_mode):
            return
        with suppress(SameFileError):  # it is among the clashes then
            self._seen.refuse_if_known(target.path, found)
            self._seen.note(target.path, found)
        if target.file.expected_size not in {None, found.st_size}:
            self._add(target, size_bytes, found)

    def _add(self, target: Target, size_bytes: int, old: os.stat_result | None) -> None:
        """Add a file that is absent or has another size than it should."""
        need = self._needs.of(target.destination)
        need.files += old is None
        if not size_bytes:
            return
        freed_bytes = 0
        if old is not None and old.st_nlink == 1 and not self._keep_corrupt:
            freed_bytes = min(taken_bytes(old), size_bytes)
            need.passing_bytes.append(freed_bytes)
        need.lasting_bytes += size_bytes - freed_bytes - min(self._needs.staged_bytes(target), size_bytes)
