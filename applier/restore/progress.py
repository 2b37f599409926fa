"""Progress as apply reports it: bytes verified, files ended. The default does nothing."""

import threading
import time
from collections.abc import Callable

from schemas.results import FileResult


class Progress:
    """Told what happens, from many threads at once; does nothing."""

    def bytes_verified(self, count: int) -> None:
        """So many bytes were hashed as read back; negative where they have to be fetched again."""

    def file_ended(self, result: FileResult) -> None:
        """A file has ended."""


class VerifiedBytes:
    """Counts the bytes of one file as they are read back, so that they can be taken back if they are wrong.

    Args:
        progress: told every count.
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


class LineProgress(Progress):
    """A line now and then, for a log.

    Args:
        total_files: files that apply will try.
        total_bytes: their sizes, as far as the plan has them.
        write: takes each line.
        interval_seconds: between two lines.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        total_files: int,
        total_bytes: int,
        write: Callable[[str], None],
        interval_seconds: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._files, self._total_files = 0, total_files
        self._bytes, self._total_bytes = 0, total_bytes
        self._write, self._clock, self._interval_seconds = write, clock, interval_seconds
        self._begun = self._said = clock()
        self._lock = threading.Lock()

    def bytes_verified(self, count: int) -> None:
        """See `Progress`."""
        with self._lock:
            self._bytes += count
            self._say_now_and_then()

    def file_ended(self, result: FileResult) -> None:
        """See `Progress`."""
        del result
        with self._lock:
            self._files += 1
            self._say_now_and_then()

    def _say_now_and_then(self) -> None:
        now = self._clock()
        if now - self._said < self._interval_seconds:
            return
        self._said = now
        rate = self._bytes / (now - self._begun)
        left = max(self._total_bytes - self._bytes, 0) / rate if rate > 0 else 0.0
        self._write(
            f"{self._files}/{self._total_files} files, {self._bytes / 1024**3:.1f} of "
            f"{self._total_bytes / 1024**3:.1f} GiB verified, {rate / 1024**2:.0f} MiB/s, {left / 60:.0f} min left"
        )
