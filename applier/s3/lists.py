"""Reads S3's lists: a page of the objects of a bucket, and the versions of an object.

Their forms: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html and API_ListObjectVersions.html
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import itemgetter
from urllib.parse import unquote_plus
from xml.etree import ElementTree as ET

from applier.s3.protocol import ObjectVersion, normalized_etag
from schemas.s3_location import ListedObject

# Of 1,000 entries with keys as long as they can be.
MAX_LIST_BYTES = 8 * 1024 * 1024
_SIZE = re.compile(r"[0-9]{1,18}")
_KINDS = frozenset({"Version", "DeleteMarker"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectPage:
    """A page of a list.

    Args:
        objects: in S3's order.
        next_token: what to ask for the next page with; None if this is the last one.
    """

    objects: tuple[ListedObject, ...]
    next_token: str | None


def read_object_page(text: bytes) -> ObjectPage:
    """Return the page in an answer.

    Raises:
        ValueError: it is not such a page.
    """
    root = _parse(text)
    if _name(root) != "ListBucketResult":
        raise ValueError("it is not a list of objects")
    fields = _fields(root)
    is_encoded = "EncodingType" in fields
    next_token = fields.get("NextContinuationToken") if fields.get("IsTruncated") == "true" else None
    if next_token == "" or (fields.get("IsTruncated") == "true" and next_token is None):
        raise ValueError("it does not say how it goes on")
    return ObjectPage(
        objects=tuple(_object(child, is_encoded=is_encoded) for child in root if _name(child) == "Contents"),
        next_token=next_token,
    )


def read_version_list(text: bytes, key: str) -> list[ObjectVersion]:
    """Return the versions of one key, delete markers among them, newest first.

    Args:
        text: S3's answer; it may hold other keys, too.
        key: the object's.

    Raises:
        ValueError: it is not such a list.
    """
    root = _parse(text)
    entries = [_fields(element) for element in root if _name(element) in _KINDS]
    is_encoded = "EncodingType" in _fields(root)
    found = [
        (_time(entry.get("LastModified", "")), entry.get("IsLatest") == "true", entry)
        for entry in entries
        if (unquote_plus(entry.get("Key", "")) if is_encoded else entry.get("Key")) == key
    ]
    found.sort(key=itemgetter(0, 1), reverse=True)  # the time has seconds: of two in one, the latest comes first
    return [
        ObjectVersion(
            version_id=entry.get("VersionId") or "null",
            last_modified=last_modified,
            etag=normalized_etag(etag) if (etag := entry.get("ETag")) else None,
            size_bytes=int(size) if _SIZE.fullmatch(size := entry.get("Size", "")) else None,
        )
        for last_modified, _, entry in found
    ]


def _parse(text: bytes) -> ET.Element:
    if b"<!" in text:  # S3 declares no entities, and others' could grow without end
        raise ValueError("it declares entities")
    try:
        return ET.fromstring(text)  # noqa: S314  # see above
    except ET.ParseError:
        raise ValueError("it is not XML, or cut short") from None


def _object(element: ET.Element, *, is_encoded: bool) -> ListedObject:
    fields = _fields(element)
    key, size = fields.get("Key", ""), fields.get("Size", "")
    if not key or not _SIZE.fullmatch(size):
        raise ValueError("it has an object without a key or a size")
    return ListedObject(unquote_plus(key) if is_encoded else key, normalized_etag(fields.get("ETag")) or "", int(size))


def _name(element: ET.Element) -> str:
    """Return an element's name without its namespace, which not every S3 gives."""
    return element.tag.rpartition("}")[2]


def _fields(element: ET.Element) -> dict[str, str]:
    return {_name(child): child.text or "" for child in element}


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text[:40]!r} is not a time") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
