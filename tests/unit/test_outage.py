"""When a run waits for S3, and when it stops asking."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from applier.s3.faults import S3Fault, changed_during_download, fault_of_answer
from applier.s3.fetcher import Fetcher, RetryPolicy
from applier.s3.outage import (
    LEAST_SILENCE_SECONDS,
    MAX_OUTAGE_SECONDS,
    MOST_DENIED_FILES,
    MOST_SILENT_FILES,
    PROBE_SECONDS,
    OutageWatch,
    Silence,
)
from applier.s3.protocol import ListedPage, ObjectInfo, ObjectVersion, PartChecksum
from schemas.s3_location import ObjectLocation

GET, HEAD, OTHER = ("b", "GET"), ("b", "HEAD"), ("other", "GET")


@dataclass(slots=True)
class Clock:
    """Seconds that pass when a test says so."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def located(number: int) -> ObjectLocation:
    return ObjectLocation(bucket_name="b", key=str(number))


def answer(status: int, code: str, number: int = 0) -> S3Fault:
    return fault_of_answer(located(number), status, code)


def fail(outage: OutageWatch, numbers: range, status: int = 503, code: str = "SlowDown", *, begun: float = 0.0) -> None:
    for number in numbers:
        outage.note_failure(GET, located(number), answer(status, code, number), begun=begun)


def outage_at(clock: Clock) -> OutageWatch:
    return OutageWatch(clock=clock)


def silent(clock: Clock) -> OutageWatch:
    """The watch of a run that has just learnt that S3 gives nothing."""
    outage = outage_at(clock)
    fail(outage, range(MOST_SILENT_FILES), begun=clock.now)
    clock.now += LEAST_SILENCE_SECONDS
    return outage


def gave_up(outage: OutageWatch, topic: tuple[str, str] = GET) -> bool:
    return outage.refusal(topic, located(99)) is not None


def test_silence_should_be_waited_for_with_one_request_now_and_then() -> None:
    clock = Clock()
    outage = silent(clock)

    for _ in range(3):
        assert outage.pause_seconds(GET) == 0.0  # this one asks
        assert not gave_up(outage)
        assert outage.pause_seconds(GET) == PROBE_SECONDS  # and these wait
        clock.now += 1
        assert outage.pause_seconds(GET) == PROBE_SECONDS - 1
        clock.now += PROBE_SECONDS - 1


def test_nothing_should_be_waited_for_before_enough_files_have_failed_for_long_enough() -> None:
    clock = Clock()
    outage = outage_at(clock)

    fail(outage, range(90), begun=clock.now)
    assert [outage.pause_seconds(GET) for _ in range(2)] == [0.0, 0.0]

    few = outage_at(clock)
    fail(few, range(MOST_SILENT_FILES - 1), begun=clock.now)
    clock.now += LEAST_SILENCE_SECONDS
    assert [few.pause_seconds(GET) for _ in range(2)] == [0.0, 0.0]
    assert [outage.pause_seconds(GET) for _ in range(2)] == [0.0, PROBE_SECONDS]


def test_who_watches_should_be_told_since_when_s3_fails_and_how_long_the_run_waits() -> None:
    # given one request that fails again and again, which waits for nothing but its retries
    clock = Clock()
    outage = outage_at(clock)
    assert outage.silence() is None
    fail(outage, range(1), begun=clock.now)
    assert outage.silence() is None
    clock.now += LEAST_SILENCE_SECONDS
    assert outage.silence() == Silence(LEAST_SILENCE_SECONDS, None)

    # when many do, then the run waits
    fail(outage, range(MOST_SILENT_FILES), begun=clock.now)
    assert outage.silence() == Silence(LEAST_SILENCE_SECONDS, MAX_OUTAGE_SECONDS - LEAST_SILENCE_SECONDS)

    # and an answer, a denial or a minute in which nothing was asked end it
    outage.note_success(GET)
    assert outage.silence() is None
    fail(outage, range(2), status=403, code="AccessDenied", begun=clock.now)
    clock.now += 30
    assert outage.silence() is None
    fail(outage, range(2), begun=clock.now)
    clock.now += 59
    assert outage.silence() is not None
    clock.now += 2
    assert outage.silence() is None


def test_a_success_should_end_the_waiting_at_once() -> None:
    clock = Clock()
    outage = silent(clock)
    assert [outage.pause_seconds(GET) for _ in range(2)] == [0.0, PROBE_SECONDS]

    outage.note_success(GET)

    assert [outage.pause_seconds(GET) for _ in range(2)] == [0.0, 0.0]
    clock.now += MAX_OUTAGE_SECONDS
    assert not gave_up(outage)


def test_an_outage_should_be_given_up_in_the_end() -> None:
    clock = Clock()
    outage = silent(clock)

    clock.now += MAX_OUTAGE_SECONDS - LEAST_SILENCE_SECONDS - 1
    assert not gave_up(outage)

    clock.now += 1
    assert [outage.pause_seconds(GET) for _ in range(2)] == [0.0, 0.0]
    refusal = outage.refusal(GET, located(99))
    assert refusal is not None
    assert refusal.failure.message == (
        "Network error: s3://b/99 was not asked for, as 8 files in a row had failed; the last: "
        "s3://b/7: S3 answered 503 SlowDown (throttled)"
    )
    assert not refusal.transient


def test_no_outage_should_be_waited_for_if_so_asked() -> None:
    clock = Clock()
    outage = OutageWatch(0.0, clock)
    fail(outage, range(MOST_SILENT_FILES), begun=clock.now)
    assert not gave_up(outage)

    clock.now += LEAST_SILENCE_SECONDS

    assert outage.pause_seconds(GET) == 0.0
    assert gave_up(outage)


def test_one_file_should_be_no_reason_to_give_up_others() -> None:
    """As with the many ranges of a big one, which is waited for, too: it may be all that is left."""
    clock = Clock()
    outage = outage_at(clock)

    for offset in range(100):
        outage.note_failure(GET, located(0), answer(503, "SlowDown"), begun=clock.now, offset=offset)
    clock.now += LEAST_SILENCE_SECONDS
    assert [outage.pause_seconds(GET) for _ in range(2)] == [0.0, PROBE_SECONDS]

    clock.now += MAX_OUTAGE_SECONDS
    assert [outage.pause_seconds(GET) for _ in range(2)] == [0.0, 0.0]
    assert not gave_up(outage)


def test_one_request_should_not_be_waited_for_beyond_its_retries() -> None:
    clock = Clock()
    outage = outage_at(clock)

    for _ in range(100):
        fail(outage, range(1), begun=clock.now)
    clock.now += LEAST_SILENCE_SECONDS

    assert [outage.pause_seconds(GET) for _ in range(2)] == [0.0, 0.0]
    assert not outage.is_waiting(GET)


def test_a_success_should_begin_the_count_anew() -> None:
    outage = outage_at(Clock())
    fail(outage, range(MOST_SILENT_FILES - 1))
    outage.note_success(GET)
    fail(outage, range(50, 50 + MOST_SILENT_FILES - 1))
    assert not gave_up(outage)
    fail(outage, range(1))
    assert gave_up(outage)


def test_an_answer_about_the_object_should_count_as_a_success() -> None:
    for fault in (answer(404, "NoSuchKey"), changed_during_download(located(0), "etag")):
        outage = outage_at(Clock())
        fail(outage, range(MOST_SILENT_FILES - 1))

        outage.note_failure(GET, located(0), fault, begun=0.0)

        fail(outage, range(50, 51))
        assert not gave_up(outage)


def test_only_what_fails_should_be_given_up() -> None:
    outage = outage_at(Clock())
    fail(outage, range(MOST_SILENT_FILES))
    outage.note_success(HEAD)

    assert gave_up(outage)
    assert not gave_up(outage, HEAD)
    assert not gave_up(outage, OTHER)


def test_a_bucket_that_denies_everything_should_be_asked_now_and_then_only() -> None:
    outage = outage_at(Clock())

    fail(outage, range(MOST_DENIED_FILES - 1), 403, "AccessDenied")
    assert not gave_up(outage)

    fail(outage, range(MOST_DENIED_FILES), 403, "AccessDenied")
    assert [gave_up(outage) for _ in range(2 * MOST_DENIED_FILES)].count(False) == 2
    assert outage.pause_seconds(GET) == 0.0


def test_silence_and_denials_should_not_be_added_up() -> None:
    outage = outage_at(Clock())

    for number in range(100):
        fail(outage, range(number, number + 1), *((403, "AccessDenied") if number % 2 else (503, "SlowDown")))

    assert not gave_up(outage)


def test_expired_credentials_should_end_all_at_once_and_a_wrong_signature_only_its_file() -> None:
    wrong, expired = outage_at(Clock()), outage_at(Clock())
    fail(wrong, range(1), 403, "SignatureDoesNotMatch")
    fail(expired, range(1), 403, "ExpiredToken")

    assert not gave_up(wrong)
    for topic in (GET, HEAD, OTHER):
        refusal = expired.refusal(topic, located(99))
        assert "log in again" in str(refusal)


# --- what asks S3 keeps to it


@dataclass(slots=True)
class ThrottledStore:
    """A store that knows every object, and throttles whoever wants its bytes; a look at it takes five seconds."""

    clock: Clock
    asked: list[str] = field(default_factory=list)

    def check_bucket(self, bucket_name: str) -> None:
        """It is there."""

    def head(self, location: ObjectLocation) -> ObjectInfo:
        self.clock.now += 5
        self.asked.append(f"head {location.key}")
        return ObjectInfo(etag="e", size_bytes=1)

    def check_readable(self, location: ObjectLocation) -> None:
        """It is."""

    def encryption(self, location: ObjectLocation) -> str | None:
        """Nothing."""

    def part_checksums(self, location: ObjectLocation, etag: str) -> list[PartChecksum]:
        raise NotImplementedError

    def list_versions(self, location: ObjectLocation) -> list[ObjectVersion]:
        raise NotImplementedError

    def list_page(self, bucket_name: str, after: str, *, with_versions: bool) -> ListedPage:
        raise NotImplementedError

    def read_range(self, location: ObjectLocation, start: int, end: int, etag: str) -> Iterator[memoryview]:
        del start, end, etag
        self.clock.now += 5
        self.asked.append(f"get {location.key}")
        raise fault_of_answer(location, 503, "SlowDown")


def test_a_run_should_ask_for_no_more_bytes_where_none_came_but_go_on_looking() -> None:
    # given
    clock = Clock()
    store = ThrottledStore(clock)
    retry = RetryPolicy(attempts=3, first_wait_seconds=0.001)
    fetcher = Fetcher(store=store, retry=retry, stop=threading.Event(), outage=OutageWatch(0.0, clock))

    # when
    for number in range(20):
        fetcher.head(located(number))
        with pytest.raises(S3Fault, match="throttled"):
            fetcher.download_file_from_s3(located(number), "e", (0, 1), lambda _buffer, _offset: None)

    # then the first attempt at the eighth file was the last one
    tries = [f"get {number}" for number in range(MOST_SILENT_FILES) for _ in range(3)]
    assert [key for key in store.asked if key.startswith("get ")] == tries[:-2]
    assert len([key for key in store.asked if key.startswith("head ")]) == 20


@dataclass(slots=True)
class AwayStore(ThrottledStore):
    """A store that throttles everybody until a time."""

    until: float = 0.0

    def read_range(self, location: ObjectLocation, start: int, end: int, etag: str) -> Iterator[memoryview]:
        if self.clock.now < self.until:
            yield from ThrottledStore.read_range(self, location, start, end, etag)
        yield memoryview(b"x")


def test_a_request_should_not_use_up_its_retries_on_an_outage_that_is_waited_for() -> None:
    # given a run that has learnt that S3 is away, and an outage of many times the attempts of a request
    clock = Clock()
    store = AwayStore(clock, until=clock.now + MAX_OUTAGE_SECONDS - 20)
    retry = RetryPolicy(attempts=3, first_wait_seconds=0.001)
    fetcher = Fetcher(store=store, retry=retry, stop=threading.Event(), outage=silent(clock))

    # when
    fetched: list[bytes] = []
    fetcher.download_file_from_s3(located(1), "e", (0, 1), lambda buffer, _offset: fetched.append(bytes(buffer)))

    # then
    assert fetched == [b"x"]
    assert len(store.asked) > 10 * retry.attempts


def test_a_request_should_be_given_up_with_an_outage_that_lasts() -> None:
    clock = Clock()
    retry = RetryPolicy(attempts=3, first_wait_seconds=0.001)
    fetcher = Fetcher(store=ThrottledStore(clock), retry=retry, stop=threading.Event(), outage=silent(clock))

    with pytest.raises(S3Fault, match="throttled"):
        fetcher.download_file_from_s3(located(1), "e", (0, 1), lambda _buffer, _offset: None)

    assert MAX_OUTAGE_SECONDS <= clock.now - 1000.0 <= MAX_OUTAGE_SECONDS + 5
