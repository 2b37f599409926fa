"""Keeps the reading of local files to a rate, over all threads together."""

import threading

from applier.restore.progress import Progress
from applier.s3.bandwidth import BandwidthLimit
from schemas.results import FileResult


class PacedProgress(Progress):
    """Passes on how far a run has come, and holds back the thread that has read more than its share.

    Args:
        progress: notified of everything.
        limit: on the bytes read a second.
        stop: ends every wait.
    """

    def __init__(self, progress: Progress, limit: BandwidthLimit, stop: threading.Event) -> None:
        self._progress, self._limit, self._stop = progress, limit, stop

    def bytes_verified(self, count: int) -> None:
        """See `Progress`."""
        self._progress.bytes_verified(count)
        left = count
        while left > 0 and not self._stop.is_set():
            granted, wait_seconds = self._limit.reserve(left)
            self._stop.wait(wait_seconds)
            left -= granted

    def file_ended(self, result: FileResult, entries: int = 1) -> None:
        """See `Progress`."""
        self._progress.file_ended(result, entries)
