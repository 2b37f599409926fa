"""Decides, from how requests ended, when the run waits for S3 and when it gives up.

Does no I/O. Each request has its own retries; with those alone, a plan of 100,000 files would exhaust them 100,000
times while S3 is down for good, and would keep losing files while it is down for minutes.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from applier.s3.faults import BAD_CREDENTIALS_CODES, S3Fault
from schemas.results import FailureKind
from schemas.s3_location import ObjectLocation
from schemas.text import printable

logger = logging.getLogger(__name__)

MAX_OUTAGE_SECONDS = 300

# S3 counts as silent after this many failed requests without a success, and this long: most still have retries left
# then. The rest is given up only after as many files: all the ranges of a big file may lie in one bad object.
MOST_SILENT_REQUESTS = MOST_SILENT_FILES = 8
LEAST_SILENCE_SECONDS = 5.0
PROBE_SECONDS = 5.0
# A failure says nothing any more of whether S3 answers once no request has been made for longer than any wait.
_FORGOTTEN_SECONDS = 60.0
# A denial costs no time and may concern only one folder, but whoever monitors the bucket sees each of them.
MOST_DENIED_FILES = 50
# With these, no request at all can succeed. A signature may also be wrong because of one odd key.
_HOPELESS_CODES = BAD_CREDENTIALS_CODES - {"SignatureDoesNotMatch"}

Topic = tuple[str, str]


class GivenUp(S3Fault):
    """A request that was not made, because those before it had failed."""


@dataclass(frozen=True, slots=True)
class Silence:
    """An S3 that does not answer.

    Args:
        seconds: since when.
        seconds_left: how long the run still waits for it; None where each request only has its own retries left.
    """

    seconds: float
    seconds_left: float | None


@dataclass(slots=True)
class _Streak:
    """Failures of one kind without a success in between."""

    begun: float
    last: S3Fault
    keys: set[str] = field(default_factory=set)
    requests: set[tuple[str, int]] = field(default_factory=set)
    last_at: float = 0.0
    next_probe: float = 0.0
    refused: int = 0

    def is_silence(self, now: float) -> bool:
        """Tell whether S3 seems to be down."""
        seconds = now - self.begun
        return self.last.transient and len(self.requests) >= MOST_SILENT_REQUESTS and seconds >= LEAST_SILENCE_SECONDS

    @property
    def is_denial(self) -> bool:
        """Whether S3 seems to deny everything."""
        return not self.last.transient and len(self.keys) >= MOST_DENIED_FILES


class OutageWatch:
    """Watches how requests end, by topic: a bucket, and the method that it is asked with.

    Args:
        max_outage_seconds: how long to wait for an S3 that does not answer at all before giving up the rest.
        clock: monotonic, in seconds.
    """

    def __init__(
        self, max_outage_seconds: float = MAX_OUTAGE_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.clock = clock
        self._max_outage_seconds = max_outage_seconds
        self._lock = threading.Lock()
        self._streaks: dict[Topic, _Streak] = {}
        self._bad_credentials: S3Fault | None = None

    def pause_seconds(self, topic: Topic) -> float:
        """Return how long to wait before asking this again; 0 to send the request now.

        While S3 is down, one request is sent now and then and the others wait, so that they keep their retries.
        """
        if topic not in self._streaks:
            return 0.0
        with self._lock:
            streak, now = self._streaks.get(topic), self.clock()
            if streak is None or not streak.is_silence(now) or self._is_over(streak, now):
                return 0.0
            if now >= streak.next_probe:
                if streak.next_probe == 0.0:
                    self._tell(topic, streak, now)
                streak.next_probe = now + PROBE_SECONDS
                return 0.0
            return streak.next_probe - now

    def is_waiting(self, topic: Topic) -> bool:
        """Tell whether the run waits for S3: a request that fails meanwhile does not count against its object."""
        with self._lock:
            streak, now = self._streaks.get(topic), self.clock()
            return streak is not None and streak.is_silence(now) and not self._is_over(streak, now)

    def silence(self) -> Silence | None:
        """Return since when S3 does not answer, for people who watch; None if it answers, or is asked nothing."""
        with self._lock:
            now = self.clock()
            recent = [streak for streak in self._streaks.values() if now - streak.last_at < _FORGOTTEN_SECONDS]
            streaks = [streak for streak in recent if streak.last.transient and not self._is_over(streak, now)]
            waiting = [streak for streak in streaks if streak.is_silence(now)]
            since = min((streak.begun for streak in waiting or streaks), default=now)
            if now - since < LEAST_SILENCE_SECONDS:
                return None
            return Silence(now - since, self._max_outage_seconds - (now - since) if waiting else None)

    def refusal(self, topic: Topic, location: ObjectLocation) -> GivenUp | None:
        """Return why a request for an object will not be sent; None if it will."""
        if topic not in self._streaks and self._bad_credentials is None:
            return None
        with self._lock:
            if (fault := self._bad_credentials) is not None:
                return GivenUp(fault.failure.kind, f"{location} was not asked for; {fault.failure.detail}")
            streak, now = self._streaks.get(topic), self.clock()
            if streak is None or not self._refuses(streak, now):
                return None
            count, last = len(streak.keys), streak.last.failure
            return GivenUp(
                last.kind,
                f"{location} was not asked for, as {count} files in a row had failed; the last: {last.detail}",
            )

    def note_success(self, topic: Topic) -> None:
        """Note that a request was answered, so that others are worth sending again."""
        if topic in self._streaks:
            with self._lock:
                streak = self._streaks.pop(topic, None)
            if streak is not None and streak.next_probe:
                logger.warning("bucket %s: S3 answers again", printable(topic[0]))

    def note_failure(
        self, topic: Topic, location: ObjectLocation, fault: S3Fault, *, begun: float, offset: int = 0
    ) -> None:
        """Note that an attempt failed.

        Args:
            topic: what was asked.
            location: the object.
            fault: how it failed.
            begun: when the attempt began, by the clock.
            offset: of the first byte that was asked for.
        """
        denied = fault.failure.kind is FailureKind.ACCESS_DENIED
        if not (fault.transient or denied):
            self.note_success(topic)  # an answer as good as any: no such key, another etag
            return
        with self._lock:
            if fault.code in _HOPELESS_CODES:
                self._bad_credentials = fault
            streak = self._streaks.get(topic)
            if streak is None or streak.last.transient != fault.transient:
                streak = self._streaks[topic] = _Streak(begun, fault)
            streak.last, streak.last_at = fault, self.clock()
            streak.keys.add(location.key)
            streak.requests.add((location.key, offset))

    def _refuses(self, streak: _Streak, now: float) -> bool:
        if streak.is_denial:
            streak.refused += 1
            return streak.refused % MOST_DENIED_FILES != 0  # now and then one is asked for: others may be allowed
        return len(streak.keys) >= MOST_SILENT_FILES and streak.is_silence(now) and self._is_over(streak, now)

    def _is_over(self, streak: _Streak, now: float) -> bool:
        return now - streak.begun >= self._max_outage_seconds

    def _tell(self, topic: Topic, streak: _Streak, now: float) -> None:
        words = "bucket %s: no answer from S3 for %.0f s (%s); waiting up to %.0f s"
        reason = printable(streak.last.failure.detail, 300)
        logger.warning(words, printable(topic[0]), now - streak.begun, reason, self._max_outage_seconds)
