"""Progress as a bar on a terminal. The only tqdm import: a run without a terminal does without it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from applier.restore.progress import Progress
from schemas.results import FileResult


class BarProgress(Progress):
    """A bar for a terminal: files and bytes, rate, time left.

    Args:
        total_files: files that apply will try.
        total_bytes: their sizes, as far as the plan has them.
    """

    def __init__(self, total_files: int, total_bytes: int) -> None:
        self._files, self._total_files = 0, total_files
        self._lock = threading.Lock()
        self._bar: tqdm[NoReturn] = tqdm(
            total=total_bytes, unit="B", unit_scale=True, unit_divisor=1024, dynamic_ncols=True
        )
        self._describe()

    def bytes_verified(self, count: int) -> None:
        """See `Progress`."""
        with self._lock:
            self._bar.update(count)

    def file_ended(self, result: FileResult) -> None:
        """See `Progress`."""
        del result
        with self._lock:
            self._files += 1
            self._describe()

    def close(self) -> None:
        """Leave the bar as it stands."""
        self._bar.close()

    def _describe(self) -> None:
        self._bar.set_description(f"{self._files}/{self._total_files} files verified", refresh=False)


@contextmanager
def progress_bar(total_files: int, total_bytes: int) -> Iterator[Progress]:
    """Show a bar during a block, log lines above it; it is left as it stands at the end."""
    bar = BarProgress(total_files, total_bytes)
    try:
        with logging_redirect_tqdm():
            yield bar
    finally:
        bar.close()
