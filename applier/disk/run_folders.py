"""One folder a run below each destination, `.kraken-plan/run-<id>/`, on the destination's file system.

Each run has its own folder and holds a lock beside it for as long as it uses it (flock on an empty file). So two runs
never write the same staged file, and a folder whose lock is free is nobody's: the next run takes over what it can
go on with and deletes the rest. Nothing here decides; it only makes, finds and removes.
"""

import errno
import fcntl
import functools
import itertools
import logging
import os
import threading
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from enum import Enum

from applier.disk.folders import (
    OutputFolder,
    closing_descriptor,
    create_file,
    open_folder,
    open_regular_file,
    taken_bytes,
)
from applier.disk.staging import JOURNAL_SUFFIX, PART_SUFFIX, REPORT, Staging, resumable_file, resumable_names_among
from schemas.paths import STAGING_FOLDER, join_path
from schemas.text import printable

logger = logging.getLogger(__name__)

_RUN_PREFIX = "run-"
_LOCK_SUFFIX = ".lock"
_CLAIM_ATTEMPTS = 20


class _Lock(Enum):
    """What became of an attempt to lock without waiting."""

    HELD = "held"
    BUSY = "busy"
    UNSUPPORTED = "unsupported"


@dataclass(slots=True)
class _Open:
    """A staging folder that is open, how to close it, and how many use it."""

    staging: Staging
    close: Callable[[], None]
    users: int = 0


class Stagings:
    """The staging folders of one run, made as they are needed.

    Args:
        output: the output location.
        run_id: what no other run has.
        wanted: gives the staged names that this run can go on with below a destination.
        most_idle: how many stay open though nobody uses them, for a plan may have more destinations than a process
            can have open files; what is kept in one that was closed is taken over when it is asked for again.
    """

    def __init__(
        self, output: OutputFolder, run_id: str, wanted: Callable[[str], AbstractSet[str]], most_idle: int = 1
    ) -> None:
        self._output, self._run_id, self._wanted, self._most_idle = output, run_id, wanted, most_idle
        self._open: dict[str, _Open] = {}  # the one used last stands last
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    def below(self, destination: str) -> Staging:
        """Return the staging folder below a destination (relative to the output location), to be given back.

        Raises:
            OSError: it cannot be made.
        """
        with self._lock:
            found = self._open.pop(destination, None)
            if found is None:
                self._close_idle()
                found = self._make(destination)
            self._open[destination] = found
            found.users += 1
            return found.staging

    def give_back(self, destination: str) -> None:
        """Say that a user of a destination's staging folder has ended, after everything that was staged there."""
        with self._lock:
            self._open[destination].users -= 1

    @contextmanager
    def lent(self, destination: str) -> Iterator[Staging]:
        """Give a destination's staging folder for a block; see `below`."""
        staging = self.below(destination)
        try:
            yield staging
        finally:
            self.give_back(destination)

    def sweep(self, destination: str) -> None:
        """See to what dead runs left below a destination, if they left anything."""
        with suppress(OSError):
            with self._output.folder(f"{destination}/{STAGING_FOLDER}".lstrip("/")):
                pass
            with self.lent(destination):
                pass

    def close(self, unfinished: Callable[[str], AbstractSet[str]] | None = None) -> None:
        """Remove what is not kept for a later run. Never while threads may still use it.

        Args:
            unfinished: gives the staged names below a destination that a later run has a use for; by default all.
        """
        for destination, found in self._open.items():
            if unfinished is not None:
                found.staging.keep_only(functools.partial(unfinished, destination))
            found.close()
        self._open.clear()

    def _make(self, destination: str) -> _Open:
        with ExitStack() as opened:
            run_id = f"{self._run_id}-{next(self._numbers)}"  # what was kept in an earlier one is nobody's now
            wanted = functools.partial(self._wanted, destination)
            staging = opened.enter_context(_open_staging(self._output, destination, run_id, wanted))
            return _Open(staging, opened.pop_all().close)

    def _close_idle(self) -> None:
        idle = [destination for destination, found in self._open.items() if found.users == 0]
        for destination in idle[: max(0, len(idle) - self._most_idle)]:
            self._open.pop(destination).close()


@contextmanager
def _open_staging(
    output: OutputFolder, destination: str, run_id: str, wanted: Callable[[], AbstractSet[str]]
) -> Iterator[Staging]:
    """Make a run's staging folder below a destination, take over what dead runs left there, and clean up at the end.

    Args:
        output: the output location.
        destination: the destination, relative to it.
        run_id: what no other run has.
        wanted: gives the staged names that this run can go on with; asked only where dead runs left some.

    Raises:
        OSError: it cannot be made.
    """
    own = _RUN_PREFIX + run_id
    base_path = f"{destination}/{STAGING_FOLDER}".lstrip("/")
    base, lock = _claim(output, base_path, own)
    with closing_descriptor(lock):
        try:
            with closing_descriptor(_make_run(base, own, wanted)) as descriptor:
                staging = Staging(descriptor)
                staging.reserve_report()
                yield staging
                with suppress(OSError):  # what is left is a dead run's: the next run deletes it
                    staging.remove(REPORT)
        finally:
            with suppress(OSError), output.folder(base_path) as folder:
                _remove_run(own, folder)  # unless something is kept in it for a later run
    with suppress(OSError), output.folder(destination) as folder:
        os.rmdir(STAGING_FOLDER, dir_fd=folder)


def _make_run(base: int, own: str, wanted: Callable[[], AbstractSet[str]]) -> int:
    """Make a run's own folder, move there what dead runs left for it, and return its descriptor. Closes the base."""
    with closing_descriptor(base), ExitStack() as opened:
        os.mkdir(own, dir_fd=base)
        descriptor = open_folder(own, base)
        opened.callback(os.close, descriptor)
        for dead in _dead_runs(base, own):
            try:
                _take_over(dead, base, descriptor, wanted)
            except OSError as error:
                logger.warning("%s cannot be taken over: %s", printable(dead), error.strerror)
        opened.pop_all()
        return descriptor


def find_left_staged(output: OutputFolder, destination: str) -> dict[str, int]:
    """Return what dead runs left staged below a destination: bytes that it takes on the disk, by file name.

    Looks only. What a run that lives has staged is its own.
    """
    left: dict[str, int] = {}
    with suppress(OSError), output.folder(f"{destination}/{STAGING_FOLDER}".lstrip("/")) as base:
        for run in _dead_runs(base, own="", to_take_over=False):
            with suppress(OSError), closing_descriptor(open_folder(run, base)) as folder, os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.endswith(PART_SUFFIX) and entry.is_file(follow_symlinks=False):
                        taken = taken_bytes(entry.stat(follow_symlinks=False))
                        left[entry.name] = max(left.get(entry.name, 0), taken)
    return left


def _claim(output: OutputFolder, base_path: str, own: str) -> tuple[int, int]:
    """Return the descriptors of the folder of all runs, and of our lock in it, held.

    A run that ends may remove the folder, and one that starts may take our lock for a dead run's, in the moment before
    we hold it: then once more.
    """
    for _ in range(_CLAIM_ATTEMPTS):
        with suppress(FileNotFoundError), output.folder(base_path, create=True) as base, ExitStack() as in_vain:
            lock = create_file(own + _LOCK_SUFFIX, base)
            in_vain.callback(os.unlink, own + _LOCK_SUFFIX, dir_fd=base)
            in_vain.callback(os.close, lock)
            held = _try_lock(lock)
            if held is _Lock.UNSUPPORTED:
                logger.warning(
                    "%s has no file locks: what interrupted runs staged there is neither used nor deleted",
                    printable(join_path(output.path, base_path)),
                )
            if held is not _Lock.BUSY and os.fstat(lock).st_nlink > 0:
                own_base = os.dup(base)
                in_vain.pop_all()
                return own_base, lock
    raise OSError(errno.EBUSY, "other runs keep removing the staging folder", STAGING_FOLDER)


def _dead_runs(base: int, own: str, *, to_take_over: bool = True) -> Iterator[str]:
    """Yield the runs whose lock is free, each while we hold it; who only looks shares it with others that do."""
    for entry in os.listdir(base):  # pathlib knows no descriptors
        name = entry.removesuffix(_LOCK_SUFFIX)
        if name in {entry, own} or not name.startswith(_RUN_PREFIX):
            continue
        try:
            descriptor = open_regular_file(entry, base, os.O_RDWR if to_take_over else os.O_RDONLY)
        except OSError:  # it has just ended by itself
            continue
        with closing_descriptor(descriptor):
            if _try_lock(descriptor, fcntl.LOCK_EX if to_take_over else fcntl.LOCK_SH) is _Lock.HELD:
                yield name


def _take_over(dead: str, base: int, own: int, wanted: Callable[[], AbstractSet[str]]) -> None:
    """Move a dead run's staged files that this run can go on with, and delete those that nobody can."""
    try:
        descriptor = open_folder(dead, base)
    except OSError:  # it died before it had made its folder
        with suppress(FileNotFoundError):
            os.unlink(dead + _LOCK_SUFFIX, dir_fd=base)
        return
    with closing_descriptor(descriptor):
        entries = set(os.listdir(descriptor))  # noqa: PTH208  # as above
        names = {name for name in resumable_names_among(entries) if resumable_file(name) in entries}
        kept = {file for name in names for file in (resumable_file(name), name + JOURNAL_SUFFIX)}
        for entry in entries - kept:
            with suppress(OSError):  # what is no file of ours stays, and its folder with it
                os.unlink(entry, dir_fd=descriptor)
        for name in names & wanted() if names else ():
            for file in (resumable_file(name), name + JOURNAL_SUFFIX):
                with suppress(FileNotFoundError):
                    os.rename(file, file, src_dir_fd=descriptor, dst_dir_fd=own)
    _remove_run(dead, base)


def _remove_run(name: str, base: int) -> None:
    with suppress(OSError):
        with suppress(FileNotFoundError):  # it could not be made
            os.rmdir(name, dir_fd=base)
        os.unlink(name + _LOCK_SUFFIX, dir_fd=base)


def _try_lock(descriptor: int, mode: int = fcntl.LOCK_EX) -> _Lock:
    try:
        fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return _Lock.BUSY
    except OSError:
        return _Lock.UNSUPPORTED
    return _Lock.HELD
