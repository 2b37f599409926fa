"""Takes over or deletes what ended runs have left below a destination.

A run is taken over or cleaned up only if nobody can still write to it: its lock is free, and its process is known to
have ended (see `run_owner`), under the account that we run as. Whatever else is there may be a living run's, however
free its lock looks; it is only read (see `staged_elsewhere`), and deleted once nothing in it has changed for long.
"""

import fcntl
import logging
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto

from applier.disk.folders import (
    OutputFolder,
    closing_descriptor,
    list_names,
    open_folder,
    open_regular_file,
    sync_folder,
    taken_bytes,
)
from applier.disk.run_owner import RUN_PREFIX, Standing, this_process
from applier.disk.staging import JOURNAL_SUFFIX, PART_SUFFIX, resumable_file, resumable_names_among
from schemas.paths import STAGING_FOLDER
from schemas.text import printable

logger = logging.getLogger(__name__)

LOCK_SUFFIX = ".lock"
ABANDONED_AFTER_SECONDS = 7 * 24 * 3600

_open_here: set[str] = set()  # the runs that this process has open
_open_here_lock = threading.Lock()


class Lock(Enum):
    """What became of an attempt to lock without waiting."""

    HELD = auto()
    BUSY = auto()
    UNSUPPORTED = auto()


class Claim(Enum):
    """What we may do with a run that is not known to be alive."""

    OURS = auto()
    """Its process has ended on this host, under our account: its files may be moved and deleted."""
    ABANDONED = auto()
    """Whoever owned it, nothing has changed for long: it may be deleted."""
    FOREIGN = auto()
    """Somebody may still write to it: it may only be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftRun:
    """A run that is not known to be alive.

    Args:
        name: of its folder; its lock is beside it.
        descriptor: of its folder; None if it ended before it had made one.
        claim: what we may do with it.
    """

    name: str
    descriptor: int | None
    claim: Claim


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """What ended runs are judged by.

    Args:
        account: user id that a file has which we create there (root's may be another's on a file server).
        now: the file system's own time, as seconds since the epoch.
    """

    account: int
    now: float


def open_base(parent: int) -> int:
    """Open the folder of all runs below a destination; one that is made is open to all who may write beside it."""
    with suppress(FileNotFoundError):
        return open_folder(STAGING_FOLDER, parent)
    with suppress(FileExistsError):  # another thread or run has just made it
        os.mkdir(STAGING_FOLDER, dir_fd=parent)
        sync_folder(parent)
        base = open_folder(STAGING_FOLDER, parent)
        with suppress(OSError):
            os.fchmod(base, stat.S_IMODE(os.fstat(parent).st_mode) & ~stat.S_ISVTX)
        return base
    return open_folder(STAGING_FOLDER, parent)


def note_open(name: str) -> None:
    """Note that this process has a run open, so that no other thread takes it for one that has ended."""
    with _open_here_lock:
        _open_here.add(name)


def note_closed(name: str) -> None:
    """Note that this process is done with a run."""
    with _open_here_lock:
        _open_here.discard(name)


def take_over(base: int, own: int, here: Here, resumable_names: Callable[[], AbstractSet[str]]) -> tuple[str, ...]:
    """Move what this host's ended runs have staged to our own folder, as far as this run wants it, and delete the rest.

    Args:
        base: the folder of all runs.
        own: our own run's folder.
        here: what ended runs are judged by.
        resumable_names: gives the staged names that this run can resume; asked only where there are some.

    Returns:
        The runs that may only be read.
    """
    foreign, done_with = [], []
    for left in _left_runs(base, here):
        try:
            match left.claim:
                case Claim.OURS:
                    _take_files(left, own, resumable_names)
                    remove_run(left.name, base)
                    done_with.append(left.name)
                case Claim.ABANDONED:
                    _delete_files(left, keep=frozenset())
                    remove_run(left.name, base)
                    done_with.append(left.name)
                case Claim.FOREIGN:
                    foreign.append(left.name)
        except OSError as error:
            logger.warning("%s cannot be taken over: %s", printable(left.name), error.strerror)
    for name in done_with:  # SMB removes no lock that is open
        remove_run(name, base)
    return tuple(foreign)


def find_left_staged(output: OutputFolder, destination: str) -> dict[str, int]:
    """Return what a run would take over below a destination: bytes that it takes on the disk, by file name.

    Looks only, so that the time has to be that of our own clock.
    """
    staged: dict[str, int] = {}
    with suppress(OSError), output.folder(f"{destination}/{STAGING_FOLDER}".lstrip("/")) as base:
        for left in _left_runs(base, Here(account=os.geteuid(), now=time.time()), lock_mode=fcntl.LOCK_SH):
            if left.claim is not Claim.OURS or left.descriptor is None:
                continue
            with suppress(OSError):
                for name, status in _entries(left.descriptor):
                    if name.endswith(PART_SUFFIX) and stat.S_ISREG(status.st_mode):
                        staged[name] = max(staged.get(name, 0), taken_bytes(status))
    return staged


def try_lock(descriptor: int, mode: int = fcntl.LOCK_EX) -> Lock:
    """Lock an open file without waiting."""
    try:
        fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return Lock.BUSY
    except OSError:
        return Lock.UNSUPPORTED
    return Lock.HELD


def remove_run(name: str, base: int) -> None:
    """Remove a run's folder and lock, unless something is left in the folder."""
    with suppress(OSError):
        with suppress(FileNotFoundError):  # it was never made
            os.rmdir(name, dir_fd=base)
        os.unlink(name + LOCK_SUFFIX, dir_fd=base)


def _left_runs(base: int, here: Here, lock_mode: int = fcntl.LOCK_EX) -> Iterator[LeftRun]:
    """Yield the runs that are not known to be alive, each with its lock held where there are locks."""
    for entry in list_names(base):
        name = entry.removesuffix(LOCK_SUFFIX)
        if name == entry or not name.startswith(RUN_PREFIX):
            continue
        standing = _standing_of(name)
        if standing is Standing.ALIVE:
            continue
        try:
            lock = _open_lock(entry, base)
        except OSError:  # it has just ended in order, or is another user's
            continue
        with closing_descriptor(lock):
            if try_lock(lock, lock_mode) is Lock.BUSY:
                continue
            try:
                folder = open_folder(name, base)
            except FileNotFoundError:
                yield LeftRun(name=name, descriptor=None, claim=_judge(standing, [os.fstat(lock)], here))
                continue
            except OSError:  # another user's, or something else
                continue
            with closing_descriptor(folder):
                try:
                    seen = [os.fstat(lock), os.fstat(folder), *(status for _, status in _entries(folder))]
                except OSError:  # not for us to look at
                    continue
                yield LeftRun(name=name, descriptor=folder, claim=_judge(standing, seen, here))


def _standing_of(name: str) -> Standing:
    if this_process().is_own(name):  # of a run that this process closed earlier, its lock tells nothing new
        with _open_here_lock:
            return Standing.ALIVE if name in _open_here else Standing.ENDED
    return this_process().standing_of(name)


def _open_lock(name: str, base: int) -> int:
    try:
        return open_regular_file(name, base, os.O_RDWR)  # NFS locks only what is open for writing
    except PermissionError:
        return open_regular_file(name, base)


def _entries(folder: int) -> Iterator[tuple[str, os.stat_result]]:
    for name in list_names(folder):
        with suppress(FileNotFoundError):  # a living run's, which it has just published or removed
            yield name, os.stat(name, dir_fd=folder, follow_symlinks=False)


def _judge(standing: Standing, seen: list[os.stat_result], here: Here) -> Claim:
    """Return what we may do with a run, by what its process has become and what is left of it."""
    is_own = all(status.st_uid == here.account for status in seen)
    changed = max(status.st_mtime for status in seen)
    # Hosts may have been cloned with their identity. What has not changed since we booted is not a running clone's.
    booted = here.now - time.clock_gettime(time.CLOCK_BOOTTIME)
    has_ended = standing is Standing.ENDED or (standing is Standing.EARLIER_BOOT and changed < booted)
    if has_ended and is_own:
        return Claim.OURS
    return Claim.ABANDONED if changed < here.now - ABANDONED_AFTER_SECONDS else Claim.FOREIGN


def _take_files(left: LeftRun, own: int, resumable_names: Callable[[], AbstractSet[str]]) -> None:
    if left.descriptor is None:
        return
    entries = set(list_names(left.descriptor))
    names = {name for name in resumable_names_among(entries) if resumable_file(name) in entries}
    _delete_files(left, keep={file for name in names for file in _files_of(name)})
    for name in names & resumable_names() if names else ():
        for file in _files_of(name):
            with suppress(FileNotFoundError):
                os.rename(file, file, src_dir_fd=left.descriptor, dst_dir_fd=own)


def _files_of(name: str) -> tuple[str, str]:
    return resumable_file(name), name + JOURNAL_SUFFIX


def _delete_files(left: LeftRun, keep: AbstractSet[str]) -> None:
    if left.descriptor is None:
        return
    for entry in set(list_names(left.descriptor)) - keep:
        with suppress(OSError):  # what is not a file of ours stays, and its folder with it
            os.unlink(entry, dir_fd=left.descriptor)
