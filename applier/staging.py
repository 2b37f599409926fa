"""Staged files: one folder a run below each destination, `.kraken-plan/run-<id>/`, on the destination's file system.

Each run has its own folder and holds a lock beside it for as long as it lives (flock on an empty file). So two runs
never write the same staged file, and a folder whose lock is free is a dead run's: the next run takes over what it can
go on with and deletes the rest. Nothing here decides; it only makes, finds and removes.
"""

import errno
import fcntl
import functools
import hashlib
import logging
import os
import threading
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import ExitStack, contextmanager, suppress
from enum import Enum

from applier.folders import (
    OutputFolder,
    closing_descriptor,
    create_file,
    open_folder,
    open_regular_file,
    taken_bytes,
)
from applier.journal import Journal, StagedContent, StagedState, read_journal
from schemas.paths import STAGING_FOLDER, join_path
from schemas.plan import PlannedFile
from schemas.text import printable

logger = logging.getLogger(__name__)

REPORT = "report"
_REPORT_RESERVE_BYTES = 256 * 1024  # of some 1,500 files

_RUN_PREFIX = "run-"
_LOCK_SUFFIX = ".lock"
_PART_SUFFIX = ".part"
_JOURNAL_SUFFIX = ".journal"
_CLAIM_ATTEMPTS = 20
_MAX_JOURNAL_BYTES = 16 * 1024 * 1024


class _Lock(Enum):
    """What became of an attempt to lock without waiting."""

    HELD = "held"
    BUSY = "busy"
    UNSUPPORTED = "unsupported"


def staged_name(file: PlannedFile) -> str:
    """Return the name under which a file is staged: the same in every run that wants the same bytes there."""
    key = "\0".join([file.relative_path, file.expected_etag, str(file.chunk_size_mb)])
    return hashlib.sha256(key.encode()).hexdigest()[:40]


class Staging:
    """One run's staging folder below one destination.

    Args:
        descriptor: of the run's own folder.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def create(self, name: str) -> int:
        """Create a staged file that no later run can go on with."""
        return create_file(name, self.descriptor)

    def remove(self, name: str) -> None:
        """Remove a staged file if it is there."""
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.descriptor)

    def reserve_report(self) -> None:
        """Take the space of a report while there is some: a full disk must be reported, too."""
        descriptor = self.create(REPORT)
        with closing_descriptor(descriptor), suppress(OSError):
            os.posix_fallocate(descriptor, 0, _REPORT_RESERVE_BYTES)

    def open_report(self) -> int:
        """Open the file that a report is written to before it gets its name."""
        try:
            return open_regular_file(REPORT, self.descriptor, os.O_RDWR)
        except FileNotFoundError:  # the one before it has got its name
            return self.create(REPORT)

    def create_resumable(self, name: str, content: StagedContent) -> tuple[int, Journal, StagedState]:
        """Open a staged file with its journal: one left of this content if there is one, else a new one."""
        if (left := self._reopen(name, content)) is not None:
            return left
        self.remove_resumable(name)
        journal = Journal(create_file(name + _JOURNAL_SUFFIX, self.descriptor))
        try:
            journal.start(content)
            return create_file(resumable_file(name), self.descriptor), journal, StagedState()
        except OSError:
            journal.close()
            raise

    def remove_resumable(self, name: str) -> None:
        """Remove a staged file and its journal if they are there."""
        self.remove(name + _JOURNAL_SUFFIX)
        self.remove(resumable_file(name))

    def keep_only(self, unfinished: Callable[[], AbstractSet[str]]) -> None:
        """Remove what is resumable of files that have come to a good end; `unfinished` is asked only if there is some.

        A run that is killed between a file's rename and the end of its journal leaves such, and so does one whose file
        was then restored in another way.
        """
        entries = os.listdir(self.descriptor)  # noqa: PTH208  # pathlib knows no descriptors
        if left := {entry.removesuffix(_JOURNAL_SUFFIX) for entry in entries if entry.endswith(_JOURNAL_SUFFIX)}:
            for name in left - unfinished():
                self.remove_resumable(name)

    def _reopen(self, name: str, content: StagedContent) -> tuple[int, Journal, StagedState] | None:
        with ExitStack() as opened:
            try:
                journal = open_regular_file(name + _JOURNAL_SUFFIX, self.descriptor, os.O_RDWR | os.O_APPEND)
                opened.callback(os.close, journal)
                staged = open_regular_file(resumable_file(name), self.descriptor, os.O_RDWR)
                opened.callback(os.close, staged)
            except OSError:
                return None
            if any(os.fstat(descriptor).st_nlink != 1 for descriptor in (journal, staged)):
                return None  # planted: writing to it would write to another file
            text = os.pread(journal, _MAX_JOURNAL_BYTES, 0).decode("ascii", errors="replace")
            state = read_journal(text, content)
            if state is None:
                return None
            opened.pop_all()
            return staged, Journal(journal), state


class Stagings:
    """The staging folders of one run, made as they are needed.

    Args:
        output: the output location.
        run_id: what no other run has.
        wanted: gives the staged names that this run can go on with below a destination.
    """

    def __init__(self, output: OutputFolder, run_id: str, wanted: Callable[[str], AbstractSet[str]]) -> None:
        self._output, self._run_id, self._wanted = output, run_id, wanted
        self._opened = ExitStack()
        self._by_destination: dict[str, Staging] = {}
        self._lock = threading.Lock()

    def below(self, destination: str) -> Staging:
        """Return the staging folder below a destination (relative to the output location).

        Raises:
            OSError: it cannot be made.
        """
        with self._lock:
            if destination not in self._by_destination:
                wanted = functools.partial(self._wanted, destination)
                opening = _open_staging(self._output, destination, self._run_id, wanted)
                self._by_destination[destination] = self._opened.enter_context(opening)
            return self._by_destination[destination]

    def close(self, unfinished: Callable[[str], AbstractSet[str]] | None = None) -> None:
        """Remove what is not kept for a later run. Never while threads may still use it.

        Args:
            unfinished: gives the staged names that a later run may go on with below a destination; all that this run
                wanted, if not given.
        """
        unfinished = unfinished or self._wanted
        for destination, staging in self._by_destination.items():
            try:
                staging.keep_only(functools.partial(unfinished, destination))
            except OSError as error:
                logger.warning("could not clean up: %s", error.strerror)
        self._opened.close()


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
    base, lock = _claim(output, f"{destination}/{STAGING_FOLDER}".lstrip("/"), own)
    with closing_descriptor(base), closing_descriptor(lock):
        try:
            os.mkdir(own, dir_fd=base)
            with closing_descriptor(open_folder(own, base)) as descriptor:
                for dead in _dead_runs(base, own):
                    try:
                        _take_over(dead, base, descriptor, wanted)
                    except OSError as error:
                        logger.warning("%s cannot be taken over: %s", printable(dead), error.strerror)
                staging = Staging(descriptor)
                staging.reserve_report()
                yield staging
                staging.remove(REPORT)
        finally:
            _remove_run(own, base)  # unless something is kept in it for a later run
    with suppress(OSError), output.folder(destination) as folder:
        os.rmdir(STAGING_FOLDER, dir_fd=folder)


def find_left_staged(output: OutputFolder, destination: str) -> dict[str, int]:
    """Return what dead runs left staged below a destination: bytes that it takes on the disk, by file name.

    Looks only. What a run that lives has staged is its own.
    """
    left: dict[str, int] = {}
    with suppress(OSError), output.folder(f"{destination}/{STAGING_FOLDER}".lstrip("/")) as base:
        for run in _dead_runs(base, own="", to_take_over=False):
            with suppress(OSError), closing_descriptor(open_folder(run, base)) as folder, os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.endswith(_PART_SUFFIX) and entry.is_file(follow_symlinks=False):
                        taken = taken_bytes(entry.stat(follow_symlinks=False))
                        left[entry.name] = max(left.get(entry.name, 0), taken)
    return left


def resumable_file(name: str) -> str:
    """Return the file name of a staged file that has a journal."""
    return name + _PART_SUFFIX


def _claim(output: OutputFolder, base_path: str, own: str) -> tuple[int, int]:
    """Return the descriptors of the folder of all runs, and of our lock in it, held.

    A run that ends may remove the folder, and one that starts may take our lock for a dead run's, in the moment before
    we hold it: then once more.
    """
    for _ in range(_CLAIM_ATTEMPTS):
        with suppress(FileNotFoundError), output.folder(base_path, create=True) as base:
            lock = create_file(own + _LOCK_SUFFIX, base)
            held = _try_lock(lock)
            if held is _Lock.UNSUPPORTED:
                logger.warning(
                    "%s has no file locks: what interrupted runs staged there is neither used nor deleted",
                    printable(join_path(output.path, base_path)),
                )
            if held is not _Lock.BUSY and os.fstat(lock).st_nlink > 0:
                return os.dup(base), lock
            os.close(lock)
            os.unlink(own + _LOCK_SUFFIX, dir_fd=base)
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
        journals = {entry.removesuffix(_JOURNAL_SUFFIX) for entry in entries if entry.endswith(_JOURNAL_SUFFIX)}
        names = {name for name in journals if resumable_file(name) in entries}
        kept = {file for name in names for file in (resumable_file(name), name + _JOURNAL_SUFFIX)}
        for entry in entries - kept:
            with suppress(OSError):  # what is no file of ours stays, and its folder with it
                os.unlink(entry, dir_fd=descriptor)
        for name in names & wanted() if names else ():
            for file in (resumable_file(name), name + _JOURNAL_SUFFIX):
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
