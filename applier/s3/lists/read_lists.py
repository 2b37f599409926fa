"""Asks for S3's lists and reads them: of the objects of a bucket, of the versions of an object, and of its parts.

Their forms: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html, API_ListObjectVersions.html and
API_GetObjectAttributes.html
"""

import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol
from urllib.parse import unquote_plus
from xml.etree import ElementTree as ET

from applier.s3.faults import bad_answer
from applier.s3.protocol import ListedPage, ObjectInfo, ObjectVersion, PartChecksum, kept_version, normalized_etag
from schemas.s3_location import ListedObject, ObjectLocation

# Of 1,000 entries with keys as long as they can be.
MAX_LIST_BYTES = 8 * 1024 * 1024
_SIZE = re.compile(r"[0-9]{1,18}")
_MAX_PARTS_BYTES = 512 * 1024  # of 1,000 parts with every checksum that there is
_MOST_PART_PAGES = 10  # of 1,000 parts each: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
# Of several, the one to use; those that Python's own library computes.
PART_ALGORITHMS = ("CRC32", "SHA256", "SHA1")
_MOST_TAGS = 100_000  # four times those of 1,000 entries; each is an object in memory
_KINDS = frozenset({"Version", "DeleteMarker"})
_LISTED = _KINDS | {"Contents"}
_FLAGS = {"true": True, "1": True, "false": False, "0": False, "": False}  # XML knows all of these, in small letters
_BEFORE_ALL = datetime.min.replace(tzinfo=UTC)


class Asker(Protocol):
    """Asks for a list."""

    def __call__(
        self, location: ObjectLocation, *, query: Mapping[str, str], headers: Mapping[str, str], max_bytes: int
    ) -> bytes:
        """Return the answer, with about so many bytes of it. Raises S3Fault where there is none, or an error."""


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
    read_key = _key_reader(fields)
    is_truncated, next_token = _flag(fields, "IsTruncated"), fields.get("NextContinuationToken", "")
    if is_truncated and not next_token:
        raise ValueError("it does not say how it goes on")
    objects = tuple(_object(child, read_key) for child in root if _name(child) == "Contents")
    # A token counts even where this is said to be all: one more request is better than half a bucket.
    return ObjectPage(objects=objects, next_token=next_token if next_token and (is_truncated or objects) else None)


def ask_for_page(
    ask: Asker, bucket: ObjectLocation, after: str, read_etag: Callable[[str | None], str], *, with_versions: bool
) -> ListedPage:
    """Return a page of the objects of a bucket, or of their versions; see `ObjectStore.list_page`.

    Raises:
        S3Fault: there is no such page.
    """
    kind = {"versions": "", "key-marker": after} if with_versions else {"list-type": "2", "start-after": after}
    text = ask(bucket, query={**kind, "encoding-type": "url"}, headers={}, max_bytes=MAX_LIST_BYTES)
    try:
        return read_listed_page(text, read_etag)
    except ValueError as error:
        raise bad_answer(bucket, f"its list of objects cannot be read ({error})") from error


def read_listed_page(text: bytes, read_etag: Callable[[str | None], str]) -> ListedPage:
    """Return the page in an answer that lists objects, or versions of objects.

    Args:
        text: S3's answer.
        read_etag: returns an etag as plans hold it.

    Raises:
        ValueError: it is not such a page.
    """
    root = _parse(text)
    if _name(root) not in {"ListBucketResult", "ListVersionsResult"}:
        raise ValueError("it is not a list of objects")
    has_versions, page = _name(root) == "ListVersionsResult", _fields(root)
    entries = [_fields(element) for element in root if _name(element) in _LISTED]
    read_key = _key_reader(page)
    keys = [read_key(entry.get("Key", "")) for entry in entries]
    objects: dict[tuple[str, str | None], ObjectInfo] = {}
    for key, entry in zip(keys, entries, strict=True):
        if not _SIZE.fullmatch(size := entry.get("Size", "")):
            continue  # a delete marker
        info = ObjectInfo(
            etag=read_etag(entry.get("ETag")),
            size_bytes=int(size),
            version_id=kept_version(entry.get("VersionId")),
            storage_class=entry.get("StorageClass") or None,
        )
        if has_versions:
            objects[key, entry.get("VersionId")] = info
        is_current = not has_versions or _flag(entry, "IsLatest")
        if is_current and objects.setdefault((key, None), info) != info:
            raise ValueError("it has an object twice, and not alike")
    if not _flag(page, "IsTruncated"):
        return ListedPage(objects=objects, last_key=None)
    if has_versions:  # of the last one, more versions may follow
        keys = [key for key in keys if key != keys[-1]]
    return ListedPage(objects=objects, last_key=keys[-1] if keys else "")


def ask_for_versions(ask: Asker, location: ObjectLocation) -> list[ObjectVersion]:
    """Return the versions of an object, delete markers among them, newest first; at most the newest 1,000.

    A request: S3 sorts by key and then by age, and no key that this one is a prefix of comes before it.

    Raises:
        S3Fault: there is no such list.
    """
    bucket = ObjectLocation(bucket_name=location.bucket_name, key="")
    query = {"versions": "", "prefix": location.key, "encoding-type": "url"}
    text = ask(bucket, query=query, headers={}, max_bytes=MAX_LIST_BYTES)
    try:
        return read_version_list(text, location.key)
    except ValueError as error:
        raise bad_answer(location, f"its list of versions cannot be read ({error})") from error


def read_version_list(text: bytes, key: str) -> list[ObjectVersion]:
    """Return the versions of one key, delete markers among them, newest first.

    Args:
        text: S3's answer; it may hold other keys, too.
        key: the object's.

    Raises:
        ValueError: it is not such a list.
    """
    root = _parse(text)
    if _name(root) != "ListVersionsResult":
        raise ValueError("it is not a list of versions")
    entries = [_fields(element) for element in root if _name(element) in _KINDS]
    read_key = _key_reader(_fields(root))
    found = [
        (_time(entry.get("LastModified", "")), entry) for entry in entries if read_key(entry.get("Key", "")) == key
    ]
    # The time has seconds: of two in one, the latest comes first. Where there is none, S3's own order stands.
    found.sort(key=lambda dated: (dated[0] or _BEFORE_ALL, _flag(dated[1], "IsLatest")), reverse=True)
    return [
        ObjectVersion(
            version_id=entry.get("VersionId") or "null",
            last_modified=last_modified,
            etag=normalized_etag(etag) if (etag := entry.get("ETag")) else None,
            size_bytes=int(size) if _SIZE.fullmatch(size := entry.get("Size", "")) else None,
        )
        for last_modified, entry in found
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartPage:
    """A page of the parts of an object.

    Args:
        etag: of the object.
        parts: in order; empty where S3 has no checksums of them, or of a kind that cannot be computed here.
        next_marker: what to ask for the next page with; None if this is the last one.
    """

    etag: str
    parts: tuple[PartChecksum, ...]
    next_marker: str | None


def ask_for_parts(ask: Asker, location: ObjectLocation, etag: str) -> list[PartChecksum]:
    """Return what S3 recorded of each part of an object with this etag; empty where it did not, or has another one.

    Raises:
        S3Fault: it does not say. Servers without this question send the object: no more than a page is read of it.
    """
    parts: list[PartChecksum] = []
    headers = {"x-amz-object-attributes": "ETag,ObjectParts"}
    for _ in range(_MOST_PART_PAGES):
        text = ask(location, query={"attributes": ""}, headers=headers, max_bytes=_MAX_PARTS_BYTES)
        try:
            page = read_part_page(text)
        except ValueError as error:
            raise bad_answer(location, f"its list of parts cannot be read ({error})") from error
        if page.etag != etag:
            return []
        parts += page.parts
        if not page.parts or page.next_marker is None:
            break
        headers = {**headers, "x-amz-part-number-marker": page.next_marker}
    return parts


def read_part_page(text: bytes) -> PartPage:
    """Return the page in an answer.

    Raises:
        ValueError: it is not such a page.
    """
    root = _parse(text)
    listed = next((child for child in root if _name(child) == "ObjectParts"), ET.Element("ObjectParts"))
    fields = _fields(listed)
    parts = [_part(_fields(child)) for child in listed if _name(child) == "Part"]
    return PartPage(
        etag=normalized_etag(_fields(root).get("ETag")),
        parts=tuple(part for part in parts if part is not None),
        next_marker=fields.get("NextPartNumberMarker") if _flag(fields, "IsTruncated") else None,
    )


def _part(fields: dict[str, str]) -> PartChecksum | None:
    for algorithm in PART_ALGORITHMS:
        if (encoded := fields.get(f"Checksum{algorithm}")) and _SIZE.fullmatch(size := fields.get("Size", "")):
            checksum = binascii.a2b_base64(encoded, strict_mode=True)
            return PartChecksum(size_bytes=int(size), algorithm=algorithm, checksum=checksum)
    return None


def _parse(text: bytes) -> ET.Element:
    if b"<!" in text or b"\0" in text:  # S3 declares no entities, and others could grow without end; in UTF-16, too
        raise ValueError("it declares entities, or is not in UTF-8")
    if text.count(b"<") > _MOST_TAGS:
        raise ValueError(f"it has more than {_MOST_TAGS:,} tags")
    try:
        return ET.fromstring(text)  # noqa: S314  # see above
    except (ET.ParseError, LookupError):  # LookupError: an encoding that nobody knows
        raise ValueError("it is not XML, or cut short") from None


def _key_reader(fields: Mapping[str, str]) -> Callable[[str], str]:
    """Return what decodes the keys of a list, which not every server encodes when it is asked to."""
    encodings = {text.strip().lower() for name, text in fields.items() if name.lower() == "encodingtype"}
    return unquote_plus if "url" in encodings else str


def _object(element: ET.Element, read_key: Callable[[str], str]) -> ListedObject:
    fields = _fields(element)
    key, size = fields.get("Key", ""), fields.get("Size", "")
    if not key or not _SIZE.fullmatch(size):
        raise ValueError("it has an object without a key or a size")
    return ListedObject(read_key(key), normalized_etag(fields.get("ETag")) or "", int(size))


def _name(element: ET.Element) -> str:
    """Return an element's name without its namespace, which not every S3 gives."""
    return element.tag.rpartition("}")[2]


def _fields(element: ET.Element) -> dict[str, str]:
    return {_name(child): child.text or "" for child in element}


def _flag(fields: Mapping[str, str], name: str) -> bool:
    """Return what a list says of itself or of an entry; false where it says nothing.

    Raises:
        ValueError: it says neither yes nor no.
    """
    flag = _FLAGS.get(fields.get(name, "").strip().lower())
    if flag is None:
        raise ValueError(f"it has {fields[name][:40]!r} as {name}, expected true or false")
    return flag


def _time(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
