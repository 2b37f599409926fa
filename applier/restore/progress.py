"""Takes note of how far a run has come. The interface that the engine reports to does nothing by default."""

import threading
from collections.abc import Callable

from schemas.results import FileResult


class Progress:
    """Notified of what happens, from many threads at once; does nothing."""

    def bytes_verified(self, count: int) -> None:
        """So many bytes were read back and hashed; negative where they turned out to be wrong."""

    def bytes_fetched(self, count: int) -> None:
        """So many bytes have arrived from S3, and are not verified yet."""

    def file_ended(self, result: FileResult, entries: int = 1) -> None:
        """A file has ended; so many entries of the plan share it."""

    def file_checked(self, entries: int = 1) -> None:
        """A file was looked at by a run that changes nothing; so many entries of the plan share it."""

    def files_thawing(self, count: int) -> None:
        """So many files are waited for, which S3 is restoring from its archives."""


class VerifiedBytes:
    """Counts the bytes of one file as they are read back, so that they can be taken back if they are wrong.

    Args:
        progress: notified of every count.
        raise_if_stopped: raises what ends the run.
    """

    def __init__(self, progress: Progress, raise_if_stopped: Callable[[], None]) -> None:
        self._progress, self._raise_if_stopped = progress, raise_if_stopped
        self._total = 0
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        """Count bytes, from any thread; raises if the run is to stop."""
        self._raise_if_stopped()
        with self._lock:
            self._total += count
        self._progress.bytes_verified(count)

    def take_back(self) -> None:
        """Say that what was counted so far is not verified after all."""
        with self._lock:
            total, self._total = self._total, 0
        self._progress.bytes_verified(-total)
