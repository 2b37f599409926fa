"""Reads a page of S3's list of objects.

Its form: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote_plus
from xml.etree import ElementTree as ET

from applier.s3.protocol import normalized_etag
from schemas.listed_object import ListedObject

_SIZE = re.compile(r"[0-9]{1,18}")


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
    if b"<!" in text:  # S3 declares no entities, and others' could grow without end
        raise ValueError("it declares entities")
    try:
        root = ET.fromstring(text)  # noqa: S314  # see above
    except ET.ParseError:
        raise ValueError("it is not XML, or cut short") from None
    if _name(root) != "ListBucketResult":
        raise ValueError("it is not a list of objects")
    fields = {_name(child): child.text or "" for child in root}
    is_encoded = "EncodingType" in fields
    next_token = fields.get("NextContinuationToken") if fields.get("IsTruncated") == "true" else None
    if next_token == "" or (fields.get("IsTruncated") == "true" and next_token is None):
        raise ValueError("it does not say how it goes on")
    return ObjectPage(
        objects=tuple(_object(child, is_encoded=is_encoded) for child in root if _name(child) == "Contents"),
        next_token=next_token,
    )


def _object(element: ET.Element, *, is_encoded: bool) -> ListedObject:
    fields = {_name(child): child.text or "" for child in element}
    key, size = fields.get("Key", ""), fields.get("Size", "")
    if not key or not _SIZE.fullmatch(size):
        raise ValueError("it has an object without a key or a size")
    return ListedObject(unquote_plus(key) if is_encoded else key, normalized_etag(fields.get("ETag")) or "", int(size))


def _name(element: ET.Element) -> str:
    """Return an element's name without its namespace, which not every S3 gives."""
    return element.tag.rpartition("}")[2]
