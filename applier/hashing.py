"""Etags of local bytes: the only place that hashes file content.

MD5 is what verification costs (0.7 GiB/s a core; hashlib releases the GIL, so threads add up). `RangeHasher` is the
seam: whoever brings a faster kernel, or one for several ranges at once, changes this module alone.
"""

import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

from schemas.etag import MIB, Etag, fold_part_digests, hashed_ranges

BUFFER_BYTES = MIB

_buffers = threading.local()


class WrongSizeError(Exception):
    """The file has not the size that it should have."""


class RangeHasher:
    """The MD5 of a range of a file, fed piece by piece in order, read back from the file system."""

    def __init__(self) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)

    def read(self, descriptor: int, start: int, end: int, read: Callable[[int], None] = lambda _: None) -> None:
        """Hash the next bytes.

        Args:
            descriptor: the file, open for reading.
            start: offset of the first byte.
            end: offset behind the last one.
            read: told the bytes of each buffer; may raise to stop.

        Raises:
            WrongSizeError: the file ends before `end`.
        """
        buffer = _buffer()
        while start < end:
            count = os.preadv(descriptor, [buffer[: end - start]], start)
            if count == 0:
                raise WrongSizeError
            self._md5.update(buffer[:count])
            start += count
            read(count)

    def digest(self) -> bytes:
        """Return the binary MD5 (16 bytes) of what was fed so far."""
        return self._md5.digest()


def get_etag(file_path: Path, chunk_size_mb: int, *, multipart: bool | None = None) -> str:
    """Return the etag that a file would have on S3, uploaded with this chunk size.

    Args:
        file_path: a local file.
        chunk_size_mb: size of the upload's parts in MiB.
        multipart: which of its two forms to return for a file of one part; by default that of the catalog: the bare
            MD5 for at most one chunk.

    Returns:
        The MD5 of the content, or for a multipart upload that of the concatenated part MD5s, `-` and their number.

    Raises:
        OSError: the file cannot be read.
    """
    size_bytes = file_path.stat().st_size
    many = multipart if multipart is not None else size_bytes > chunk_size_mb * MIB
    digests = []
    with file_path.open("rb") as file:
        # only whether there is a suffix counts here
        for start, end in hashed_ranges(Etag("", 1 if many else None), size_bytes, chunk_size_mb):
            hasher = RangeHasher()
            hasher.read(file.fileno(), start, end)
            digests.append(hasher.digest())
    return str(fold_part_digests(digests, multipart=many))


def _buffer() -> memoryview:
    if not hasattr(_buffers, "buffer"):
        _buffers.buffer = memoryview(bytearray(BUFFER_BYTES))
    buffer: memoryview = _buffers.buffer
    return buffer
