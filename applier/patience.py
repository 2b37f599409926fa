"""When a run stops asking S3: told how its requests ended, it says where no more is to be expected. No I/O in here.

Each request has its own retries. Without this, a plan of 100,000 files would wait them out 100,000 times over.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from applier.object_store import BAD_CREDENTIALS_CODES, ObjectLocation, S3Fault
from schemas.results import FailureKind

# So many files one after the other, each with all its retries, and for so long: no burst of errors lasts as long.
MOST_SILENT_FILES = 8
LEAST_SILENCE_SECONDS = 30.0
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

    def is_over(self, now: float) -> bool:
        if self.last.transient:
            return len(self.keys) >= MOST_SILENT_FILES and now - self.begun >= LEAST_SILENCE_SECONDS
        return len(self.keys) >= MOST_DENIED_FILES


class Patience:
    """What a run has come to expect of S3, by topic: a bucket, and what is asked of it.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._lock = threading.Lock()
        self._streaks: dict[Topic, _Streak] = {}
        self._given_up: dict[Topic, _Streak] = {}
        self._bad_credentials: S3Fault | None = None

    def refusal(self, topic: Topic, location: ObjectLocation) -> GivenUp | None:
        """Return why an object is not to be asked for; None if it is."""
        if not self._given_up and self._bad_credentials is None:
            return None
        with self._lock:
            if (fault := self._bad_credentials) is not None:
                return GivenUp(fault.failure.kind, f"{location} was not asked for; {fault.failure.detail}")
            if (streak := self._given_up.get(topic)) is None:
                return None
            count, last = len(streak.keys), streak.last.failure
            return GivenUp(
                last.kind,
                f"{location} was not asked for, as {count} files in a row had failed; the last: {last.detail}",
            )

    def succeeded(self, topic: Topic) -> None:
        """A request was answered; others are worth while again."""
        if topic in self._streaks:
            with self._lock:
                self._streaks.pop(topic, None)
                self._given_up.pop(topic, None)

    def failed(self, topic: Topic, location: ObjectLocation, fault: S3Fault, begun: float) -> None:
        """A request that was begun then has failed in all its attempts."""
        denied = fault.failure.kind is FailureKind.ACCESS_DENIED
        if not (fault.transient or denied):
            self.succeeded(topic)  # an answer as good as any: no such key, another etag
            return
        with self._lock:
            if fault.code in _HOPELESS_CODES:
                self._bad_credentials = fault
            streak = self._streaks.get(topic)
            if streak is None or streak.last.transient != fault.transient:
                streak = self._streaks[topic] = _Streak(begun, fault)
            streak.last = fault
            streak.keys.add(location.key)
            if streak.is_over(self.clock()):
                self._given_up[topic] = streak
