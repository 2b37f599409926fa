"""Writes the results file of a run as files end, and lets nothing in it be lost in silence."""

import errno
import logging
import os
import threading
import time
from pathlib import Path

from applier.disk.folders import write_all
from applier.reports.run_summary import RunSummary
from schemas.results_file import summary_line
from schemas.text import printable

logger = logging.getLogger(__name__)

_WRITE_INTERVAL_SECONDS = 1.0
_CANNOT_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.ENOTTY})


class ResultSink:
    """Takes every result as it comes; does nothing."""

    def write(self, lines: str) -> None:
        """Take the lines of files that have ended together, or of a raw file that has failed as a whole."""

    def run_ended(self, summary: RunSummary) -> None:
        """The run has ended: nothing but `close` follows."""

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

    def write(self, lines: str) -> None:
        """See `ResultSink`."""
        for sink in (self._needed, self._useful):
            sink.write(lines)

    def run_ended(self, summary: RunSummary) -> None:
        """See `ResultSink`."""
        for sink in (self._needed, self._useful):
            sink.run_ended(summary)

    def close(self) -> bool:
        """See `ResultSink`."""
        self._useful.close()
        return self._needed.close()


class ResultsWriter(ResultSink):
    """Writes results to a file at once; logs the first thing that goes wrong, and remembers that it did.

    Args:
        path: of the file.
        descriptor: of the file, empty or with whole runs, open for reading and writing; closed by `close`.
        head: the first line that is written.
    """

    def __init__(self, path: Path, descriptor: int, head: bytes) -> None:
        self._path, self._descriptor = path, descriptor
        self._size_bytes = os.fstat(descriptor).st_size
        self._begin = (self._size_bytes, head)
        self._lock = threading.Lock()
        self._is_open = self._complete = True
        self._append(head)

    def write(self, lines: str) -> None:
        """See `ResultSink`."""
        self._append(lines.encode())

    def run_ended(self, summary: RunSummary) -> None:
        """See `ResultSink`."""
        self._append(summary_line(summary.as_record()).encode())

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

    def _append(self, content: bytes) -> None:
        with self._lock:
            if not (self._is_open and self._complete):
                return
            try:
                write_all(self._descriptor, memoryview(content), self._size_bytes)
            except OSError as error:
                self._fail(error.strerror or str(error))
            else:
                self._size_bytes += len(content)

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
            offset, head = self._begin
            file.seek(offset)
            return file.read(len(head)) == head and os.fstat(file.fileno()).st_size == self._size_bytes

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

    def write(self, lines: str) -> None:
        """See `ResultSink`."""
        with self._waiting_lock:
            self._waiting += lines.encode()
            if time.monotonic() - self._written_at < _WRITE_INTERVAL_SECONDS:
                return
        self._write_waiting()

    def run_ended(self, summary: RunSummary) -> None:
        """See `ResultSink`."""
        self._write_waiting()
        super().run_ended(summary)

    def close(self) -> bool:
        """See `ResultSink`."""
        self._write_waiting()
        return super().close()

    def _write_waiting(self) -> None:
        with self._waiting_lock:
            waiting, self._waiting = bytes(self._waiting), bytearray()
            self._written_at = time.monotonic()
        if waiting:
            self._append(waiting)
