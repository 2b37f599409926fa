"""Lists a bucket page by page, and asks for the size of objects' first parts. Only reads."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from applier.s3.boto_store import LENGTH, BotoStore
from applier.s3.faults import S3Fault, bad_answer
from applier.s3.fetcher import RetryPolicy
from applier.s3.lists.read_lists import MAX_LIST_BYTES, ObjectPage, read_object_page
from schemas.errors import S3UnansweredError
from schemas.results import FailureKind
from schemas.s3_location import ListedObject, ListedPlace, ObjectLocation
from schemas.text import counted

logger = logging.getLogger(__name__)

T = TypeVar("T")
_AT_ONCE = 16
# What servers say that know no parts of an object, and of one that has changed meanwhile.
_NOT_SAID = frozenset({400, 404, 405, 412, 416, 501})
_MOST_OBJECTS = 20_000_000
_MOST_EMPTY_PAGES = 100
_LOGGED_EVERY = 100_000


class S3BucketListing:
    """Lists a place on S3; see `planner.bucket_listing.BucketListing`.

    Args:
        store: asks S3.
        place: what to list.
        retry: how patiently a transient fault is retried.
    """

    def __init__(self, store: BotoStore, place: ListedPlace, retry: RetryPolicy | None = None) -> None:
        self.place = place
        self._store = store
        self._retry = retry or RetryPolicy()
        self._stop = threading.Event()

    def list_objects(self) -> Iterator[ListedObject]:
        """See `BucketListing`.

        Raises:
            S3UnansweredError: S3 gives no list, or one that does not end.
        """
        self._ask(lambda: self._store.check_bucket(self.place.bucket_name))
        token: str | None = None
        number, empty_pages = 0, 0
        first_keys = set[str]()  # of all pages: not every S3 lists in order, but none lists anything twice
        while True:
            page = self._page(token)
            if any(not found.key.startswith(self.place.key_begin) for found in page.objects):
                raise self._unanswered("it lists what is not below this prefix")
            yield from page.objects
            if page.next_token is None:
                return
            number += len(page.objects)
            empty_pages = 0 if page.objects else empty_pages + 1
            is_again = page.next_token == token or (page.objects and page.objects[0].key in first_keys)
            if is_again or empty_pages > _MOST_EMPTY_PAGES:
                raise self._unanswered("its list does not end")
            if number > _MOST_OBJECTS:
                raise self._unanswered(f"it lists more than {counted(_MOST_OBJECTS, 'object')}: give a prefix")
            if number // _LOGGED_EVERY > (number - len(page.objects)) // _LOGGED_EVERY:
                logger.info("listed %s of %s so far", counted(number, "object"), self.place)
            token = page.next_token
            first_keys.update(found.key for found in page.objects[:1])

    def first_part_sizes(self, objects: Sequence[ListedObject]) -> Iterator[int | None]:
        """See `BucketListing`.

        Raises:
            S3UnansweredError: S3 cannot be asked.
        """
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            try:
                yield from threads.map(self._first_part_size, objects)
            finally:
                self._stop.set()
                threads.shutdown(wait=True, cancel_futures=True)
        self._stop = threading.Event()

    def _page(self, token: str | None) -> ObjectPage:
        return self._ask(lambda: _list_page(self._store, self.place, token))

    def _first_part_size(self, found: ListedObject) -> int | None:
        location = ObjectLocation(bucket_name=self.place.bucket_name, key=found.key)
        return self._ask(lambda: _ask_first_part_size(self._store, location, found.etag))

    def _ask(self, question: Callable[[], T]) -> T:
        try:
            return self._retry.call(question, self._stop)
        except S3Fault as fault:
            hint = " (listing it takes s3:ListBucket)" if fault.failure.kind is FailureKind.ACCESS_DENIED else ""
            raise self._unanswered(f"{fault.failure.message}{hint}") from fault

    def _unanswered(self, reason: str) -> S3UnansweredError:
        return S3UnansweredError(f"{self.place} cannot be listed, so there is no plan: {reason}")


def _list_page(store: BotoStore, place: ListedPlace, token: str | None) -> ObjectPage:
    """Return a page of the list of a bucket's objects.

    Args:
        store: asks S3.
        place: what to list.
        token: of the page before this one; None for the first page.
    """
    bucket = ObjectLocation(bucket_name=place.bucket_name, key="")
    query = {"list-type": "2", "encoding-type": "url", "prefix": place.key_begin}
    if token is not None:
        query["continuation-token"] = token
    answer = store.ask("GET", bucket, query=query, max_bytes=MAX_LIST_BYTES)
    answer.raise_for_status()
    try:
        return read_object_page(answer.text)
    except ValueError as error:
        raise bad_answer(bucket, f"its list of objects cannot be read ({error})") from error


def _ask_first_part_size(store: BotoStore, location: ObjectLocation, etag: str) -> int | None:
    """Return the size in bytes of an object's first part; None if S3 does not say it, or not of this etag."""
    headers = {"If-Match": store.if_match(location.bucket_name, etag)}
    answer = store.ask("HEAD", location, query={"partNumber": "1"}, headers=headers)
    if answer.status in _NOT_SAID:
        return None
    answer.raise_for_status()
    parts, length = answer.headers.get("x-amz-mp-parts-count"), answer.headers.get("content-length", "")
    is_this = parts is None or parts == etag.rpartition("-")[2]
    return int(length) if is_this and LENGTH.fullmatch(length) else None
