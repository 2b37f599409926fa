"""Lists a bucket page by page, and asks for the size of objects' first parts. Only reads."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from applier.s3.boto_store import BotoStore
from applier.s3.faults import S3Fault
from applier.s3.fetcher import RetryPolicy
from applier.s3.object_list import ObjectPage
from schemas.errors import S3UnansweredError
from schemas.listed_object import ListedObject, ListedPlace
from schemas.results import FailureKind
from schemas.s3_location import ObjectLocation
from schemas.text import counted

logger = logging.getLogger(__name__)

T = TypeVar("T")
_AT_ONCE = 16
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
        number, empty_pages, first_key = 0, 0, ""
        while True:
            page = self._page(token)
            if any(not found.key.startswith(self.place.key_begin) for found in page.objects):
                raise self._unanswered("it lists what is not below this prefix")
            yield from page.objects
            if page.next_token is None:
                return
            number += len(page.objects)
            empty_pages = 0 if page.objects else empty_pages + 1
            is_again = page.next_token == token or (page.objects and page.objects[0].key == first_key)
            if is_again or empty_pages > _MOST_EMPTY_PAGES:
                raise self._unanswered("its list does not end")
            if number > _MOST_OBJECTS:
                raise self._unanswered(f"it lists more than {counted(_MOST_OBJECTS, 'object')}: give a prefix")
            if number // _LOGGED_EVERY > (number - len(page.objects)) // _LOGGED_EVERY:
                logger.info("listed %s of %s so far", counted(number, "object"), self.place)
            token, first_key = page.next_token, page.objects[0].key if page.objects else first_key

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
        return self._ask(lambda: self._store.list_page(self.place, token))

    def _first_part_size(self, found: ListedObject) -> int | None:
        location = ObjectLocation(bucket_name=self.place.bucket_name, key=found.key)
        return self._ask(lambda: self._store.first_part_size(location, found.etag))

    def _ask(self, question: Callable[[], T]) -> T:
        try:
            return self._retry.call(question, self._stop)
        except S3Fault as fault:
            hint = " (listing it takes s3:ListBucket)" if fault.failure.kind is FailureKind.ACCESS_DENIED else ""
            raise self._unanswered(f"{fault.failure.message}{hint}") from fault

    def _unanswered(self, reason: str) -> S3UnansweredError:
        return S3UnansweredError(f"{self.place} cannot be listed, so there is no plan: {reason}")
