"""What apply asks of S3, whichever library answers: the store's protocol and what S3 says about an object."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Protocol

from schemas.s3_location import ObjectLocation

_MD5_ETAG = re.compile(r"[0-9a-fA-F]{32}(-[0-9]{1,5})?")
# https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
_EXPIRY_DATE = re.compile(r'expiry-date="([^"]{1,40})"')


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """What S3 says about an object.

    Args:
        etag: without quotes, as S3 sent it; it may have no known form.
        size_bytes: of the whole object.
        version_id: of the version that was asked about; None where the bucket keeps no versions.
        storage_class: where S3 keeps it, which only a listing says; None if it was not asked for.
    """

    etag: str
    size_bytes: int
    version_id: str | None = None
    storage_class: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectVersion:
    """One version of an object in a bucket that keeps them.

    Args:
        version_id: names it; `null` for what was uploaded before the bucket kept versions.
        last_modified: when it was uploaded or deleted (UTC); None where S3 does not say so in ISO 8601.
        etag: without quotes; None of a delete marker.
        size_bytes: of the object; None of a delete marker.
    """

    version_id: str
    last_modified: datetime | None
    etag: str | None = None
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPage:
    """One answer out of a bucket's list, which S3 sorts by key.

    Args:
        objects: what it says about objects, by key and version id; with None as version id, about current versions.
        last_key: up to and with which key it says all; None if up to the end of the bucket.
    """

    objects: Mapping[tuple[str, str | None], ObjectInfo]
    last_key: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartChecksum:
    """What S3 recorded of one part when it was uploaded.

    Args:
        size_bytes: of the part.
        algorithm: as S3 names it, such as `CRC32`.
        checksum: binary.
    """

    size_bytes: int
    algorithm: str
    checksum: bytes


class ObjectStore(Protocol):
    """Asks S3, one request a call and without retries. Every method may raise `S3Fault`."""

    def check_bucket(self, bucket_name: str) -> None:
        """Ask whether the bucket exists; BUCKET_MISSING if not. A bucket that may not be listed counts as existing."""

    def head(self, location: ObjectLocation) -> ObjectInfo:
        """Return etag and size of an object; an archived one has them, too."""

    def check_readable(self, location: ObjectLocation) -> None:
        """Ask for one byte of an object that is not empty, because a HEAD does not say whether it can be read.

        ARCHIVED with the storage class and what to do if it must be restored first, ACCESS_DENIED if it may not be
        read (for example because the key that encrypts it is not permitted).
        """

    def encryption(self, location: ObjectLocation) -> str | None:
        """Return how S3 encrypts an object, which decides what its etag is made of. None if S3 does not say."""

    def list_versions(self, location: ObjectLocation) -> list[ObjectVersion]:
        """Return the versions of an object, delete markers among them, newest first; at most the newest 1,000."""

    def list_page(self, bucket_name: str, after: str, *, with_versions: bool) -> ListedPage:
        """Return what S3 lists of a bucket in one answer: about 1,000 objects, or versions of objects.

        Args:
            bucket_name: the bucket.
            after: a key; what comes after it is listed.
            with_versions: list all versions, with their ids, rather than the current ones.
        """

    def part_checksums(self, location: ObjectLocation, etag: str) -> list[PartChecksum]:
        """Return what S3 recorded of each part of an object with this etag, in order; empty where it did not."""

    def read_range(self, location: ObjectLocation, start: int, end: int, etag: str) -> Iterator[memoryview]:
        """Yield the bytes of a half-open range, exactly so many, in buffers of at most about 1 MiB.

        Sent with `If-Match`, and the answer's own ETag is checked before the first byte is yielded: all bytes are of
        the version of the object that has this etag.
        """


def normalized_etag(header: str | None) -> str:
    """Return the ETag header without its quotes; one that is made of an MD5 in lower case, as plans hold it.

    >>> normalized_etag('"9DFF3479548C346BBEEEAB2C23AF22FD-3"')
    '9dff3479548c346bbeeeab2c23af22fd-3'
    """
    etag = (header or "").strip().removeprefix("W/").strip('"')
    return etag.lower() if _MD5_ETAG.fullmatch(etag) else etag


def http_date(header: str | None) -> datetime | None:
    """Return the time in a header such as Date; None if it has none.

    >>> http_date("Fri, 21 Dec 2012 00:00:00 GMT")
    datetime.datetime(2012, 12, 21, 0, 0, tzinfo=datetime.timezone.utc)
    """
    try:
        time = parsedate_to_datetime(header or "")
    except (ValueError, IndexError, OverflowError):
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def current_restore(headers: Mapping[str, str]) -> str:
    """Return S3's `x-amz-restore` header; empty if no restore was requested, or its copy has expired.

    The time is S3's own, by the Date of the same answer: the clock here may be wrong, and counts only without one.
    """
    restore = headers.get("x-amz-restore", "")
    expiry = _EXPIRY_DATE.search(restore)
    ends, now = http_date(expiry[1] if expiry else None), http_date(headers.get("date")) or datetime.now(UTC)
    return "" if ends is not None and ends <= now else restore


def kept_version(version_id: str | None) -> str | None:
    """Return the version id that S3 sent if it names a lasting version: `null` is overwritten in place."""
    return None if version_id == "null" else version_id
