"""Asks S3 by listings for what many requests of a single object would say: etag, size, storage class.

A listing says it of 1,000 objects. It serves only where it confirms what the plan says, because S3's word on a single
object counts: whatever is not listed, or listed otherwise, is asked for by itself.
"""

import bisect
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

from applier.s3.faults import BAD_CREDENTIALS_CODES, S3Fault
from applier.s3.fetcher import Fetcher
from applier.s3.protocol import ListedPage, ObjectInfo
from schemas.results import FailureKind
from schemas.s3_location import ObjectLocation
from schemas.text import printable

logger = logging.getLogger(__name__)

T = TypeVar("T")

# How many objects are looked ahead for: at first few, so that the first file does not wait.
_FIRST_WINDOW, _WINDOW = 1_000, 10_000
_PAGE = 1_000  # S3 lists so many at once
# Most runs ask for few objects, or for all.
_ASKED_BEFORE_LISTING = 4
# S3 charges about so much more for a listing than for a question about one object.
_LEAST_ANSWERS = 10
# What S3 listed so long ago is asked for again.
_FRESH_SECONDS = 300.0
_MOST_FAILURES = 3
_LAST_CHARACTER = "\U0010ffff"

_Name = tuple[str, str]
"""Key and version id, an empty one for the current version; sorted as S3 sorts them, by UTF-8 bytes."""


class ObjectsAhead:
    """Knows what S3 lists of the objects that a run asks for next.

    Args:
        fetcher: asks S3.
        with_version_ids: list what takes `s3:ListBucketVersions`, because the ids of current versions are needed.
        clock: seconds that only grow.
    """

    def __init__(
        self, fetcher: Fetcher, *, with_version_ids: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._lister = _Lister(fetcher=fetcher, clock=clock)
        self._with_version_ids = with_version_ids
        self._windows: tuple[dict[tuple[str, bool], _Stretch], ...] = ()

    def look_ahead(self, items: Iterable[T], location_of: Callable[[T], ObjectLocation]) -> Iterator[T]:
        """Yield items, a good number of them behind where their objects are learnt: they can be asked for together."""
        items, size = iter(items), _FIRST_WINDOW
        while window := list(islice(items, size)):
            names: dict[tuple[str, bool], list[_Name]] = {}
            for item in window:
                location = location_of(item)
                names.setdefault(self._list_of(location), []).append(_name(location))
            stretches = {
                (bucket, versions): _Stretch(bucket, sorted(found), self._lister, with_versions=versions)
                for (bucket, versions), found in names.items()
            }
            self._windows = (stretches, *self._windows[:1])  # some of the window before are still under way
            yield from window
            size = _WINDOW

    def peek(self, location: ObjectLocation) -> ObjectInfo | None:
        """Return what S3 has already listed of an object, and was not asked for; None if that is nothing."""
        infos = (stretch.peek(_name(location)) for stretch in self._stretches_of(location))
        return next((info for info in infos if info is not None), None)

    def learn(self, location: ObjectLocation) -> None:
        """Have S3 list an object, if that is worth a listing, so that `peek` knows of it and of those behind it.

        Raises:
            Interrupted: the run is to stop.
        """
        if (stretch := self._stretch_with(location)) is not None:
            stretch.learn(_name(location))

    def listed(self, location: ObjectLocation) -> ObjectInfo | None:
        """Return what S3 lists of an object; None where nothing is known, and it is to be asked for by itself.

        Raises:
            Interrupted: the run is to stop.
        """
        stretch = self._stretch_with(location)
        return None if stretch is None else stretch.listed(_name(location))

    def _stretch_with(self, location: ObjectLocation) -> "_Stretch | None":
        return next((stretch for stretch in self._stretches_of(location) if _name(location) in stretch), None)

    def _stretches_of(self, location: ObjectLocation) -> "Iterator[_Stretch]":
        for window in self._windows:
            if (stretch := window.get(self._list_of(location))) is not None:
                yield stretch

    def _list_of(self, location: ObjectLocation) -> tuple[str, bool]:
        return location.bucket_name, self._with_version_ids or location.version_id is not None


def _name(location: ObjectLocation) -> _Name:
    return location.key, location.version_id or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lister:
    """Lists buckets, as far as that is permitted and possible.

    Args:
        fetcher: asks S3.
        clock: seconds that only grow.
        refusing: buckets that cannot be listed, and whether that is with versions.
        failures: how often listing them has failed.
    """

    fetcher: Fetcher
    clock: Callable[[], float]
    refusing: set[tuple[str, bool]] = field(default_factory=set)
    failures: Counter[tuple[str, bool]] = field(default_factory=Counter)

    def list_from(self, bucket_name: str, key: str, *, with_versions: bool) -> ListedPage | None:
        """Return a page that begins at a key, or a little before it; None if there is none to be had.

        One attempt: whoever asks for the object by itself then has all retries, and says what is wrong.

        Raises:
            Interrupted: the run is to stop.
        """
        self.fetcher.raise_if_stopped()
        try:
            return self.fetcher.store.list_page(bucket_name, _just_before(key), with_versions=with_versions)
        except S3Fault as fault:
            self.fetcher.raise_if_stopped()
            bucket, name = (bucket_name, with_versions), printable(bucket_name)
            if fault.failure.kind is FailureKind.ACCESS_DENIED and fault.code not in BAD_CREDENTIALS_CODES:
                self.refusing.add(bucket)
                right = "s3:ListBucketVersions" if with_versions else "s3:ListBucket"
                logger.warning(
                    "bucket %s: %s is not permitted, so every object takes a request of its own", name, right
                )
                return None
            logger.info("bucket %s cannot be listed: %s", name, printable(str(fault)))
            self.failures[bucket] += 1
            if fault.failure.kind is FailureKind.TIMEOUT or self.failures[bucket] == _MOST_FAILURES:
                self.refusing.add(bucket)  # others wait for what a listing says
            return None


class _Stretch:
    """Objects of one bucket that are asked for at about the same time.

    Args:
        bucket_name: the bucket.
        names: of the objects, sorted.
        lister: lists the bucket.
        with_versions: whether it lists versions.
    """

    def __init__(self, bucket_name: str, names: list[_Name], lister: _Lister, *, with_versions: bool) -> None:
        self._list, self._names, self._lister = (bucket_name, with_versions), names, lister
        self._lock = threading.Lock()
        self._pace = _Pace()
        # what was listed, and when; None of an object that is not listed, or was asked for already
        self._answers: dict[_Name, tuple[ObjectInfo, float] | None] = {}
        self._following: dict[_Name, _Name] = {}  # the first one of the next page, by the middle one of a page

    def __contains__(self, name: _Name) -> bool:
        place = bisect.bisect_left(self._names, name)
        return place < len(self._names) and self._names[place] == name

    def peek(self, name: _Name) -> ObjectInfo | None:
        """See `ObjectsAhead.peek`."""
        answer = self._answers.get(name)
        return None if answer is None else answer[0]

    def listed(self, name: _Name) -> ObjectInfo | None:
        """See `ObjectsAhead.listed`; what was listed is given once.

        Raises:
            Interrupted: the run is to stop.
        """
        self.learn(name)
        answer = self._answers.get(name)
        if answer is None:
            return None
        self._answers[name] = None
        if (following := self._following.pop(name, None)) is not None:
            self.learn(following)  # while others still have the second half of this page to do
        info, listed_at = answer
        return info if self._lister.clock() - listed_at < _FRESH_SECONDS else None

    def learn(self, name: _Name) -> None:
        """See `ObjectsAhead.learn`.

        Raises:
            Interrupted: the run is to stop.
        """
        if name in self._answers or self._list in self._lister.refusing:
            return
        place = bisect.bisect_left(self._names, name)
        with self._pace.turn(place):
            if name in self._answers or self._list in self._lister.refusing:
                return  # another thread has listed it meanwhile
            if self._pace.is_asking_singly() or not self._are_many_unknown(place):
                self._answers[name] = None
                return
            bucket_name, with_versions = self._list
            begin = self._begin_of_page(place)
            page = self._lister.list_from(bucket_name, self._names[begin][0], with_versions=with_versions)
            answered = 0 if page is None else self._take(page, begin)
            self._answers.setdefault(name, None)
            self._pace.note(answered)

    def _are_many_unknown(self, place: int) -> bool:
        """Tell whether there are enough objects, from a place on, of which nothing is known yet."""
        next_names = self._names[place : place + _LEAST_ANSWERS]
        return len(next_names) == _LEAST_ANSWERS and not any(name in self._answers for name in next_names)

    def _begin_of_page(self, place: int) -> int:
        """Return where to list from: where pages are full of planned objects, with the first that nothing is known of.

        Threads that ask for what lies on one page, all at once, take one page then.
        """
        before = range(place - place % _PAGE if self._pace.is_dense else place, place)
        return next((begin for begin in before if self._names[begin] not in self._answers), place)

    def _take(self, page: ListedPage, begin: int) -> int:
        """Take from a page what it says of the names from a place on, and return of how many it says something new."""
        now, last_key = self._lister.clock(), page.last_key
        end = len(self._names)
        if last_key is not None:
            end = bisect.bisect_right(self._names, (last_key, _LAST_CHARACTER))
        answered = 0
        with self._lock:
            for key, version_id in self._names[begin:end]:
                if (key, version_id) not in self._answers:
                    info = page.objects.get((key, version_id or None))
                    self._answers[key, version_id] = None if info is None else (info, now)
                    answered += info is not None
            if begin < end < len(self._names):
                self._following[self._names[(begin + end) // 2]] = self._names[end]
        return answered


class _Pace:
    """Decides when a listing is worth while: as long as the one before has answered for enough objects.

    Where one has not, ever more objects are asked for by themselves before the next.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._singly, self._pause = _ASKED_BEFORE_LISTING, _ASKED_BEFORE_LISTING
        self._pays, self.is_dense = False, True
        self._turns = tuple(threading.Lock() for _ in range(16))

    def turn(self, place: int) -> threading.Lock:
        """Return what to hold while listing from a place on: once listings pay, far places are listed at once."""
        apart = _PAGE if self.is_dense else 64
        return self._turns[place // apart % len(self._turns) if self._pays else 0]

    def is_asking_singly(self) -> bool:
        """Tell whether the next object is to be asked for by itself, and count it."""
        with self._lock:
            self._singly -= 1
            return self._singly >= 0

    def note(self, answered: int) -> None:
        """Note of how many objects a listing has said something new."""
        with self._lock:
            self._pays, self.is_dense = answered >= _LEAST_ANSWERS, answered >= _PAGE // 2
            if self._pays:
                self._singly, self._pause = 0, _ASKED_BEFORE_LISTING
            else:
                self._pause *= 2
                self._singly = self._pause


def _just_before(key: str) -> str:
    """Return a text that sorts before a key, with next to nothing between the two: a listing begins behind it.

    >>> _just_before("a.raw")
    'a.rav'
    """
    last = ord(key[-1]) - 1
    is_character = last >= ord(" ") and not 0xD800 <= last <= 0xDFFF  # noqa: PLR2004  # not half of one
    return key[:-1] + (chr(last) if is_character else "")
