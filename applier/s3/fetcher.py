"""Asks S3 and fetches bytes: retries with back-off and jitter, and resumes where the last attempt stopped.

tenacity retries; it waits on the stop event, so that an interrupted run does not go on sleeping.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from applier.s3.bandwidth import BandwidthLimit
from applier.s3.faults import S3Fault, wrong_range
from applier.s3.outage import OutageWatch
from applier.s3.protocol import ObjectInfo, ObjectStore, ObjectVersion, PartChecksum
from schemas.s3_location import ObjectLocation
from schemas.text import printable

if TYPE_CHECKING:
    from tenacity import RetryCallState, Retrying

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Interrupted(Exception):  # noqa: N818  # not an error: the operator asked for it
    """Raised where work ends because the run is to stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often a transient fault is retried, and with which waits.

    The defaults wait about 50 seconds in all, which outlasts a server that restarts within 30 seconds.
    """

    attempts: int = 8
    first_wait_seconds: float = 0.5
    longest_wait_seconds: float = 20.0

    def call(self, question: Callable[[], T], stop: threading.Event) -> T:
        """Ask until there is an answer, a final fault, no attempt left, or `stop` is set.

        Raises:
            S3Fault: the last one.
            Interrupted: the run is to stop.
        """
        if stop.is_set():
            raise Interrupted
        try:
            return question()  # nearly always enough, without tenacity's own work
        except S3Fault as fault:
            if stop.is_set():
                raise Interrupted from fault
            if not fault.transient or self.attempts == 1:
                raise
            logger.info("the first attempt failed: %s", printable(str(fault)))
        stop.wait(self.first_wait_seconds)
        try:
            return self._retrying(stop)(question)
        except S3Fault as fault:
            if stop.is_set():
                raise Interrupted from fault
            raise

    def _retrying(self, stop: threading.Event) -> "Retrying":
        import tenacity  # noqa: PLC0415  # slow to load, and most runs meet no fault

        return tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_transient),
            wait=tenacity.wait_exponential(multiplier=2 * self.first_wait_seconds, max=self.longest_wait_seconds)
            + tenacity.wait_random(0, self.first_wait_seconds),
            stop=tenacity.stop_after_attempt(self.attempts - 1) | tenacity.stop_when_event_set(stop),
            sleep=tenacity.sleep_using_event(stop),
            before_sleep=_log_retry,
            reraise=True,
        )


class RetryCounts:
    """How often requests for an object had to be repeated, until somebody takes note of it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, str], int] = {}

    def add(self, location: ObjectLocation, count: int) -> None:
        """Count repetitions."""
        key = location.bucket_name, location.key
        with self._lock:
            self._counts[key] = self._counts.get(key, 0) + count

    def take(self, location: ObjectLocation) -> int:
        """Return how many there were since this was asked last."""
        if not self._counts:
            return 0
        with self._lock:
            return self._counts.pop((location.bucket_name, location.key), 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetcher:
    """Asks a store, with retries; without a bandwidth limit each range is one request."""

    store: ObjectStore
    retry: RetryPolicy
    stop: threading.Event
    limit: BandwidthLimit | None = None
    outage: OutageWatch = field(default_factory=OutageWatch)
    retries: RetryCounts = field(default_factory=RetryCounts)

    def raise_if_stopped(self) -> None:
        """Raise `Interrupted` if the run is to stop."""
        if self.stop.is_set():
            raise Interrupted

    def head(self, location: ObjectLocation) -> ObjectInfo:
        """Return etag and size of an object.

        Raises:
            S3Fault: a final fault, or a transient one after all attempts.
            Interrupted: the run is to stop.
        """
        return self.ask("HEAD", location, lambda: self.store.head(location))

    def check_readable(self, location: ObjectLocation) -> None:
        """Ask for one byte of an object that is not empty; see `ObjectStore.check_readable`.

        Raises:
            S3Fault: a final fault, or a transient one after all attempts.
            Interrupted: the run is to stop.
        """
        self.ask("GET", location, lambda: self.store.check_readable(location))

    def encryption(self, location: ObjectLocation) -> str | None:
        """Return how S3 encrypts an object; None if it does not say.

        Raises:
            Interrupted: the run is to stop.
        """
        try:
            return self.ask("HEAD", location, lambda: self.store.encryption(location))
        except S3Fault:
            return None

    def list_versions(self, location: ObjectLocation) -> list[ObjectVersion]:
        """Return the versions of an object, delete markers among them, newest first.

        Raises:
            S3Fault: a final fault (most often: not permitted), or a transient one after all attempts.
            Interrupted: the run is to stop.
        """
        return self.ask("LIST", location, lambda: self.store.list_versions(location))

    def part_checksums(self, location: ObjectLocation, etag: str) -> list[PartChecksum]:
        """Return what S3 recorded of each part of an object with this etag; empty where one attempt does not say."""
        try:
            return self.store.part_checksums(location, etag)
        except S3Fault as fault:
            logger.info("%s: no checksums of its parts: %s", printable(str(location)), printable(str(fault)))
            return []

    def download_file_from_s3(
        self,
        location: ObjectLocation,
        etag: str,
        byte_range: tuple[int, int],
        write: Callable[[memoryview, int], None],
    ) -> None:
        """Fetch a range of the version of an object that has this etag, and write it buffer by buffer.

        Args:
            location: the object.
            etag: its etag as S3 gave it; sent as If-Match and compared with the answer's own.
            byte_range: half-open.
            write: takes each buffer and its offset in the object; each offset once, in order.

        Raises:
            S3Fault: a final fault, or a transient one after all attempts.
            Interrupted: the run is to stop.
        """
        position, end = byte_range

        def fetch_on() -> None:
            nonlocal position
            if position == end:
                return  # the last attempt failed after its last byte
            until = position + self._await_allowance(end - position)
            for buffer in self.store.read_range(location, position, until, etag):
                if self.stop.is_set():
                    raise Interrupted
                if position + len(buffer) > until:
                    raise wrong_range(location)
                write(buffer, position)
                position += len(buffer)

        while position < end:  # one request per turn, each with all its attempts: a low limit takes many
            self.ask("GET", location, fetch_on, offset=byte_range[0])

    def ask(self, method: str, location: ObjectLocation, question: Callable[[], T], *, offset: int = 0) -> T:
        """Ask with all attempts, waiting while S3 is away and refusing once the run has given up.

        Args:
            method: of the request.
            location: what is asked for.
            question: makes one attempt.
            offset: from which byte on.

        Raises:
            S3Fault: a final fault, or a transient one after all attempts.
            Interrupted: the run is to stop.
        """
        topic, outage, attempts = (location.bucket_name, method), self.outage, 0

        def ask_when_due() -> T:
            nonlocal attempts
            while True:
                while (seconds := outage.pause_seconds(topic)) > 0:
                    if self.stop.wait(seconds):
                        raise Interrupted
                if refusal := outage.refusal(topic, location):
                    raise refusal
                attempts += 1
                begun = outage.clock()
                try:
                    answer = question()
                except S3Fault as fault:
                    _log_request(method, location, offset, outage.clock() - begun, str(fault))
                    outage.note_failure(topic, location, fault, begun=begun, offset=offset)
                    if not outage.is_waiting(topic) or self.stop.is_set():
                        raise
                    continue  # it asked on behalf of all: an outage does not count against this object
                outage.note_success(topic)
                _log_request(method, location, offset, outage.clock() - begun, "answered")
                return answer

        try:
            return self.retry.call(ask_when_due, self.stop)
        finally:
            if attempts > 1:
                self.retries.add(location, attempts - 1)

    def _await_allowance(self, wanted_bytes: int) -> int:
        """Wait until something may be asked for, and return for how many bytes."""
        if self.limit is None:
            return wanted_bytes
        granted_bytes, wait_seconds = self.limit.reserve(wanted_bytes)
        if self.stop.wait(wait_seconds):
            raise Interrupted
        return granted_bytes


def _log_request(method: str, location: ObjectLocation, offset: int, seconds: float, end: str) -> None:
    if logger.isEnabledFor(logging.DEBUG):
        words = "%s %s from byte %d: %s after %.3f s"
        logger.debug(words, method, printable(str(location)), offset, printable(end), seconds)


def _is_transient(error: BaseException) -> bool:
    return isinstance(error, S3Fault) and error.transient


def _log_retry(state: "RetryCallState") -> None:
    fault = state.outcome.exception() if state.outcome else None
    wait_seconds = state.next_action.sleep if state.next_action else 0.0
    logger.info("attempt %d failed, next in %.1f s: %s", state.attempt_number + 1, wait_seconds, printable(str(fault)))
