"""Computes etags of local bytes; the only place that reads file content to hash it.

MD5 is what verification costs, so ranges are read and hashed several at once, see `md5_lanes`.
"""

import functools
import hashlib
import mmap
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from applier.disk.compiled import small_files
from applier.disk.compiled.md5_lanes import Md5Lanes, Md5Stream, best_md5
from applier.disk.file_identity import FileIdentity
from schemas.etag import MIB, Etag, fold_part_digests, hashed_ranges

ByteRange = tuple[int, int]

# Shared by what a thread hashes at once: large enough for calls not to count, small enough for the caches.
_BUFFER_BYTES = 2 * MIB
_LONGEST_READ_BYTES = MIB
LARGEST_TOGETHER_BYTES = MIB // 4  # files up to this size are for `hash_small_files`

_free_buffers: list[memoryview] = []


class WrongSizeError(Exception):
    """The file does not have the expected size."""


def md5_lanes() -> int:
    """Return how many ranges one thread best hashes at once."""
    return best_md5().lanes


@functools.cache
def cores() -> int:
    """Return how many threads can hash at once: the cores that this process may use."""
    return len(os.sched_getaffinity(0))


@dataclass(slots=True)
class RangeHasher:
    """The MD5 of a range of a file, fed in order, and how far it has been read."""

    position: int
    md5: Md5Lanes = field(default_factory=best_md5)
    stream: Md5Stream = field(init=False)

    def __post_init__(self) -> None:
        self.stream = self.md5.start()

    def digest(self) -> bytes:
        """Return the binary MD5 (16 bytes) of what was read so far."""
        return self.stream.digest()


def read_on(
    descriptor: int, hashers: Sequence[tuple[RangeHasher, int]], on_read: Callable[[int], None] = lambda _: None
) -> None:
    """Hash the next bytes of several ranges of a file, read back from the file system.

    Args:
        descriptor: the file, open for reading.
        hashers: at most `md5_lanes` of them, each with the offset up to which it is to read.
        on_read: called with the bytes of each round; may raise to stop.

    Raises:
        WrongSizeError: the file ends before one of the offsets.
    """
    left = [(hasher, end) for hasher, end in hashers if hasher.position < end]
    with _borrowed_buffer() as buffer:
        while left:
            share = min(_BUFFER_BYTES // len(left), _LONGEST_READ_BYTES)
            pieces = [
                _filled(buffer[lane * share : lane * share + min(share, end - hasher.position)], descriptor, hasher)
                for lane, (hasher, end) in enumerate(left)
            ]
            left[0][0].md5.update([hasher.stream for hasher, _ in left], pieces)
            on_read(sum(map(len, pieces)))
            left = [(hasher, end) for hasher, end in left if hasher.position < end]


def _filled(buffer: memoryview, descriptor: int, hasher: RangeHasher) -> memoryview:
    """Read what comes next and return so much of the buffer as that fills."""
    count = os.preadv(descriptor, [buffer], hasher.position)
    if count == 0:
        raise WrongSizeError
    hasher.position += count
    return buffer[:count]


def hash_ranges(
    descriptor: int, ranges: Sequence[ByteRange], on_read: Callable[[int], None] = lambda _: None
) -> list[bytes]:
    """Return the binary MD5s of at most `md5_lanes` half-open ranges of a file; see `read_on`."""
    if len(ranges) == 1:  # as all of a small file is: nothing shares the work
        md5 = hashlib.md5(usedforsecurity=False)
        for piece in _pieces(descriptor, ranges[0], on_read):
            md5.update(piece)
        return [md5.digest()]
    hashers = [(RangeHasher(start), end) for start, end in ranges]
    read_on(descriptor, hashers, on_read)
    return [hasher.digest() for hasher, _ in hashers]


def hash_small_files(
    folder: int, files: Sequence[tuple[str, int]], raise_if_stopped: Callable[[], None] = lambda: None
) -> list[tuple[FileIdentity, bytes] | None]:
    """Return identity and binary MD5 of small files below a folder, read and hashed together.

    Args:
        folder: its descriptor; no link below it is followed.
        files: of each the path and the size in bytes, at most `LARGEST_TOGETHER_BYTES`.
        raise_if_stopped: called now and then, where the file system is slow.

    Returns:
        None in place of a file that is anything but right in size, readable and left alone meanwhile.
    """
    with _borrowed_buffer() as buffer:
        return [
            (FileIdentity(*file.identity), bytes(file.digest)) if file.is_hashed else None
            for file in small_files.hash_small_files(best_md5().library, folder, files, buffer, raise_if_stopped)
        ]


def checksum_of_range(
    descriptor: int, byte_range: ByteRange, algorithm: str, on_read: Callable[[int], None] = lambda _: None
) -> bytes:
    """Return S3's checksum of a half-open range of a file.

    Args:
        descriptor: the file, open for reading.
        byte_range: half-open.
        algorithm: CRC32 (4 bytes, big endian), SHA1 or SHA256.
        on_read: called with the bytes of each round; may raise to stop.

    Raises:
        WrongSizeError: the file ends before the range does.
    """
    if algorithm == "CRC32":
        crc = 0
        for piece in _pieces(descriptor, byte_range, on_read):
            crc = zlib.crc32(piece, crc)
        return crc.to_bytes(4, "big")
    digest = hashlib.new(algorithm, usedforsecurity=False)
    for piece in _pieces(descriptor, byte_range, on_read):
        digest.update(piece)
    return digest.digest()


def _pieces(descriptor: int, byte_range: ByteRange, on_read: Callable[[int], None]) -> Iterator[memoryview]:
    """Yield the bytes of a range in order, each piece valid until the next is asked for.

    Raises:
        WrongSizeError: the file ends before the range does.
    """
    position, end = byte_range
    with _borrowed_buffer() as buffer:
        while position < end:
            count = os.preadv(descriptor, [buffer[: min(_LONGEST_READ_BYTES, end - position)]], position)
            if count == 0:
                raise WrongSizeError
            position += count
            yield buffer[:count]
            on_read(count)


def hashed_together(count: int) -> list[range]:
    """Deal so many ranges out to threads: every core has some, and each hashes several at once.

    Returns:
        The indices that one call of `hash_ranges` takes, together 0 to `count` - 1.
    """
    calls = max(min(cores(), count), -(-count // md5_lanes()))
    return [range(count * call // calls, count * (call + 1) // calls) for call in range(calls)]


def _run_in_turn(pieces: Iterable[Callable[[], None]]) -> None:
    for piece in pieces:
        piece()


def get_etag(
    descriptor: int,
    chunk_size_mb: int,
    *,
    multipart: bool,
    share: Callable[[Iterable[Callable[[], None]]], None] = _run_in_turn,
    on_read: Callable[[int], None] = lambda _: None,
) -> tuple[Etag, list[bytes]]:
    """Return the etag that a file would have on S3, uploaded with this chunk size, and what it is made of.

    Args:
        descriptor: the file, open for reading.
        chunk_size_mb: size of the upload's parts in MiB.
        multipart: whether it was a multipart upload; a file of one part can be either.
        share: runs pieces of the work, at once where it can; raises what they raise.
        on_read: called with the bytes of each round; may raise to stop.

    Returns:
        The etag, and the binary MD5 of each part.

    Raises:
        WrongSizeError: the file becomes shorter while it is read.
        OSError: it cannot be read.
    """
    ranges = hashed_ranges(Etag("", 1 if multipart else None), os.fstat(descriptor).st_size, chunk_size_mb)
    digests = [b""] * len(ranges)

    def hash_some(indices: range) -> None:
        some = slice(indices.start, indices.stop)
        digests[some] = hash_ranges(descriptor, ranges[some], on_read)

    share(functools.partial(hash_some, indices) for indices in hashed_together(len(ranges)))
    return fold_part_digests(digests, multipart=multipart), digests


@contextmanager
def _borrowed_buffer() -> Iterator[memoryview]:
    """Lend a buffer that no other thread has; as many are made as threads hash at once, whatever the number of jobs."""
    try:
        buffer = _free_buffers.pop()
    except IndexError:
        # of its own pages: those that small files never fill are never taken from the system
        buffer = memoryview(mmap.mmap(-1, _BUFFER_BYTES))
    try:
        yield buffer
    finally:
        _free_buffers.append(buffer)
