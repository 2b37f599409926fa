"""The limit's arithmetic on a clock of our own, and how fetching keeps to it."""

import itertools
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from applier.s3.bandwidth import BandwidthLimit, parse_rate
from applier.s3.faults import S3Fault
from applier.s3.fetcher import Fetcher, Interrupted, RetryPolicy
from applier.s3.protocol import ListedPage, ObjectInfo, ObjectVersion, PartChecksum
from schemas.etag import MIB
from schemas.results import FailureKind
from schemas.s3_location import ObjectLocation

CONTENT = bytes(range(200))
LOCATION = ObjectLocation(bucket_name="b", key="k")


@dataclass(slots=True)
class Clock:
    """Seconds that pass when a test says so."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def limit_that_never_waits(bytes_per_second: int) -> BandwidthLimit:
    """Whoever looks at its clock finds that a second has passed."""
    return BandwidthLimit(bytes_per_second, itertools.count(1000).__next__)


@dataclass(slots=True)
class MemoryStore:
    """A store with one object; every second request fails if asked to, and its answers may be longer than asked for."""

    flaky: bool = False
    surplus_bytes: int = 0
    requests: list[tuple[int, int]] = field(default_factory=list)

    def check_bucket(self, bucket_name: str) -> None:
        """It is there."""

    def head(self, location: ObjectLocation) -> ObjectInfo:
        del location
        return ObjectInfo(etag="e", size_bytes=len(CONTENT))

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
        del location, etag
        self.requests.append((start, end))
        if self.flaky and len(self.requests) % 2:
            raise S3Fault(FailureKind.NETWORK, "down", transient=True)
        yield memoryview(CONTENT[start : end + self.surplus_bytes])


def fetch(store: MemoryStore, limit: BandwidthLimit | None, stop: threading.Event | None = None) -> bytes:
    """Fetch the whole object with two attempts a request."""
    content = bytearray(len(CONTENT))

    def write(buffer: memoryview, offset: int) -> None:
        content[offset : offset + len(buffer)] = buffer

    retry = RetryPolicy(attempts=2, first_wait_seconds=0.001)
    fetcher = Fetcher(store=store, retry=retry, stop=stop or threading.Event(), limit=limit)
    fetcher.download_file_from_s3(LOCATION, "e", (0, len(CONTENT)), write)
    return bytes(content)


# --- the rate as it is written


@pytest.mark.parametrize(
    ("text", "bytes_per_second"),
    [
        ("1", 1),
        ("65536", 65536),
        ("7B", 7),
        ("64K", 64 * 1024),
        ("200M", 200 * MIB),
        ("2G", 2048 * MIB),
        ("3m", 3 * MIB),
        ("100MiB", 100 * MIB),
        ("1gib", 1024 * MIB),
        ("100MB", 100_000_000),
        ("5kB", 5000),
        ("1GB", 10**9),
    ],
)
def test_a_rate_should_be_bytes_or_powers_of_1024_and_of_1000_with_a_b(text: str, bytes_per_second: int) -> None:
    assert parse_rate(text) == bytes_per_second


@pytest.mark.parametrize(
    "text",
    ["0", "0K", "00", "-1", "-5M", "", " ", "fast", "M", "iB", "1.5M", "10iB", "10 M", "1T", "1e6", "٣M", "5\u212a"],
)
def test_what_is_no_rate_should_be_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="for example 200M") as refused:
        parse_rate(text)

    assert repr(text) in str(refused.value)


# --- who may ask for how much, and when


@given(
    bytes_per_second=st.integers(4, 10**10),
    asked=st.lists(
        st.tuples(st.just(0.0) | st.floats(0, 5), st.just(32 * MIB) | st.integers(1, 32 * MIB)),
        min_size=20,
        max_size=40,
    ),
)
def test_no_stretch_of_time_should_see_more_than_a_second_above_the_rate(
    bytes_per_second: int, asked: list[tuple[float, int]]
) -> None:
    # given requests that come as they like
    clock = Clock()
    limit = BandwidthLimit(bytes_per_second, clock)
    begun: list[tuple[float, int]] = []
    for pause_seconds, wanted_bytes in asked:
        clock.now += pause_seconds
        granted_bytes, wait_seconds = limit.reserve(wanted_bytes)
        assert 1 <= granted_bytes <= wanted_bytes
        begun.append((clock.now + wait_seconds, granted_bytes))

    # then in no stretch from one to another do too many begin
    for first, (start, _) in enumerate(begun):
        stretch_bytes = 0
        for end, granted_bytes in begun[first:]:
            stretch_bytes += granted_bytes
            assert stretch_bytes <= bytes_per_second * (end - start + 1) * 1.000_001


def test_the_rate_should_be_used_in_full_by_many_threads_and_by_one() -> None:
    for threads in (1, 8):
        # given so many that ask again as soon as they have got what they asked for
        clock = Clock()
        limit = BandwidthLimit(10 * MIB, clock)
        free_at = [clock.now] * threads
        fetched_bytes = 0

        # when a minute has passed
        while (earliest := min(free_at)) < 1060:
            clock.now = earliest
            granted_bytes, wait_seconds = limit.reserve(32 * MIB)
            free_at[free_at.index(earliest)] = earliest + wait_seconds + 0.05
            fetched_bytes += granted_bytes

        # then
        assert 600 * MIB <= fetched_bytes <= (600 + 10 * (threads + 1)) * MIB


def test_a_hiccup_should_be_caught_up_and_an_idle_hour_should_not() -> None:
    clock = Clock()
    limit = BandwidthLimit(1000, clock)
    waits = []
    for idle_seconds in (0.5, 3600):
        clock.now += idle_seconds
        waits.append([limit.reserve(250)[1] for _ in range(5)])

    assert waits == [[0, 0, 0, 0.25, 0.5], [0, 0, 0, 0, 0.25]]


def test_a_small_request_should_be_granted_whole_and_a_large_one_a_quarter_of_a_second() -> None:
    limit = BandwidthLimit(1000, Clock())

    assert [limit.reserve(wanted)[0] for wanted in (1, 250, 251, 10**9)] == [1, 250, 250, 250]


# --- fetching


def test_without_a_limit_a_range_should_be_one_request() -> None:
    store = MemoryStore()

    assert fetch(store, None) == CONTENT
    assert store.requests == [(0, 200)]


def test_with_a_limit_a_range_should_be_fetched_in_what_is_granted() -> None:
    store = MemoryStore()

    assert fetch(store, limit_that_never_waits(1_000_000)) == CONTENT
    assert store.requests == [(0, 200)]

    store.requests.clear()
    assert fetch(store, limit_that_never_waits(320)) == CONTENT
    assert store.requests == [(0, 80), (80, 160), (160, 200)]


def test_every_request_of_a_limited_range_should_have_all_attempts() -> None:
    store = MemoryStore(flaky=True)

    assert fetch(store, limit_that_never_waits(320)) == CONTENT
    assert store.requests == [(0, 80), (0, 80), (80, 160), (80, 160), (160, 200), (160, 200)]


def test_an_answer_of_more_than_was_granted_should_not_pass() -> None:
    with pytest.raises(S3Fault, match="not the range that was asked for"):
        fetch(MemoryStore(surplus_bytes=1), limit_that_never_waits(320))


def test_an_interruption_should_end_the_wait() -> None:
    # given a queue that is full for an hour, and a thread that has just got its place at the end
    queued = threading.Event()

    def clock() -> float:
        queued.set()
        return 1000.0

    limit = BandwidthLimit(1000, clock)
    while limit.reserve(250)[1] < 3600:
        pass
    queued.clear()
    store, stop, interrupted = MemoryStore(), threading.Event(), threading.Event()

    def fetch_in_vain() -> None:
        try:
            fetch(store, limit, stop)
        except Interrupted:
            interrupted.set()

    waiting = threading.Thread(target=fetch_in_vain, daemon=True)
    waiting.start()
    assert queued.wait(30)

    # when
    stop.set()
    waiting.join(30)

    # then it has asked for nothing
    assert interrupted.is_set()
    assert store.requests == []
