"""A bucket in memory that can be listed, and asked for nothing else: every object has one byte and one etag."""

import bisect
from collections.abc import Iterator
from dataclasses import dataclass, field

from applier.s3.faults import S3Fault
from applier.s3.protocol import ListedPage, ObjectInfo, ObjectVersion, PartChecksum
from schemas.s3_location import ObjectLocation

ETAG = "d8e8fca2dc0f896fd7cb4cb0031ba249"


@dataclass
class Listing:
    """The bucket, and what it was asked for.

    Attributes:
        keys: Of its objects, sorted.
        fault: Raised in place of every answer.
        etag: Of every object.
        size_bytes: Of every object.
        pages: After which keys it was listed.
    """

    keys: list[str]
    fault: S3Fault | None = None
    etag: str = ETAG
    size_bytes: int = 1
    pages: list[str] = field(default_factory=list)

    def list_page(self, bucket_name: str, after: str, *, with_versions: bool) -> ListedPage:
        del bucket_name
        self.pages.append(after)
        if self.fault is not None:
            raise self.fault
        begin = bisect.bisect_right(self.keys, after)
        found = self.keys[begin : begin + 1001]
        version = "7" if with_versions else None
        objects = {
            name: ObjectInfo(etag=self.etag, size_bytes=self.size_bytes, version_id=version)
            for key in found[:1000]
            for name in ((key, None), (key, version))
        }
        return ListedPage(objects=objects, last_key=found[999] if len(found) > 1000 else None)

    def part_checksums(self, location: ObjectLocation, etag: str) -> list[PartChecksum]:
        raise NotImplementedError

    def check_bucket(self, bucket_name: str) -> None:
        raise NotImplementedError

    def head(self, location: ObjectLocation) -> ObjectInfo:
        raise NotImplementedError

    def check_readable(self, location: ObjectLocation) -> None:
        raise NotImplementedError

    def encryption(self, location: ObjectLocation) -> str | None:
        raise NotImplementedError

    def list_versions(self, location: ObjectLocation) -> list[ObjectVersion]:
        raise NotImplementedError

    def read_range(self, location: ObjectLocation, start: int, end: int, etag: str) -> Iterator[memoryview]:
        raise NotImplementedError
