"""Whether what is still missing fits: file by file from a status (no hashing), added up for each file system.

A hint, taken before the first byte: other programs write meanwhile, and quotas cannot be seen from here.
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
from applier.target import Target
from schemas.paths import join_path
from schemas.text import human_size, printable

_MARGIN = 10  # a tenth more than the files themselves: folders, reports, what other programs write meanwhile


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSystemSpace:
    """The space on one file system.

    Args:
        path: a destination on it.
        missing_bytes: what is still to be written, as far as the plan has sizes.
        free_bytes: what users may still write; None where the file system does not say.
    """

    path: str
    missing_bytes: int
    free_bytes: int | None

    @property
    def needed_bytes(self) -> int:
        """What is missing, and a tenth more."""
        return self.missing_bytes + -(-self.missing_bytes // _MARGIN)

    @property
    def is_enough(self) -> bool:
        """Whether what is missing fits, as far as it can be known."""
        return self.free_bytes is None or self.needed_bytes <= self.free_bytes

    def __str__(self) -> str:
        free = "unknown space" if self.free_bytes is None else human_size(self.free_bytes)
        return (
            f"{printable(self.path)}: {human_size(self.needed_bytes)} needed "
            f"({human_size(self.missing_bytes)} missing, and 10 %), {free} free"
        )


@dataclass(slots=True)
class _Need:
    """What one file system has to take, added up.

    A healed file's old bytes are freed when it is replaced: only as many at a time as there are jobs stand beside
    their new copies.
    """

    path: str
    free_bytes: int | None
    lasting_bytes: int = 0
    passing_bytes: list[int] = field(default_factory=list)

    def missing_bytes(self, jobs: int) -> int:
        return max(0, self.lasting_bytes + sum(heapq.nlargest(jobs, self.passing_bytes)))


class SpaceLook:
    """The look at every file of a plan and at the file systems that they go to.

    Args:
        output: the output location.
        jobs: how many files are on their way at once.
        keep_corrupt: whether a healed file's old bytes stay.
        stop: whether the run is to stop; what was not looked at by then is left out.
    """

    def __init__(self, output: OutputFolder, jobs: int, stop: threading.Event, *, keep_corrupt: bool) -> None:
        self._output, self._jobs, self._stop, self._keep_corrupt = output, jobs, stop, keep_corrupt
        self._by_destination: dict[str, _Need] = {}
        self._by_device: dict[int, _Need] = {}
        self._staged: dict[str, dict[str, int]] = {}

    def look(self, targets: Iterable[Target]) -> list[FileSystemSpace]:
        """Return the space on every file system that something is missing on."""
        for relative, files in itertools.groupby(targets, key=lambda target: target.folder):
            if self._stop.is_set():
                break
            with suppress(OSError), ExitStack() as opened:  # what is in the way lets files fail: they need no space
                folder = self._opened(relative, opened)
                for target in files:
                    self._look_at_file(target, folder)
        spaces = (
            FileSystemSpace(path=need.path, missing_bytes=need.missing_bytes(self._jobs), free_bytes=need.free_bytes)
            for need in self._by_device.values()
        )
        return [space for space in spaces if space.missing_bytes]

    def _opened(self, relative: str, opened: ExitStack) -> int | None:
        """Return the descriptor of a folder, closed with `opened`; None where it is not there."""
        try:
            return opened.enter_context(self._output.folder(relative))
        except FileNotFoundError:
            return None

    def _look_at_file(self, target: Target, folder: int | None) -> None:
        size_bytes = target.file.expected_size or 0
        if folder is None:
            self._add(target, size_bytes, None)
            return
        try:
            found = os.stat(target.name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            self._add(target, size_bytes, None)
            return
        except OSError:
            return
        if stat.S_ISREG(found.st_mode) and target.file.expected_size not in {None, found.st_size}:
            self._add(target, size_bytes, found)

    def _add(self, target: Target, size_bytes: int, old: os.stat_result | None) -> None:
        """Add a file that is absent or has not the right size."""
        if not size_bytes:
            return
        need = self._need(target.destination)
        freed_bytes = 0
        if old is not None and old.st_nlink == 1 and not self._keep_corrupt:
            freed_bytes = min(taken_bytes(old), size_bytes)
            need.passing_bytes.append(freed_bytes)
        need.lasting_bytes += size_bytes - freed_bytes - min(self._staged_bytes(target), size_bytes)

    def _need(self, destination: str) -> _Need:
        if destination not in self._by_destination:
            with self._output.deepest_folder(destination) as folder:
                device, free_bytes = os.fstat(folder).st_dev, _free_bytes(folder)
            path = join_path(self._output.path, destination).rstrip("/")
            self._by_destination[destination] = self._by_device.setdefault(device, _Need(path, free_bytes))
        return self._by_destination[destination]

    def _staged_bytes(self, target: Target) -> int:
        """Return how much of a file is there already, staged by a run that was interrupted."""
        if target.destination not in self._staged:
            self._staged[target.destination] = find_left_staged(self._output, target.destination)
        staged = self._staged[target.destination]
        return staged.get(resumable_file(staged_name(target.file)), 0) if staged else 0


def _free_bytes(folder: int) -> int | None:
    status = os.fstatvfs(folder)
    return status.f_bavail * status.f_frsize if status.f_blocks else None
