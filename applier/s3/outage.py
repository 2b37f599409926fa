"""When a run waits for S3, and when it stops asking: told how its requests ended, it says what is to be expected.

No I/O in here. Each request has its own retries. Without this, a plan of 100,000 files would wait them out 100,000
times over where S3 is away for good, and would lose files all the time where it is away for minutes.
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

# So many requests without one success in between, and for so long: most have retries left by then. Other files are
# given up for the sake of files only: the many ranges of a big one may lie in one bad object.
MOST_SILENT_REQUESTS = MOST_SILENT_FILES = 8
LEAST_SILENCE_SECONDS = 5.0
PROBE_SECONDS = 5.0
# A denial takes no time, and may be meant for a folder alone; but each is noted by whoever watches the bucket.
MOST_DENIED_FILES = 50
# No request at all can succeed with these. A signature may be wrong for the sake of one odd key.
_HOPELESS_CODES = BAD_CREDENTIALS_CODES - {"SignatureDoesNotMatch"}

Topic = tuple[str, str]


class GivenUp(S3Fault):
    """A request that was not made, for those before it have failed."""


@dataclass(slots=True)
class _Streak:
    """Failures of one kind, with no success in between."""

    begun: float
    last: S3Fault
    keys: set[str] = field(default_factory=set)
    requests: set[tuple[str, int]] = field(default_factory=set)
    next_probe: float = 0.0
    refused: int = 0

    def is_silence(self, now: float) -> bool:
        """Whether S3 is away, as far as can be told."""
        seconds = now - self.begun
        return self.last.transient and len(self.requests) >= MOST_SILENT_REQUESTS and seconds >= LEAST_SILENCE_SECONDS

    @property
    def is_denial(self) -> bool:
        """Whether S3 denies everything, as far as can be told."""
        return not self.last.transient and len(self.keys) >= MOST_DENIED_FILES


class OutageWatch:
    """What a run has come to expect of S3, by topic: a bucket, and what is asked of it.

    Args:
        max_outage_seconds: how long to wait for an S3 that gives nothing at all, before the rest is given up.
        clock: seconds that only grow.
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
        """Return how long to wait, and then to ask this once more; 0 to go on.

        While S3 is away, one request is made now and then, and the others wait: so they do not use up their retries.
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
        """Tell whether S3 is away and waited for: a request that fails meanwhile may be asked again."""
        with self._lock:
            streak, now = self._streaks.get(topic), self.clock()
            return streak is not None and streak.is_silence(now) and not self._is_over(streak, now)

    def refusal(self, topic: Topic, location: ObjectLocation) -> GivenUp | None:
        """Return why an object is not to be asked for; None if it is."""
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
        """A request was answered; others are worth while again."""
        if topic in self._streaks:
            with self._lock:
                streak = self._streaks.pop(topic, None)
            if streak is not None and streak.next_probe:
                logger.warning("bucket %s: S3 answers again", printable(topic[0]))

    def note_failure(
        self, topic: Topic, location: ObjectLocation, fault: S3Fault, *, begun: float, offset: int = 0
    ) -> None:
        """An attempt that was begun then has failed, to ask for the bytes from an offset on."""
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
            streak.last = fault
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
        words = "bucket %s: S3 has given nothing for %.0f s (%s); it is waited for, up to %.0f s"
        reason = printable(streak.last.failure.detail, 300)
        logger.warning(words, printable(topic[0]), now - streak.begun, reason, self._max_outage_seconds)
