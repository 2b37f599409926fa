"""Reads S3's list of the versions of an object.

Its form: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
"""

import re
from datetime import UTC, datetime
from operator import itemgetter
from urllib.parse import unquote_plus
from xml.etree import ElementTree as ET

from applier.s3.protocol import ObjectVersion, normalized_etag

_SIZE = re.compile(r"[0-9]{1,18}")
_KINDS = frozenset({"Version", "DeleteMarker"})


def read_version_list(text: bytes, key: str) -> list[ObjectVersion]:
    """Return the versions of one key, delete markers among them, newest first.

    Args:
        text: S3's answer; it may hold other keys, too.
        key: the object's.

    Raises:
        ValueError: it is not such a list.
    """
    if b"<!" in text:  # S3 declares no entities, and others' could grow without end
        raise ValueError("it declares entities")
    try:
        root = ET.fromstring(text)  # noqa: S314  # see above
    except ET.ParseError as error:
        raise ValueError("it is not XML") from error
    fields = [_fields(element) for element in root if _name(element) in _KINDS]
    is_encoded = any(_name(element) == "EncodingType" for element in root)
    found = [
        (_time(entry.get("LastModified", "")), entry.get("IsLatest") == "true", entry)
        for entry in fields
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
