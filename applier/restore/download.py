"""One download of one file into its staged file: what to fetch, and the etag of what was read back."""

import errno
import functools
import logging
import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress

from applier.disk.folders import write_all
from applier.disk.hashing import ByteRange, WrongSizeError, cores, hash_ranges, hashed_together
from applier.disk.journal import Journal, StagedContent, StagedState
from applier.disk.local_prefix import LocalPrefix
from applier.disk.part_hashing import Part, Parts
from applier.disk.staging import Staging, resumable_file, staged_name
from applier.restore.phase import Work
from applier.restore.progress import Progress
from applier.s3.fetcher import Fetcher, Interrupted
from applier.s3.protocol import ObjectInfo
from applier.target import Target
from schemas.etag import MIB, Etag, fold_part_digests, hashed_ranges
from schemas.text import printable

logger = logging.getLogger(__name__)

# Up to this size a file is fetched anew rather than resumed.
SMALL_FILE_BYTES = 32 * MIB


class Download:
    """A staged file on its way.

    A file that is not small has a journal, so that a later run can go on with it.

    Args:
        target: the file.
        info: the object as the pre-check saw it.
        staging: where it is staged.
        fetcher: fetches from S3.
        progress: told the bytes read back.

    Raises:
        OSError: the staged file cannot be made.
    """

    def __init__(
        self, target: Target, info: ObjectInfo, staging: Staging, fetcher: Fetcher, progress: Progress
    ) -> None:
        self._target, self._info, self._staging, self._fetcher, self._progress = (
            target,
            info,
            staging,
            fetcher,
            progress,
        )
        self._etag = Etag.parse(target.file.expected_etag)
        ranges = hashed_ranges(self._etag, info.size_bytes, target.file.chunk_size_mb)
        self._digests: list[bytes] = [b""] * len(ranges)
        self._parts = Parts(ranges, self._part_done)
        self._verified_bytes = 0
        self._lock = threading.Lock()
        self._name = staged_name(target.file)
        self._journal: Journal | None = None
        self._left = StagedState()
        self._prefix: LocalPrefix | None = None
        if info.size_bytes > SMALL_FILE_BYTES:
            content = StagedContent.of(self._etag, target.file.chunk_size_mb, info.size_bytes)
            self._descriptor, self._journal, self._left = staging.create_resumable(self._name, content)
            if os.fstat(self._descriptor).st_size > info.size_bytes:
                os.ftruncate(self._descriptor, info.size_bytes)
        else:
            self._descriptor = staging.create(self._name)
        self._open = True

    @property
    def staged(self) -> str:
        """The staged file's name in the staging folder."""
        return resumable_file(self._name) if self._journal else self._name

    def try_local_bytes(self, prefix: LocalPrefix) -> None:
        """Copy what a local file has in place of fetching it.

        Not where fetched bytes alone are staged already: if the local ones are wrong, those would be lost with them.

        Raises:
            OSError: the journal cannot be written.
        """
        if self._journal is None or (self._left.landed and not self._left.local_bytes):
            return
        self._journal.local_bytes_follow()
        self._left.local_bytes = True
        self._prefix = prefix
        name, size_bytes = printable(self._target.file.relative_path), prefix.identity.size_bytes
        logger.info("%s: the local file's %d bytes are tried, the rest is fetched", name, size_bytes)

    @property
    def has_local_bytes(self) -> bool:
        """Whether bytes of a local file, which may be wrong, can be among what is staged."""
        return self._left.local_bytes

    def works(self) -> Sequence[Work]:
        """Return what is to be done, in pieces that can run at once.

        Raises:
            OSError: the staged file cannot be looked at.
        """
        staged_bytes = os.fstat(self._descriptor).st_size
        landed = {segment for segment in self._left.landed if segment[1] <= staged_bytes}
        finished = [
            part for part in self._parts if part.index in self._left.part_digests and part.byte_range[1] <= staged_bytes
        ]
        works: list[Work] = [
            functools.partial(self._check_finished, finished[indices.start : indices.stop])
            for indices in hashed_together(len(finished))
        ]
        if landed:
            logger.info("%s: going on with what an interrupted run staged", printable(self._target.file.relative_path))
            works += [functools.partial(self._parts.hash_on, self._descriptor, self._count)] * cores()
        unfinished = set(self._parts).difference(finished)
        for part in unfinished:
            self._parts.land(part, landed.intersection(part.segments))
            if part.is_done:  # of an empty file
                self._part_done(part.index, part.hasher.digest())
        missing = [
            (part, segment)
            for part, segment in self._parts.in_order_of_fetching()
            if part in unfinished and segment not in part.landed
        ]
        fetching = functools.partial(self._copy_or_fetch_on, iter(missing))
        return works + [fetching] * min(len(missing), self._parts.segments_at_once)

    def etag(self) -> Etag:
        """Return the etag of what was read back, once all works have ended well.

        Raises:
            WrongSizeError: the staged file has another size than it should.
        """
        if os.fstat(self._descriptor).st_size != self._info.size_bytes:
            raise WrongSizeError
        return fold_part_digests(self._digests, multipart=self._etag.parts is not None)

    def sync(self) -> None:
        """Make the staged bytes outlast a power loss."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the staged file, once, leaving it to whoever goes on with it.

        Raises:
            OSError: the file system reports a write that failed late (NFS, quotas).
        """
        if self._open:
            self._open = False
            if self._journal is not None:
                self._journal.close()
            os.close(self._descriptor)

    def forget(self) -> None:
        """Remove what is staged, and the journal."""
        self._staging.remove(self.staged)
        self.forget_journal()

    def forget_journal(self) -> None:
        """Remove the journal of a staged file that has got its final name."""
        if self._journal is not None:
            self._staging.remove_resumable(self._name)

    def is_refuted_by(self, error: Exception) -> bool:
        """Tell whether an error lies in the staged bytes themselves, so that staging them anew may help."""
        if isinstance(error, WrongSizeError):
            return True
        # where the file system copies by sharing blocks, a bad one of the local file shows only when read back
        return self.has_local_bytes and isinstance(error, OSError) and error.errno == errno.EIO

    def take_back_progress(self) -> None:
        """Tell that what was verified does not count."""
        self._progress.bytes_verified(-self._verified_bytes)

    @property
    def can_be_resumed(self) -> bool:
        """Whether a later run can go on with what is staged."""
        return self._journal is not None

    def _copy_or_fetch_on(self, missing: Iterator[tuple[Part, ByteRange]]) -> None:
        """Bring one missing segment after the other, from the iterator that all who do so share."""
        for part, segment in missing:
            try:
                self._copy_or_fetch(part, segment)
            except BaseException:
                deque(missing, maxlen=0)  # nothing is left to the others
                raise

    def _copy_or_fetch(self, part: Part, segment: ByteRange) -> None:
        if self._prefix is None or not self._prefix.copy(segment, self._descriptor, self._fetcher.raise_if_stopped):
            self._fetch(part, segment)
        else:
            self._landed(part, segment)

    def _fetch(self, part: Part, segment: ByteRange) -> None:
        self._fetcher.download_file_from_s3(self._target.location, self._info.etag, segment, self._write)
        self._landed(part, segment)

    def _landed(self, part: Part, segment: ByteRange) -> None:
        if self._journal is not None:
            self._journal.landed(segment)
            _start_write_back(self._descriptor, segment)
        self._parts.land(part, [segment])
        self._parts.hash_on(self._descriptor, self._count)

    def _check_finished(self, parts: Sequence[Part]) -> None:
        """Re-hash parts that an interrupted run had finished; fetch those that are not what was recorded."""
        digests = hash_ranges(self._descriptor, [part.byte_range for part in parts], self._count)
        for part, digest in zip(parts, digests, strict=True):
            if digest == self._left.part_digests[part.index]:
                self._digests[part.index] = digest
            else:
                for segment in part.segments:
                    self._fetch(part, segment)

    def _write(self, buffer: memoryview, offset: int) -> None:
        write_all(self._descriptor, buffer, offset)

    def _part_done(self, index: int, digest: bytes) -> None:
        self._digests[index] = digest
        if self._journal is not None:
            self._journal.part_done(index, digest)

    def _count(self, count: int) -> None:
        if self._fetcher.stop.is_set():
            raise Interrupted
        with self._lock:
            self._verified_bytes += count
        self._progress.bytes_verified(count)


def _start_write_back(descriptor: int, landed: ByteRange) -> None:
    """Have the file system begin to write what has landed, so that the fsync at the end has little left to wait for.

    Linux begins to write dirty pages that it is advised to drop; only what is on the device by then is dropped.
    """
    start, end = landed
    with suppress(OSError):  # a hint
        os.posix_fadvise(descriptor, start, end - start, os.POSIX_FADV_DONTNEED)
