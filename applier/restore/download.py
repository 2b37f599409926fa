"""Fills a staged file and proves it: keeps what was staged before, copies what a local file has, fetches the rest.

Everything is read back and hashed as it lands, and the etag of what was read back decides.
"""

import errno
import functools
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from applier.disk.hashing import ByteRange, WrongSizeError, cores, hash_ranges, hashed_together
from applier.disk.part_hashing import SEGMENT_BYTES, Part, PartHasher
from applier.disk.staged_file import StagedFile
from applier.disk.staging import SegmentSource
from applier.restore.crew import Task
from applier.restore.find_object import FoundObject
from applier.restore.progress import VerifiedBytes
from applier.restore.tools import CheckTools
from applier.target import Target
from schemas.etag import MIB, Etag, fold_part_digests, hashed_ranges
from schemas.text import printable

logger = logging.getLogger(__name__)

# A file of at most this size is fetched again rather than resumed.
SMALL_FILE_BYTES = 32 * MIB


def is_resumable(size_bytes: int) -> bool:
    """Tell whether a file of this size is worth a journal, so that a later run can resume it."""
    return size_bytes > SMALL_FILE_BYTES


class BytesRefutedError(Exception):
    """What was read back is not what the plan says.

    Args:
        mismatch: what was found, and what was expected.
        with_local_bytes: whether bytes of a local file, which may be wrong, were among it.
    """

    def __init__(self, mismatch: str, *, with_local_bytes: bool) -> None:
        self.with_local_bytes = with_local_bytes
        super().__init__(mismatch)


@dataclass(frozen=True, slots=True, kw_only=True)
class Downloaded:
    """What a staged file holds, proven.

    Args:
        part_digests: the binary MD5 of each part.
        fetched_parts: how many parts were fetched, at least in part; the others were there already.
        by_md5: whether the MD5 of the whole proves it, and not the etag.
    """

    part_digests: Sequence[bytes]
    fetched_parts: int
    by_md5: bool


def download(  # noqa: PLR0913  # what, from where, to where, and with what
    target: Target,
    source: FoundObject,
    staged: StagedFile,
    verified: VerifiedBytes,
    tools: CheckTools,
    *,
    copies: SegmentSource | None = None,
) -> Downloaded:
    """Fill a staged file, and prove that what is read back from it is what the plan says.

    Args:
        target: the file.
        source: the object as the pre-check found it.
        staged: where its bytes go.
        verified: counts the bytes read back.
        tools: fetch, and run pieces at once.
        copies: what can be copied in place of fetching it.

    Raises:
        BytesRefutedError: it is not.
        S3Fault: S3 does not give the bytes, or has another object by now.
        Interrupted: the run is to stop.
        OSError: the file system failed.
    """
    expected = Etag.parse(target.file.expected_etag)
    ranges = hashed_ranges(expected, source.info.size_bytes, target.file.chunk_size_mb)
    try:
        if len(ranges) == 1 and not staged.can_be_resumed and 0 < source.info.size_bytes <= SEGMENT_BYTES:
            digests, fetched_parts = _fill_by_one_request(source, staged, verified, tools), 1
        else:
            hasher = PartHasher(ranges, on_done=staged.end_part)
            fetched_parts = _fill(_Filling(source, staged, copies, hasher, verified, tools))
            digests = hasher.digests
    except WrongSizeError as error:
        mismatch = f"size mismatch: the staged file has other than {source.info.size_bytes} bytes"
        raise BytesRefutedError(mismatch, with_local_bytes=staged.may_hold_local_bytes) from error
    except OSError as error:
        # where the file system copies by sharing blocks, a bad one of the local file shows only when read back
        if error.errno != errno.EIO or not staged.may_hold_local_bytes:
            raise
        raise BytesRefutedError("the local file has a bad block", with_local_bytes=True) from error
    found = fold_part_digests(digests, multipart=expected.parts is not None)
    md5 = None if found == expected else tools.accept.md5_of(target.file)
    if found != expected and (md5 is None or staged.md5() != md5):
        mismatch = f"etag mismatch: downloaded {found}, expected {expected}"
        raise BytesRefutedError(mismatch, with_local_bytes=staged.may_hold_local_bytes)
    proof = f"etag {expected}" if md5 is None else f"MD5 {md5}"
    logger.debug("%s: verified as read back, %s", printable(target.file.relative_path), proof)
    return Downloaded(part_digests=digests, fetched_parts=fetched_parts, by_md5=md5 is not None)


def _fill_by_one_request(
    source: FoundObject, staged: StagedFile, verified: VerifiedBytes, tools: CheckTools
) -> list[bytes]:
    """Bring everything into a staged file at once, and return its MD5 as read back: most files are that small.

    Raises:
        WrongSizeError: the staged file has another size than it should.
        S3Fault, Interrupted, OSError: as `download`.
    """
    whole = (0, source.info.size_bytes)

    def write(buffer: memoryview, offset: int) -> None:
        staged.write(buffer, offset)
        tools.progress.bytes_fetched(len(buffer))

    tools.fetcher.download_file_from_s3(source.location, source.info.etag, whole, write)
    if staged.size_bytes() != source.info.size_bytes:
        raise WrongSizeError
    return hash_ranges(staged.descriptor, [whole], verified.add)


def _fill(filling: "_Filling") -> int:
    """Bring everything into a staged file, hash it as it is read back, and return how many parts were fetched.

    Raises:
        WrongSizeError: the staged file has another size than it should.
        S3Fault, Interrupted, OSError: as `download`.
    """
    crew, hasher = filling.tools.crew, filling.hasher
    crew.share(filling.staged_earlier())
    crew.share(filling.missing(), at_once=hasher.segments_at_once)
    if filling.staged.size_bytes() != filling.source.info.size_bytes:
        raise WrongSizeError
    return len(filling.fetched_parts)


@dataclass(frozen=True, slots=True)
class _Filling:
    """What the pieces of one download have in common."""

    source: FoundObject
    staged: StagedFile
    copies: SegmentSource | None
    hasher: PartHasher
    verified: VerifiedBytes
    tools: CheckTools
    fetched_parts: set[int] = field(default_factory=set)

    def staged_earlier(self) -> list[Task]:
        """Return the pieces that re-hash what an interrupted run staged: whole parts, and segments of others."""
        left, staged_bytes = self.staged.left, self.staged.size_bytes()
        parts = [part for part in self.hasher.parts if part.byte_range[1] <= staged_bytes]
        finished = [part for part in parts if part.index in left.part_digests]
        pieces: list[Task] = [
            functools.partial(self._accept_if_right, finished[indices.start : indices.stop])
            for indices in hashed_together(len(finished))
        ]
        landed = {segment for segment in left.landed if segment[1] <= staged_bytes}
        if landed:
            logger.info("%s: resuming what an interrupted run staged", printable(self.source.location.key))
            for part in set(self.hasher.parts).difference(finished):
                self.hasher.land(part, landed.intersection(part.segments))
            pieces += [functools.partial(self.hasher.hash_landed, self.staged.descriptor, self.verified.add)] * cores()
        return pieces

    def missing(self) -> Iterator[Task]:
        """Yield the pieces that bring what is missing, a segment each."""
        for part, segment in self.hasher.missing_segments():
            yield functools.partial(self._bring, part, segment)

    def _accept_if_right(self, parts: list[Part]) -> None:
        digests = hash_ranges(self.staged.descriptor, [part.byte_range for part in parts], self.verified.add)
        for part, digest in zip(parts, digests, strict=True):
            if digest == self.staged.left.part_digests[part.index]:
                self.hasher.accept(part, digest)

    def _write(self, buffer: memoryview, offset: int) -> None:
        self.staged.write(buffer, offset)
        self.tools.progress.bytes_fetched(len(buffer))

    def _bring(self, part: Part, segment: ByteRange) -> None:
        fetcher = self.tools.fetcher
        copied = self.copies is not None and self.copies.copy(segment, self.staged.descriptor, fetcher.raise_if_stopped)
        if not copied:
            self.fetched_parts.add(part.index)
            fetcher.download_file_from_s3(self.source.location, self.source.info.etag, segment, self._write)
        self.staged.land(segment)
        self.hasher.land(part, [segment])
        self.hasher.hash_landed(self.staged.descriptor, self.verified.add)
