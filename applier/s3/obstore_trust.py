"""Remembers what obstore may read, and what it has shown that it cannot."""

import logging
import threading

from applier.s3.faults import S3Fault
from schemas.s3_location import ObjectLocation
from schemas.text import printable

logger = logging.getLogger(__name__)

# After so many objects that obstore could not take, a bucket is left to `BotoStore`: each of them costs a request.
_MOST_REFUSED = 3


class Trust:
    """What obstore may read: objects in buckets that answer as S3 does, unless they have failed."""

    def __init__(self) -> None:
        self._buckets: set[str] = set()
        self._failed: set[ObjectLocation] = set()
        self._withdrawn: dict[str, set[ObjectLocation]] = {}
        self._lock = threading.Lock()

    def covers(self, location: ObjectLocation) -> bool:
        """Tell whether an object may be read."""
        return location.bucket_name in self._buckets and location not in self._failed

    def gain(self, location: ObjectLocation) -> None:
        """Note that `BotoStore` has read an object."""
        with self._lock:
            self._buckets.add(location.bucket_name)
            self._failed.discard(location)

    def lose(self, location: ObjectLocation) -> None:
        """Note that an object could not be read."""
        with self._lock:
            self._buckets.discard(location.bucket_name)
            self._failed.add(location)

    def is_withdrawn(self, location: ObjectLocation) -> bool:
        """Tell whether obstore is not asked for an object again."""
        objects = self._withdrawn.get(location.bucket_name, ())
        return location in objects or len(objects) >= _MOST_REFUSED

    def withdraw(self, location: ObjectLocation, fault: S3Fault) -> None:
        """Note that `BotoStore` could take what obstore could not."""
        with self._lock:
            objects = self._withdrawn.setdefault(location.bucket_name, set())
            if len(objects) < _MOST_REFUSED:
                objects.add(location)
                logger.info("read by the slower way: %s", printable(str(fault)))
