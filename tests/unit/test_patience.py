"""When a run stops asking S3."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from applier.fetch import Fetcher, RetryPolicy
from applier.object_store import ObjectInfo, ObjectLocation, S3Fault, changed_during_download, fault_of_answer
from applier.patience import LEAST_SILENCE_SECONDS, MOST_DENIED_FILES, MOST_SILENT_FILES, Patience

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


def fail(patience: Patience, numbers: range, status: int = 503, code: str = "SlowDown", *, begun: float = 0.0) -> None:
    for number in numbers:
        patience.failed(GET, located(number), answer(status, code, number), begun)


def gave_up(patience: Patience, topic: tuple[str, str] = GET) -> bool:
    return patience.refusal(topic, located(99)) is not None


def test_silence_should_be_given_up_after_so_many_files_and_so_long() -> None:
    patience = Patience(Clock())

    fail(patience, range(MOST_SILENT_FILES - 1))
    assert not gave_up(patience)

    fail(patience, range(MOST_SILENT_FILES))
    refusal = patience.refusal(GET, located(99))
    assert refusal is not None
    assert refusal.failure.message == (
        "Network error: s3://b/99 was not asked for, as 8 files in a row had failed; the last: "
        "s3://b/7: S3 answered 503 SlowDown (throttled)"
    )
    assert not refusal.transient


def test_a_burst_of_errors_should_not_be_taken_for_silence() -> None:
    """As with --retries 0, where a request fails at once."""
    clock = Clock()
    patience = Patience(clock)

    fail(patience, range(90), begun=clock.now)
    assert not gave_up(patience)

    clock.now += LEAST_SILENCE_SECONDS
    fail(patience, range(90, 91), begun=clock.now)
    assert gave_up(patience)


def test_one_file_should_be_no_reason_to_give_up_others() -> None:
    """As with the many ranges of a big one."""
    patience = Patience(Clock())

    for _ in range(100):
        fail(patience, range(1))

    assert not gave_up(patience)


def test_a_success_should_make_others_worth_while_again() -> None:
    patience = Patience(Clock())
    fail(patience, range(MOST_SILENT_FILES - 1))
    patience.succeeded(GET)
    fail(patience, range(50, 50 + MOST_SILENT_FILES - 1))
    assert not gave_up(patience)
    fail(patience, range(1))
    assert gave_up(patience)

    patience.succeeded(GET)

    assert not gave_up(patience)


def test_an_answer_about_the_object_should_count_as_a_success() -> None:
    for fault in (answer(404, "NoSuchKey"), changed_during_download(located(0), "etag")):
        patience = Patience(Clock())
        fail(patience, range(MOST_SILENT_FILES - 1))

        patience.failed(GET, located(0), fault, begun=0.0)

        fail(patience, range(50, 51))
        assert not gave_up(patience)


def test_only_what_fails_should_be_given_up() -> None:
    patience = Patience(Clock())
    fail(patience, range(MOST_SILENT_FILES))
    patience.succeeded(HEAD)

    assert gave_up(patience)
    assert not gave_up(patience, HEAD)
    assert not gave_up(patience, OTHER)


def test_a_bucket_that_denies_everything_should_be_asked_so_often_and_no_more() -> None:
    patience = Patience(Clock())

    fail(patience, range(MOST_DENIED_FILES - 1), 403, "AccessDenied")
    assert not gave_up(patience)

    fail(patience, range(MOST_DENIED_FILES), 403, "AccessDenied")
    assert gave_up(patience)


def test_silence_and_denials_should_not_be_added_up() -> None:
    patience = Patience(Clock())

    for number in range(100):
        fail(patience, range(number, number + 1), *((403, "AccessDenied") if number % 2 else (503, "SlowDown")))

    assert not gave_up(patience)


def test_expired_credentials_should_end_all_at_once_and_a_wrong_signature_only_its_file() -> None:
    wrong, expired = Patience(Clock()), Patience(Clock())
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
    fetcher = Fetcher(store=store, retry=retry, stop=threading.Event(), patience=Patience(clock))

    # when
    for number in range(20):
        fetcher.head(located(number))
        with pytest.raises(S3Fault, match="throttled"):
            fetcher.download_file_from_s3(located(number), "e", (0, 1), lambda _buffer, _offset: None)

    # then
    assert [key for key in store.asked if key.startswith("get ")] == [
        f"get {number}" for number in range(MOST_SILENT_FILES) for _ in range(3)
    ]
    assert len([key for key in store.asked if key.startswith("head ")]) == 20
