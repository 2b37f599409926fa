"""Does the arithmetic of S3 etags: the parts they are made of, when two name the same bytes, which can never verify.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html. A single-part
upload's etag is the MD5 of the content; a multipart upload's is the MD5 of the concatenated binary MD5s of its parts,
then `-` and their number.
"""

import functools
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MIB = 1024 * 1024
MAX_PARTS = 10_000
EMPTY_FILE_ETAG = "d41d8cd98f00b204e9800998ecf8427e"

_ETAG = re.compile(r"([0-9a-f]{32})(?:-([1-9][0-9]{0,4}))?")


@dataclass(frozen=True, slots=True)
class Etag:
    """An S3 etag in its two halves.

    Args:
        digest: 32 lower-case hexadecimal digits.
        parts: the number behind the dash; None for a bare MD5.
    """

    digest: str
    parts: int | None

    @classmethod
    def parse(cls, text: str) -> "Etag":
        """Read an etag as plans hold it: lower case, without quotes.

        Raises:
            ValueError: it is not one; the message says what was expected and what was found.
        """
        return _parse(text)

    def __str__(self) -> str:
        return self.digest if self.parts is None else f"{self.digest}-{self.parts}"


@functools.lru_cache(maxsize=1024)  # each is read several times on its file's way
def _parse(text: str) -> Etag:
    match = _ETAG.fullmatch(text)
    if match is None:
        raise ValueError(
            f"malformed etag {text[:80]!r} (expected 32 lower-case hexadecimal digits, for a multipart upload "
            "followed by - and the number of parts)"
        )
    digest, parts = match.groups()
    return Etag(digest, int(parts) if parts else None)


def part_count(size_bytes: int, chunk_size_bytes: int) -> int:
    """Return how many parts an upload of this size was cut into; an empty file is one empty part.

    >>> part_count(0, 5), part_count(5, 5), part_count(6, 5)
    (1, 1, 2)
    """
    return max(1, -(-size_bytes // chunk_size_bytes))


def part_ranges(size_bytes: int, chunk_size_bytes: int) -> list[tuple[int, int]]:
    """Return the half-open byte ranges of the parts.

    >>> part_ranges(12, 5)
    [(0, 5), (5, 10), (10, 12)]
    """
    count = part_count(size_bytes, chunk_size_bytes)
    return [(i * chunk_size_bytes, min((i + 1) * chunk_size_bytes, size_bytes)) for i in range(count)]


def hashed_ranges(etag: Etag, size_bytes: int, chunk_size_mb: int) -> list[tuple[int, int]]:
    """Return the half-open byte ranges whose MD5s make up this etag: the parts, or for a bare MD5 the whole file."""
    if etag.parts is None:
        return [(0, size_bytes)]
    return part_ranges(size_bytes, chunk_size_mb * MIB)


def fold_part_digests(part_digests: Sequence[bytes], *, multipart: bool) -> Etag:
    """Return the etag made of the binary MD5s of the parts.

    Args:
        part_digests: 16 bytes a part, in order.
        multipart: whether the upload was a multipart one (one part alone can be either).
    """
    if multipart:
        return Etag(_md5(part_digests), len(part_digests))
    (digest,) = part_digests
    return Etag(digest.hex(), None)


def same_content(one: Etag, other: Etag) -> bool:
    """Tell whether two etags name the same bytes.

    boto3 uploads an object of exactly one chunk as a multipart upload of one part, `<md5 of md5>-1`, where the catalog
    holds the bare MD5: both forms are the same content.
    """
    return one == other or _as_single_part(one) == _as_single_part(other)


def explain_impossible(etag: Etag, size_bytes: int | None, chunk_size_mb: int) -> str | None:
    """Return why no file of this size, cut this way, can have this etag; None if one can."""
    if etag.parts is not None and etag.parts > MAX_PARTS:
        return f"etag {etag} names {etag.parts} parts, S3 allows at most {MAX_PARTS}"
    if size_bytes is None:
        return None
    if etag.parts is not None and etag.parts != (parts := part_count(size_bytes, chunk_size_mb * MIB)):
        return (
            f"etag {etag} can never verify: {size_bytes} bytes in chunks of {chunk_size_mb} MB make {parts} parts, "
            f"the etag names {etag.parts}"
        )
    if size_bytes == 0 and not same_content(etag, Etag(EMPTY_FILE_ETAG, None)):
        return f"etag {etag} can never verify: the file is empty, whose etag is {EMPTY_FILE_ETAG}"
    return None


def _as_single_part(etag: Etag) -> Etag:
    return etag if etag.parts is not None else Etag(_md5([bytes.fromhex(etag.digest)]), 1)


def _md5(chunks: Iterable[bytes]) -> str:
    return hashlib.md5(b"".join(chunks), usedforsecurity=False).hexdigest()
