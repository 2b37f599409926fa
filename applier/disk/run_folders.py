"""Makes one folder a run below each destination, `.kraken-plan/run-<owner>-<id>/`, on the destination's file system.

Each run has its own folder and holds a lock beside it for as long as it uses it (flock on an empty file), so two runs
never write the same staged file. What other runs left is judged in `left_runs`; nothing here decides.
"""

import errno
import fcntl
import functools
import itertools
import logging
import os
import struct
import threading
from array import array
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from applier.disk.folders import OutputFolder, closing_descriptor, create_file, open_folder
from applier.disk.left_runs import (
    LOCK_SUFFIX,
    Here,
    Lock,
    note_closed,
    note_open,
    open_base,
    remove_run,
    take_over,
    try_lock,
)
from applier.disk.run_owner import this_process
from applier.disk.staged_elsewhere import find_staged_elsewhere
from applier.disk.staging import REPORT, Staging
from schemas.paths import STAGING_FOLDER, join_path
from schemas.text import printable

logger = logging.getLogger(__name__)

_CLAIM_ATTEMPTS = 20
_GET_FLAGS = 0x80006601 | struct.calcsize("l") << 16  # FS_IOC_GETFLAGS of linux/fs.h, likewise:
_IMMUTABLE, _APPEND_ONLY = 0x10, 0x20


@dataclass(slots=True)
class _Open:
    """An open staging folder, how to close it, and how many use it."""

    staging: Staging
    close: Callable[[], None]
    users: int = 0


class Stagings:
    """Lends the staging folders of one run, made as they are needed.

    Args:
        output: the output location.
        run_id: unique among all runs.
        resumable_names: gives the staged names that this run can resume below a destination.
        max_idle_folders: how many stay open while nobody uses them: a plan may have more destinations than a process
            can have open files. What is kept in one that was closed is taken over when it is needed again.
    """

    def __init__(
        self,
        output: OutputFolder,
        run_id: str,
        resumable_names: Callable[[str], AbstractSet[str]],
        max_idle_folders: int = 1,
    ) -> None:
        self._output, self._run_id = output, run_id
        self._resumable_names, self._max_idle_folders = resumable_names, max_idle_folders
        self._open: dict[str, _Open] = {}  # the one used last stands last
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    def below(self, destination: str) -> Staging:
        """Lend the staging folder below a destination (relative to the output location) until it is given back.

        Raises:
            OSError: it cannot be made.
        """
        with self._lock:
            found = self._open.pop(destination, None)
            if found is not None and found.users == 0 and os.fstat(found.staging.descriptor).st_nlink == 0:
                logger.warning("another program has removed the staging folder below %s", printable(destination) or ".")
                found.close()
                found = None
            if found is None:
                self._close_idle()
                found = self._make(destination)
            self._open[destination] = found
            found.users += 1
            return found.staging

    def give_back(self, destination: str) -> None:
        """Take back what `below` lent; its user has no file open there any more."""
        with self._lock:
            self._open[destination].users -= 1

    @contextmanager
    def lent(self, destination: str) -> Iterator[Staging]:
        """Lend a destination's staging folder for a block; see `below`."""
        staging = self.below(destination)
        try:
            yield staging
        finally:
            self.give_back(destination)

    def sweep(self, destination: str) -> None:
        """Clean up what ended runs left below a destination, if they left anything."""
        with suppress(OSError):
            with self._output.folder(f"{destination}/{STAGING_FOLDER}".lstrip("/")):
                pass
            with self.lent(destination):
                pass

    def close(self, unfinished: Callable[[str], AbstractSet[str]] | None = None) -> None:
        """Remove what no later run needs. Must not be called while threads may still use it.

        Args:
            unfinished: gives the staged names below a destination that a later run needs; by default all.
        """
        for destination, found in self._open.items():
            if unfinished is not None:
                found.staging.keep_only(functools.partial(unfinished, destination))
            found.close()
        self._open.clear()

    def _make(self, destination: str) -> _Open:
        with ExitStack() as opened:
            run_id = f"{self._run_id}-{next(self._numbers)}"  # what an earlier one keeps can be taken over
            resumable_names = functools.partial(self._resumable_names, destination)
            staging = opened.enter_context(_open_staging(self._output, destination, run_id, resumable_names))
            return _Open(staging, opened.pop_all().close)

    def _close_idle(self) -> None:
        idle = [destination for destination, found in self._open.items() if found.users == 0]
        for destination in idle[: max(0, len(idle) - self._max_idle_folders)]:
            self._open.pop(destination).close()


@contextmanager
def _open_staging(
    output: OutputFolder, destination: str, run_id: str, resumable_names: Callable[[], AbstractSet[str]]
) -> Iterator[Staging]:
    """Make a run's staging folder below a destination, take over what ended runs left there, and clean up at the end.

    Args:
        output: the output location.
        destination: the destination, relative to it.
        run_id: unique among all runs.
        resumable_names: gives the staged names that this run can resume; asked only where ended runs left some.

    Raises:
        OSError: it cannot be made.
    """
    own = this_process().run_name(run_id)
    base_path = f"{destination}/{STAGING_FOLDER}".lstrip("/")
    note_open(own)
    try:
        base, lock = _claim(output, destination, own)
        with closing_descriptor(lock):
            try:
                descriptor, foreign = _make_run(base, own, os.fstat(lock), resumable_names)
                with closing_descriptor(descriptor):
                    find = functools.partial(find_staged_elsewhere, output, base_path, foreign)
                    staging = Staging(descriptor, find)
                    staging.reserve_report()
                    yield staging
                    with suppress(OSError):  # what is left is an ended run's: the next run deletes it
                        staging.remove(REPORT)
            finally:
                with suppress(OSError), output.folder(base_path) as folder:
                    remove_run(own, folder)  # unless something is kept in it for a later run
    finally:
        with suppress(OSError), output.folder(base_path) as folder:
            remove_run(own, folder)  # once more: SMB removes no lock that is open
        note_closed(own)
    with suppress(OSError), output.folder(destination) as folder:
        os.rmdir(STAGING_FOLDER, dir_fd=folder)


def _make_run(
    base: int, own: str, lock: os.stat_result, resumable_names: Callable[[], AbstractSet[str]]
) -> tuple[int, tuple[str, ...]]:
    """Make a run's own folder, and move there what ended runs of ours left for it. Closes the base.

    Returns:
        The descriptor of the folder, and the runs that may only be read.
    """
    with closing_descriptor(base), ExitStack() as opened:
        # What heals a file that few may read must not be open to more, nor may anybody else write there.
        os.mkdir(own, 0o700, dir_fd=base)
        descriptor = open_folder(own, base)
        opened.callback(os.close, descriptor)
        foreign = take_over(base, descriptor, Here(account=lock.st_uid, now=lock.st_mtime), resumable_names)
        opened.pop_all()
        return descriptor, foreign


def _claim(output: OutputFolder, destination: str, own: str) -> tuple[int, int]:
    """Return the descriptors of the folder of all runs, and of our lock in it, held.

    A run that ends may remove the folder, and one that starts may hold our lock for a moment to see whether we have
    ended: then once more.
    """
    for _ in range(_CLAIM_ATTEMPTS):
        with (
            suppress(FileNotFoundError),
            output.folder(destination, create=True) as parent,
            ExitStack() as failed,
        ):
            base = open_base(parent)
            failed.callback(os.close, base)
            _refuse_append_only(base, join_path(output.path, f"{destination}/{STAGING_FOLDER}".lstrip("/")))
            lock = create_file(own + LOCK_SUFFIX, base)
            failed.callback(os.unlink, own + LOCK_SUFFIX, dir_fd=base)
            failed.callback(os.close, lock)
            held = try_lock(lock)
            if held is Lock.UNSUPPORTED:
                _warn_of_missing_locks(output.path)
            if held is not Lock.BUSY and os.fstat(lock).st_nlink > 0:
                failed.pop_all()
                return base, lock
    raise OSError(errno.EBUSY, "other runs keep removing the staging folder", STAGING_FOLDER)


def _refuse_append_only(base: int, path: str) -> None:
    """See that what is made in the folder of all runs can be removed again: else each run would leave something.

    Raises:
        PermissionError: it cannot.
    """
    flags = array("L", [0])
    with suppress(OSError):  # file systems without flags
        fcntl.ioctl(base, _GET_FLAGS, flags)
    if flags[0] & (_APPEND_ONLY | _IMMUTABLE):
        raise PermissionError(errno.EPERM, f"nothing can be removed from {printable(path)} (chattr -a -i would help)")


@functools.cache  # once a run is enough
def _warn_of_missing_locks(output_location: str) -> None:
    place = printable(output_location)
    logger.warning(
        "%s has no file locks: what interrupted runs of other hosts staged below it is read, not moved", place
    )
