"""What S3 lists in place of many questions: how many requests that takes, and what it is not trusted with."""

import logging
import random
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from xml.sax.saxutils import escape

import pytest
from listed_bucket import ETAG, Listing

from applier.s3.faults import S3Fault
from applier.s3.fetcher import Fetcher, RetryPolicy
from applier.s3.lists.objects_ahead import ObjectsAhead
from applier.s3.lists.read_lists import read_listed_page
from applier.s3.protocol import ListedPage, ObjectInfo, normalized_etag
from schemas.results import FailureKind
from schemas.s3_location import ObjectLocation

Lie = Callable[[str], list[str]]
KEYS = [f"raw_{number // 10:05}.d/file_{number % 10}" for number in range(25_000)]


@dataclass
class Clock:
    now: float = 0.0
    step: float = 0.0

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def located(key: str, version_id: str | None = None) -> ObjectLocation:
    return ObjectLocation(bucket_name="b", key=key, version_id=version_id)


def ahead_of(store: Listing, clock: Clock | None = None) -> ObjectsAhead:
    fetcher = Fetcher(store=store, retry=RetryPolicy(attempts=1), stop=threading.Event())
    return ObjectsAhead(fetcher, clock=clock or Clock())


def ask(ahead: ObjectsAhead, locations: Iterable[ObjectLocation]) -> list[ObjectLocation]:
    """Ask for all in turn, and return for which nothing was listed."""
    return [
        location
        for location in ahead.look_ahead(locations, lambda location: location)
        if ahead.listed(location) is None
    ]


def test_a_bucket_should_take_a_request_for_a_thousand_objects() -> None:
    store = Listing(KEYS)
    singly = ask(ahead_of(store), map(located, KEYS))
    assert len(singly) <= 4 * 4  # of each window
    assert len(store.pages) <= len(KEYS) / 1000 + 4


def test_pinned_versions_should_be_listed_too() -> None:
    store = Listing(KEYS[:3000])
    singly = ask(ahead_of(store), [located(key, "7") for key in store.keys])
    assert len(singly) + len(store.pages) <= 20


def test_objects_that_are_asked_for_in_any_order_should_be_listed_as_long_as_that_saves_requests() -> None:
    keys = KEYS[:]
    random.Random(7).shuffle(keys)  # noqa: S311  # the same each time
    store = Listing(KEYS)
    singly = ask(ahead_of(store), map(located, keys))
    assert len(singly) + len(store.pages) < len(KEYS) / 20


def test_few_of_a_bucket_should_not_be_listed() -> None:
    store = Listing(KEYS)
    few = KEYS[::500]  # two on each page
    assert len(ask(ahead_of(store), map(located, few))) >= len(few) - 10
    assert len(store.pages) <= 4
    assert ask(ahead_of(store), map(located, KEYS[:13])) == [located(key) for key in KEYS[:13]]
    assert len(store.pages) <= 4


def test_what_is_not_listed_should_be_asked_for_singly_and_not_listed_again() -> None:
    store = Listing(KEYS[:1000:2])
    missing = [located(key) for key in KEYS[1:1000:2]]
    assert set(missing) < set(ask(ahead_of(store), map(located, KEYS[:1000])))
    assert len(store.pages) <= 2


def test_an_answer_should_be_given_once_and_not_when_it_is_old() -> None:
    store, clock = Listing(KEYS[:100]), Clock()
    ahead = ahead_of(store, clock)
    locations = ahead.look_ahead(map(located, store.keys), lambda location: location)
    asked = [ahead.listed(location) for location in locations]
    assert asked[-1] == ObjectInfo(etag=ETAG, size_bytes=1)
    assert ahead.listed(located(KEYS[99])) is None

    old = ask(ahead_of(Listing(KEYS[:100]), Clock(step=10)), map(located, store.keys))
    assert len(old) > 30


@pytest.mark.parametrize("kind", [FailureKind.ACCESS_DENIED, FailureKind.NETWORK])
def test_where_listing_fails_every_object_should_be_asked_for_and_that_be_said_once(
    kind: FailureKind, caplog: pytest.LogCaptureFixture
) -> None:
    store = Listing(KEYS, S3Fault(kind, "no"))
    with caplog.at_level(logging.WARNING):
        assert len(ask(ahead_of(store), map(located, KEYS))) == len(KEYS)
    denied = kind is FailureKind.ACCESS_DENIED
    assert len(caplog.messages) == (1 if denied else 0)
    assert len(store.pages) <= (1 if denied else 40)


@pytest.mark.parametrize("lie", [lambda _: KEYS[:1000], lambda _: [], lambda after: [after + "x"] * 1000])
def test_a_listing_that_leads_nowhere_should_cost_few_requests(lie: Lie) -> None:
    store = Lying(KEYS, lie=lie)
    ask(ahead_of(store), map(located, reversed(KEYS)))
    assert len(store.pages) < 50


def test_threads_that_wait_for_one_page_should_take_one_request() -> None:
    store = Listing(KEYS)
    ahead, lock, singly = ahead_of(store), threading.Lock(), []
    locations = ahead.look_ahead(map(located, KEYS), lambda location: location)

    def work() -> None:
        while True:
            with lock:
                location = next(locations, None)
            if location is None:
                return
            if ahead.listed(location) is None:
                singly.append(location)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(singly) + len(store.pages) < len(KEYS) / 100


@dataclass
class Lying(Listing):
    """Lists what it was not asked for, and that there is more."""

    lie: Lie = lambda _: []

    def list_page(self, bucket_name: str, after: str, *, with_versions: bool) -> ListedPage:
        del bucket_name, with_versions
        self.pages.append(after)
        keys = self.lie(after)
        objects: dict[tuple[str, str | None], ObjectInfo] = {
            (key, None): ObjectInfo(etag=ETAG, size_bytes=1) for key in keys
        }
        return ListedPage(objects=objects, last_key=keys[-1] if keys else "")


def page_of(*entries: str, kind: str = "ListBucketResult", head: str = "<EncodingType>url</EncodingType>") -> bytes:
    return f"<{kind}>{head}{''.join(entries)}</{kind}>".encode()


def entry(element: str, key: str, **fields: str) -> str:
    """An entry of a list."""
    values = {"Key": key, **fields}
    return f"<{element}>{''.join(f'<{name}>{escape(value)}</{name}>' for name, value in values.items())}</{element}>"


def test_a_list_of_objects_should_be_read() -> None:
    listed = entry("Contents", "a+b%2B", ETag=f'"{ETAG.upper()}"', Size="7", StorageClass="GLACIER")
    page = read_listed_page(page_of(listed, entry("Contents", "c", Size="1")), normalized_etag)
    assert page.objects["a b+", None] == ObjectInfo(etag=ETAG, size_bytes=7, storage_class="GLACIER")
    assert page.objects["c", None].etag == ""
    assert page.last_key is None


def test_a_list_of_versions_should_be_read_without_what_its_last_key_leaves_open() -> None:
    text = page_of(
        entry("Version", "a", ETag=ETAG, Size="7", VersionId="2", IsLatest="true"),
        entry("Version", "a", ETag=ETAG, Size="6", VersionId="1", IsLatest="false"),
        entry("DeleteMarker", "b", VersionId="4", IsLatest="true"),
        entry("Version", "b", ETag=ETAG, Size="5", VersionId="null", IsLatest="false"),
        kind="ListVersionsResult",
        head="<IsTruncated>true</IsTruncated>",
    )
    page = read_listed_page(text, normalized_etag)
    sizes = {name: info.size_bytes for name, info in page.objects.items()}
    assert sizes == {("a", "2"): 7, ("a", None): 7, ("a", "1"): 6, ("b", "null"): 5}
    assert page.objects["b", "null"].version_id is None
    assert page.last_key == "a"


def test_what_is_no_list_should_be_refused() -> None:
    with pytest.raises(ValueError, match="not a list"):
        read_listed_page(b"<Error/>", normalized_etag)


def test_threads_that_ask_all_over_a_page_at_once_should_take_one_request() -> None:
    # given a window of a thousand objects, of which the first few are asked for singly
    store = Listing(KEYS[:1000])
    ahead = ahead_of(store)
    locations = list(islice(ahead.look_ahead(map(located, KEYS), lambda location: location), 1000))
    for location in locations[500:504]:
        ahead.learn(location)
    assert not store.pages

    # when those in the middle come first
    at_once = threading.Barrier(40)

    def learn(number: int) -> None:
        at_once.wait()
        ahead.learn(locations[(number * 25 + 600) % 1000])

    threads = [threading.Thread(target=learn, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    # then
    assert len(store.pages) == 1
    known = [ahead.peek(location) is not None for location in locations]
    assert known == [not 500 <= number < 504 for number in range(1000)]


@pytest.mark.parametrize("planned", [1, 9])
def test_an_object_behind_more_than_a_page_of_others_should_cost_its_neighbours_nothing(planned: int) -> None:
    # given planned objects, some of which stand behind a page of other programs' objects, and are never asked for
    others = [f"raw_{number:05}.d/fild{other:04}" for number in range(0, planned * 1000, 1000) for other in range(1500)]
    keys = [f"raw_{number:05}.d/file" for number in range(9000)]
    store = Listing(sorted([*keys, *others]))
    skipped = {f"raw_{number:05}.d/file" for number in range(0, planned * 1000, 1000)}
    ahead = ahead_of(store)

    # when
    locations = ahead.look_ahead(map(located, keys), lambda location: location)
    singly = [one for one in locations if one.key not in skipped and ahead.listed(one) is None]

    # then
    assert len(singly) + len(store.pages) < 250
