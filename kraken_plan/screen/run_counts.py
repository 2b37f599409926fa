"""Counts, while a run is under way, how its entries end and how fast bytes come. Prints nothing."""

import threading
import time
from collections import deque
from collections.abc import Callable, Container
from dataclasses import dataclass

from applier.restore.progress import Progress
from applier.s3.outage import Silence
from schemas.plan import Plan
from schemas.results import FileResult
from schemas.tally import Amount, Fate, Tally, fate_of_file

_SLOT_SECONDS = 0.5
_RATE_SECONDS = 5.0
_FORECAST_SECONDS = 30.0  # longer: big files end seldom, and nobody trusts a countdown that jumps
_LEAST_FORECAST_SECONDS = 2.0
_IDLE_SECONDS = 5.0

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """How far a run has come.

    Args:
        tally: entries by fate; those still to come count as not attempted.
        total_bytes: of all entries that the plan could resolve, as far as their sizes are known.
        verified_bytes: read back and hashed, those of files under way among them.
        fetched_bytes: that came from S3 in this run.
        fetched_per_second: of the last seconds.
        hashed_per_second: likewise; all that was read back, fetched or found on the disk.
        seconds: since the run began.
        seconds_left: until its end, at the pace of the last half minute; None if that cannot be said.
        idle_seconds: since the last byte; 0 if that was just now.
        silence: of S3; None if it answers.
        checked: how many entries were looked at, by a run that only looks; None if it restores.
        thawing: how many files are waited for, which S3 is restoring from its archives.
        has_ended: whether this is the last word.
    """

    tally: Tally
    total_bytes: int
    verified_bytes: int
    fetched_bytes: int
    fetched_per_second: float
    hashed_per_second: float
    seconds: float
    seconds_left: float | None
    idle_seconds: float
    silence: Silence | None
    checked: int | None
    thawing: int
    has_ended: bool


class RunCounts(Progress):
    """Takes note of what a run reports, from many threads.

    Args:
        start: the entries of the plan before anything is attempted.
        silence: asks whether S3 answers.
        only_looks: whether the run changes nothing.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        start: Tally,
        silence: Callable[[], Silence | None] = lambda: None,
        *,
        only_looks: bool = False,
        clock: Clock = time.monotonic,
    ) -> None:
        self._silence, self._clock = silence, clock
        self._begun = clock()
        self._lock = threading.Lock()
        self._entries, self._total_bytes = _Entries(start), (start.not_attempted + start.failed).size_bytes
        self._thawing, self._checked = 0, 0 if only_looks else None
        self._fetched, self._hashed = _Meter(clock), _Meter(clock)
        self._has_ended = False

    def bytes_verified(self, count: int) -> None:
        """See `Progress`."""
        with self._lock:
            self._hashed.add(count)

    def bytes_fetched(self, count: int) -> None:
        """See `Progress`."""
        with self._lock:
            self._fetched.add(count)

    def file_ended(self, result: FileResult, entries: int = 1) -> None:
        """See `Progress`."""
        size_bytes = result.size_bytes or 0
        with self._lock:
            self._entries.end(fate_of_file(result), entries, entries * size_bytes)
            if result.outcome.succeeded and entries > 1:  # its bytes were read back once, and stand for each entry
                self._hashed.total += (entries - 1) * size_bytes

    def file_checked(self, entries: int = 1) -> None:
        """See `Progress`."""
        with self._lock:
            self._checked = (self._checked or 0) + entries

    def files_thawing(self, count: int) -> None:
        """See `Progress`."""
        with self._lock:
            self._thawing = count

    def end(self, tally: Tally) -> None:
        """Take over how everything ended in the end: what was not attempted never ended before."""
        with self._lock:
            self._entries, self._has_ended, self._thawing = _Entries(tally), True, 0

    def state(self) -> RunState:
        """Return how far the run has come."""
        with self._lock:
            now = self._clock()
            tally, verified_bytes = self._entries.tally(), max(self._hashed.total, 0)
            if self._has_ended:
                verified_bytes = tally.verified.size_bytes
            # sizes that the plan does not know count once they are known
            total_bytes = max(self._total_bytes, tally.total.size_bytes - tally.unresolvable.size_bytes)
            fetched, hashed = self._fetched.rate(_RATE_SECONDS), self._hashed.rate(_RATE_SECONDS)
            idle_seconds = 0.0 if fetched or hashed else now - max(self._fetched.last_at, self._hashed.last_at)
            silence = None if fetched or self._has_ended else self._silence()
            is_idle = idle_seconds >= _IDLE_SECONDS
            is_stuck = is_idle or silence is not None or self._thawing > 0 or self._has_ended
            # nobody waits for what has failed
            bytes_to_go = min(max(total_bytes - verified_bytes, 0), tally.not_attempted.size_bytes)
            return RunState(
                tally=tally,
                total_bytes=total_bytes,
                verified_bytes=verified_bytes,
                fetched_bytes=self._fetched.total,
                fetched_per_second=fetched,
                hashed_per_second=hashed,
                seconds=now - self._begun,
                seconds_left=None if is_stuck else self._seconds_left(bytes_to_go, now),
                idle_seconds=idle_seconds if is_idle else 0.0,
                silence=silence,
                checked=self._checked,
                thawing=self._thawing,
                has_ended=self._has_ended,
            )

    def _seconds_left(self, bytes_to_go: int, now: float) -> float | None:
        rate = self._hashed.rate(_FORECAST_SECONDS)
        if rate <= 0 or now - self._begun < _LEAST_FORECAST_SECONDS:
            return None
        return bytes_to_go / rate


def plan_at_start(plan: Plan, lost_buckets: Container[str | None] = ()) -> Tally:
    """Return the entries of a plan before anything is attempted.

    Args:
        plan: as it is applied.
        lost_buckets: those that cannot be used: their files have failed already.
    """
    lost = [raw_file.totals() for raw_file in plan.raw_files if raw_file.bucket_name in lost_buckets]
    entries = _Entries(Tally.of_plan(plan))
    entries.end(Fate.FAILED, sum(totals.files for totals in lost), sum(totals.size_bytes for totals in lost))
    return entries.tally()


class _Entries:
    """The entries of a plan by fate, while they meet theirs; those still to come count as not attempted.

    Args:
        start: before the next one ends.
    """

    def __init__(self, start: Tally) -> None:
        self._counts = {fate: start[fate].entries for fate in Fate}
        self._sizes_bytes = {fate: start[fate].size_bytes for fate in Fate}

    def end(self, fate: Fate, count: int, size_bytes: int) -> None:
        """Have so many entries meet a fate."""
        if fate is Fate.NOT_ATTEMPTED:
            return
        self._counts[fate] += count
        self._sizes_bytes[fate] += size_bytes
        self._counts[Fate.NOT_ATTEMPTED] -= count
        bytes_to_go = self._sizes_bytes[Fate.NOT_ATTEMPTED] - size_bytes
        self._sizes_bytes[Fate.NOT_ATTEMPTED] = max(bytes_to_go, 0)  # the plan does not know every size

    def tally(self) -> Tally:
        """Return how many entries met which fate so far."""
        return Tally({fate: Amount(self._counts[fate], self._sizes_bytes[fate]) for fate in Fate})


class _Meter:
    """Adds up bytes, and knows how many of them came in the last seconds.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._begun = self.last_at = clock()
        self.total = 0
        self._slots: deque[tuple[int, int]] = deque()

    def add(self, count: int) -> None:
        """Count bytes; those that are taken back (below 0) change the total, and not the rate at which they came."""
        self.total += count
        if count <= 0:
            return
        self.last_at = self._clock()
        slot = int(self.last_at / _SLOT_SECONDS)
        if self._slots and self._slots[-1][0] == slot:
            self._slots[-1] = slot, self._slots[-1][1] + count
            return
        self._slots.append((slot, count))
        while self._slots[0][0] < slot - _FORECAST_SECONDS / _SLOT_SECONDS:
            self._slots.popleft()

    def rate(self, seconds: float) -> float:
        """Return the bytes a second over the last so many seconds, or since the begin where that was later."""
        now = self._clock()
        first = int((now - seconds) / _SLOT_SECONDS) + 1
        came = sum(count for slot, count in self._slots if slot >= first)
        return came / max(min(seconds, now - self._begun), _SLOT_SECONDS)
