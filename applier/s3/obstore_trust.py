"""Remembers what obstore may read, and what it has shown that it cannot."""

import logging
import threading

from applier.s3.faults import S3Fault
from schemas.s3_location import ObjectLocation
from schemas.text import printable

logger = logging.getLogger(__name__)

# After so many objects that obstore could not take, a bucket is left to `BotoStore`: each of them costs a request.
_MOST_RULED_OUT = 3


class Trust:
    """Which objects obstore may read: those in buckets that answer as S3 does.

    A read that failed suspends an object and its bucket until `BotoStore` has read something there. An answer that only
    `BotoStore` could take rules the object out for the rest of the run.
    """

    def __init__(self) -> None:
        self._buckets: set[str] = set()
        self._suspended: set[ObjectLocation] = set()
        self._ruled_out: dict[str, set[ObjectLocation]] = {}
        self._lock = threading.Lock()

    def covers(self, location: ObjectLocation) -> bool:
        """Tell whether an object may be read."""
        return location.bucket_name in self._buckets and location not in self._suspended

    def gain(self, location: ObjectLocation) -> None:
        """Note that `BotoStore` has read an object."""
        with self._lock:
            self._buckets.add(location.bucket_name)
            self._suspended.discard(location)

    def suspend(self, location: ObjectLocation) -> None:
        """Note that an object could not be read."""
        with self._lock:
            self._buckets.discard(location.bucket_name)
            self._suspended.add(location)

    def rules_out(self, location: ObjectLocation) -> bool:
        """Tell whether obstore is not asked for an object again."""
        objects = self._ruled_out.get(location.bucket_name, ())
        return location in objects or len(objects) >= _MOST_RULED_OUT

    def rule_out(self, location: ObjectLocation, fault: S3Fault) -> None:
        """Note that `BotoStore` could take what obstore could not."""
        with self._lock:
            objects = self._ruled_out.setdefault(location.bucket_name, set())
            if len(objects) < _MOST_RULED_OUT:
                objects.add(location)
                logger.info("read by the slower way: %s", printable(str(fault)))
