"""Shows how far a run has come: a bar on a terminal, a line now and then elsewhere, nothing under --quiet.

The only tqdm import, made only for a terminal.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from applier.restore.progress import Progress
from kraken_plan.console import say
from kraken_plan.logs import is_quiet
from kraken_plan.signals import StopRequest
from schemas.plan import Plan, PlanTotals
from schemas.results import FileResult
from schemas.text import counted, human_size

if TYPE_CHECKING:
    from tqdm import tqdm

_LINE_INTERVAL_SECONDS = 30.0


class CountedProgress(Progress):
    """Counts, and says on request how far the run has come.

    Args:
        totals: what there is to restore.
        clock: seconds that only grow.
    """

    def __init__(self, totals: PlanTotals, clock: Callable[[], float] = time.monotonic) -> None:
        self._totals, self._clock = totals, clock
        self._files = self._bytes = self._thawing = 0
        self._begun = clock()
        self._lock = threading.Lock()

    def bytes_verified(self, count: int) -> None:
        """See `Progress`."""
        with self._lock:
            self._bytes += count

    def file_ended(self, result: FileResult) -> None:
        """See `Progress`."""
        del result
        with self._lock:
            self._files += 1

    def files_thawing(self, count: int) -> None:
        """See `Progress`."""
        with self._lock:
            self._thawing = count

    def describe(self) -> str:
        """Return in one line how far the run has come."""
        files, done_bytes, seconds = self._files, max(self._bytes, 0), self._clock() - self._begun
        rate = done_bytes / seconds if seconds > 0 else 0.0
        left = max(self._totals.size_bytes - done_bytes, 0)
        remaining = f", {left / rate / 60:.0f} min left" if rate > 0 and not self._thawing else ""
        waiting = f", waiting for {counted(self._thawing, 'file')} that S3 is thawing" if self._thawing else ""
        return (
            f"{files:,}/{self._totals.files:,} files done, {human_size(done_bytes)} of "
            f"{human_size(self._totals.size_bytes)} verified, {human_size(round(rate))}/s{remaining}{waiting}"
        )


class LineProgress(CountedProgress):
    """Writes a line now and then, for a log.

    Args:
        totals: what there is to restore.
        write: takes each line.
        clock: seconds that only grow.
    """

    def __init__(
        self, totals: PlanTotals, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(totals, clock)
        self._write, self._written_at = write, clock()

    def bytes_verified(self, count: int) -> None:
        """See `Progress`."""
        super().bytes_verified(count)
        self._write_now_and_then()

    def file_ended(self, result: FileResult) -> None:
        """See `Progress`."""
        super().file_ended(result)
        self._write_now_and_then()

    def files_thawing(self, count: int) -> None:
        """See `Progress`; the first time at once."""
        begins = count > 0 and self._thawing == 0
        super().files_thawing(count)
        if begins:
            self._write(self.describe())
        else:
            self._write_now_and_then()

    def _write_now_and_then(self) -> None:
        now = self._clock()
        with self._lock:
            if now - self._written_at < _LINE_INTERVAL_SECONDS:
                return
            self._written_at = now
        self._write(self.describe())


class BarProgress(CountedProgress):
    """Draws a bar on a terminal: files and bytes, rate, time left.

    Args:
        totals: what there is to restore.
        bar: counts bytes.
    """

    def __init__(self, totals: PlanTotals, bar: "tqdm[NoReturn]") -> None:
        super().__init__(totals)
        self._bar, self._bar_lock = bar, threading.Lock()
        self._label_bar()

    def bytes_verified(self, count: int) -> None:
        """See `Progress`."""
        super().bytes_verified(count)
        with self._bar_lock:
            self._bar.update(count)

    def file_ended(self, result: FileResult) -> None:
        """See `Progress`."""
        super().file_ended(result)
        with self._bar_lock:
            self._label_bar()

    def files_thawing(self, count: int) -> None:
        """See `Progress`."""
        super().files_thawing(count)
        with self._bar_lock:
            self._label_bar()
            self._bar.refresh()

    def _label_bar(self) -> None:
        thawing = f", {self._thawing} thawing" if self._thawing else ""
        self._bar.set_description(f"{self._files}/{self._totals.files} files done{thawing}", refresh=False)


@contextmanager
def shown_progress(plan: Plan, stop: StopRequest) -> Iterator[Progress]:
    """Show the progress of a run during a block, and tell it on request.

    Args:
        plan: what is restored or looked at.
        stop: asks how far the run has come.
    """
    totals = plan.totals()
    if sys.stderr is not None and sys.stderr.isatty() and not is_quiet():
        with _drawn_bar(totals) as bar:
            stop.describe_progress = bar.describe
            yield bar
        return
    counted = CountedProgress(totals) if is_quiet() else LineProgress(totals, say)
    stop.describe_progress = counted.describe
    yield counted


@contextmanager
def _drawn_bar(totals: PlanTotals) -> Iterator[BarProgress]:
    """Draw a bar, with log lines above it, and leave it as it stands at the end."""
    from tqdm import tqdm  # noqa: PLC0415  # a run without a terminal does without it
    from tqdm.contrib.logging import logging_redirect_tqdm  # noqa: PLC0415

    bar: tqdm[NoReturn] = tqdm(
        total=totals.size_bytes, unit="B", unit_scale=True, unit_divisor=1024, dynamic_ncols=True
    )
    with bar, logging_redirect_tqdm():
        yield BarProgress(totals, bar)
