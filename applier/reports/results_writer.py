"""Writes the results file of a run, line by line as files end, and lets nothing in it be lost in silence.

A file is written by one run: it is locked meanwhile, and looked at once more at the end, because on some file systems a
lock does not reach other hosts.
"""

import errno
import fcntl
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path

from applier.disk.folders import write_all
from schemas.errors import ConfigError
from schemas.paths import REPORT_PREFIX, STAGING_FOLDER, folded_path, join_path, path_below
from schemas.plan import Plan, PlannedFile, RawFilePlan, UnresolvedFile
from schemas.results import FileResult, RawFileResult
from schemas.results_file import HEAD_BEGINS, file_line, head_line, raw_file_line
from schemas.text import printable

logger = logging.getLogger(__name__)

_WRITE_INTERVAL_SECONDS = 1.0
_CANNOT_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.ENOTTY})


class ResultSink:
    """Notified of every result as it comes, one at a time; does nothing."""

    def file_ended(self, raw_file: RawFilePlan, file: PlannedFile | UnresolvedFile, result: FileResult) -> None:
        """A file has ended."""

    def raw_file_failed(self, result: RawFileResult) -> None:
        """A raw file has failed as a whole."""

    def close(self) -> bool:
        """Take no more results, and tell whether all of them were passed on."""
        return True


class SinkPair(ResultSink):
    """Passes every result on to two sinks; only the first one has to take them all.

    Args:
        needed: the run is not well if this one fails.
        useful: what this one loses is only logged.
    """

    def __init__(self, needed: ResultSink, useful: ResultSink) -> None:
        self._needed, self._useful = needed, useful

    def file_ended(self, raw_file: RawFilePlan, file: PlannedFile | UnresolvedFile, result: FileResult) -> None:
        """See `ResultSink`."""
        for sink in (self._needed, self._useful):
            sink.file_ended(raw_file, file, result)

    def raw_file_failed(self, result: RawFileResult) -> None:
        """See `ResultSink`."""
        for sink in (self._needed, self._useful):
            sink.raw_file_failed(result)

    def close(self) -> bool:
        """See `ResultSink`."""
        self._useful.close()
        return self._needed.close()


class ResultsWriter(ResultSink):
    """Writes each result to a file at once; logs the first thing that goes wrong, and remembers that it did.

    Args:
        path: of the file.
        descriptor: of the file, empty, open for writing; closed by `close`.
        head: the file's first line.
    """

    def __init__(self, path: Path, descriptor: int, head: bytes) -> None:
        self._path, self._descriptor, self._head = path, descriptor, head
        self._size_bytes = 0
        self._lock = threading.Lock()
        self._is_open = self._complete = True
        self._write(head)

    def file_ended(self, raw_file: RawFilePlan, file: PlannedFile | UnresolvedFile, result: FileResult) -> None:
        """See `ResultSink`."""
        self._write(file_line(raw_file, file, result).encode())

    def raw_file_failed(self, result: RawFileResult) -> None:
        """See `ResultSink`."""
        self._write(raw_file_line(result).encode())

    def close(self) -> bool:
        """See `ResultSink`; a second time, it only tells."""
        with self._lock:
            if self._is_open:
                self._is_open = False
                try:
                    self._sync_and_close()
                    if self._complete and not self._is_still_ours():
                        self._fail("another run has written to the file, or it was removed")
                except OSError as error:
                    self._fail(error.strerror or str(error))
            return self._complete

    def _write(self, line: bytes) -> None:
        with self._lock:
            if not (self._is_open and self._complete):
                return
            try:
                write_all(self._descriptor, memoryview(line), self._size_bytes)
            except OSError as error:
                self._fail(error.strerror or str(error))
            else:
                self._size_bytes += len(line)

    def _sync_and_close(self) -> None:
        """Close the file; network file systems and quotas report only now what they could not store."""
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            if error.errno not in _CANNOT_SYNC:
                raise
        finally:
            os.close(self._descriptor)

    def _is_still_ours(self) -> bool:
        """Tell whether what stands under the name is what was written here, as far as its begin and its size tell."""
        with self._path.open("rb") as file:
            return file.read(len(self._head)) == self._head and os.fstat(file.fileno()).st_size == self._size_bytes

    def _fail(self, reason: str) -> None:
        if self._complete:
            self._complete = False
            logger.error("the results in %s are not complete: %s", printable(str(self._path)), reason)


class LazyResultsWriter(ResultsWriter):
    """Writes results to a file some at a time: what a kill loses of them is not needed.

    Args:
        path: of the file.
        descriptor: of the file, empty, open for writing; closed by `close`.
        head: the file's first line.
    """

    def __init__(self, path: Path, descriptor: int, head: bytes) -> None:
        super().__init__(path, descriptor, head)
        self._waiting = bytearray()
        self._waiting_lock = threading.Lock()
        self._written_at = time.monotonic()

    def file_ended(self, raw_file: RawFilePlan, file: PlannedFile | UnresolvedFile, result: FileResult) -> None:
        """See `ResultSink`."""
        line = file_line(raw_file, file, result).encode()
        with self._waiting_lock:
            self._waiting += line
            if time.monotonic() - self._written_at < _WRITE_INTERVAL_SECONDS:
                return
        self._write_waiting()

    def close(self) -> bool:
        """See `ResultSink`."""
        self._write_waiting()
        return super().close()

    def _write_waiting(self) -> None:
        with self._waiting_lock:
            lines, self._waiting = bytes(self._waiting), bytearray()
            self._written_at = time.monotonic()
        if lines:
            self._write(lines)


@contextmanager
def results_sink(path: Path | None, source: str, plan: Plan, started_at: datetime, host: str) -> Iterator[ResultSink]:
    """Give the sink of a run: a results file, or nothing.

    Args:
        path: of the file; an earlier results file is replaced, anything else is left untouched.
        source: the plan's path, which must not be overwritten.
        plan: as it is applied.
        started_at: UTC.
        host: the name of this computer.

    Raises:
        ConfigError: the file cannot be written, another run is writing it, or it would be in the plan's way.
    """
    if path is None:
        yield ResultSink()
        return
    if reason := _explain_bad_place(path, source, plan):
        raise ConfigError(f"--results {printable(str(path))}: {reason}")
    head = head_line(plan, started_at, host).encode()
    writer = ResultsWriter(path, _open_results(path), head)
    try:
        yield writer
    finally:
        writer.close()


def _open_results(path: Path) -> int:
    """Return a descriptor of the file, locked and empty."""
    name = printable(str(path))
    try:
        if path.exists() and not path.is_file():  # opening a FIFO would wait for its other end
            reason: str | None = "something that is not a file already exists there"
        else:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            reason = _make_ours(descriptor)
    except OSError as error:
        reason = error.strerror or str(error)
    if reason is not None:
        raise ConfigError(f"--results {name}: {reason}")
    return descriptor


def _make_ours(descriptor: int) -> str | None:
    """Lock and empty an open file; where that must not be, close it and return why."""
    with ExitStack() as undo:
        undo.callback(os.close, descriptor)
        if not _lock(descriptor):
            return "another run is writing to it; give each run a file of its own"
        if os.pread(descriptor, len(HEAD_BEGINS), 0) not in {b"", HEAD_BEGINS}:
            return "a file that does not hold results already exists there; it was left untouched"
        os.ftruncate(descriptor, 0)
        undo.pop_all()
    return None


def _lock(descriptor: int) -> bool:
    """Lock a file until it is closed, and tell whether nobody else has it; where nothing can be locked, nobody has."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        logger.info("the results file cannot be locked: %s", error.strerror)
    return True


def _explain_bad_place(path: Path, source: str, plan: Plan) -> str | None:
    """Return why no results may be written to a path; None if they may."""
    with suppress(OSError):  # of what cannot be looked at, opening it says more
        if Path(source).exists() and path.samefile(source):
            return "this is the plan itself"
    name = folded_path(path.name)
    if STAGING_FOLDER in folded_path(os.path.realpath(path)).split("/") or name.startswith(REPORT_PREFIX):
        return f"{STAGING_FOLDER} and {REPORT_PREFIX}… are kraken-plan's own names"
    if any(_is_same_folder(path.parent, folder) for folder in _folders_with(name, plan)):
        return "the plan restores a file to this place, or below it"
    return None


def _folders_with(name: str, plan: Plan) -> set[str]:
    """Return the folders in which a plan needs this name, folded, for a file or for a folder on the way to one."""
    folders = set()
    for raw_file, file in plan.planned_files():
        below = path_below(raw_file.absolute_dest_path(file), plan.output_location)
        if name not in folded_path(below):
            continue
        components = below.split("/")
        for depth, component in enumerate(components):
            if folded_path(component) == name:
                folders.add(join_path(plan.output_location, "/".join(components[:depth])))
    return folders


def _is_same_folder(one: Path, other: str) -> bool:
    """Tell whether two paths are one folder, through links and mounts; what is not there is none."""
    try:
        return one.samefile(other)
    except OSError:
        return False
