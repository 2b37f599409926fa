"""One staged file: open, with its name in the staging folder and, unless it is small, the journal to resume it from."""

import os
from contextlib import suppress

from applier.disk.folders import write_all
from applier.disk.hashing import ByteRange, hash_ranges
from applier.disk.journal import Journal, StagedContent, StagedState
from applier.disk.staging import SegmentSource, Staging, resumable_file


class StagedFile:
    """A file on its way to its final name.

    Args:
        staging: the folder that it is in.
        name: what `staged_name` calls it.
        content: what it is going to be.
        descriptor: of the file, open for reading and writing.
        journal: says what has landed, for a later run; None of a small file, which is rather fetched again.
        left: what an earlier run left of it; also, whether bytes of a local file are among it now.
    """

    def __init__(  # noqa: PLR0913  # what makes it up
        self,
        staging: Staging,
        name: str,
        content: StagedContent,
        descriptor: int,
        *,
        journal: Journal | None = None,
        left: StagedState | None = None,
    ) -> None:
        self._staging, self._name, self._content, self._journal = staging, name, content, journal
        self.descriptor, self.left = descriptor, left or StagedState()
        self._open = True

    @property
    def file_name(self) -> str:
        """Its name in the staging folder."""
        return resumable_file(self._name) if self._journal else self._name

    @property
    def can_be_resumed(self) -> bool:
        """Whether a later run can resume it."""
        return self._journal is not None

    @property
    def may_hold_local_bytes(self) -> bool:
        """Whether bytes that were copied, not fetched, and may be wrong, can be among what is staged."""
        return self.left.local_bytes

    @property
    def may_take_copies(self) -> bool:
        """Whether bytes may be copied here, not fetched.

        Not where only fetched bytes are staged already: if the copied ones are wrong, those would be lost with them.
        """
        return self._journal is not None and (self.may_hold_local_bytes or not self.left.landed)

    def local_bytes_follow(self) -> None:
        """Note, before the first bytes are copied, that there will be some.

        Raises:
            OSError: the journal cannot be written.
        """
        if self._journal is not None:
            self._journal.local_bytes_follow()
            self.left.local_bytes = True

    def find_elsewhere(self) -> SegmentSource | None:
        """Return what another run, which may be alive, has staged of the same."""
        return self._staging.find_elsewhere(self._name, self._content)

    def size_bytes(self) -> int:
        """Return its size so far."""
        return os.fstat(self.descriptor).st_size

    def write(self, buffer: memoryview, offset: int) -> None:
        """Write a buffer to its place."""
        write_all(self.descriptor, buffer, offset)

    def land(self, byte_range: ByteRange) -> None:
        """Note that a range has been written."""
        if self._journal is not None:
            self._journal.landed(byte_range)
            _start_write_back(self.descriptor, byte_range)

    def end_part(self, index: int, digest: bytes) -> None:
        """Note the binary MD5 of a part that has been read back."""
        if self._journal is not None:
            self._journal.part_done(index, digest)

    def md5(self) -> str:
        """Return the MD5 (hexadecimal) of all of it, as read back.

        Raises:
            WrongSizeError: it became shorter while it was read.
        """
        (digest,) = hash_ranges(self.descriptor, [(0, self.size_bytes())])
        return digest.hex()

    def sync(self) -> None:
        """Make it outlast a power loss."""
        os.fsync(self.descriptor)

    def close(self) -> None:
        """Close it, once, leaving it to a later run.

        Raises:
            OSError: the file system reports a write that failed late (NFS, quotas).
        """
        if self._open:
            self._open = False
            if self._journal is not None:
                self._journal.close()
            os.close(self.descriptor)

    def remove(self) -> None:
        """Remove it, and its journal."""
        self._staging.remove(self.file_name)
        self.remove_journal()

    def remove_journal(self) -> None:
        """Remove the journal of a file that has got its final name."""
        if self._journal is not None:
            self._staging.remove_resumable(self._name)


def open_staged_file(staging: Staging, name: str, content: StagedContent, *, resumable: bool) -> StagedFile:
    """Create a staged file, or open what an earlier run left of it.

    Args:
        staging: the folder that it is in.
        name: what `staged_name` calls it.
        content: what it is going to be.
        resumable: whether it gets a journal.

    Raises:
        OSError: it cannot be created.
    """
    if not resumable:
        return StagedFile(staging, name, content, staging.create(name))
    descriptor, journal, left = staging.create_resumable(name, content)
    staged = StagedFile(staging, name, content, descriptor, journal=journal, left=left)
    if staged.size_bytes() > content.size_bytes:
        os.ftruncate(descriptor, content.size_bytes)
    return staged


def _start_write_back(descriptor: int, landed: ByteRange) -> None:
    """Have the file system begin to write what has landed, so that little is left for the fsync at the end.

    Linux begins to write dirty pages that it is advised to drop; only what is on the device by then is dropped.
    """
    start, end = landed
    with suppress(OSError):  # a hint
        os.posix_fadvise(descriptor, start, end - start, os.POSIX_FADV_DONTNEED)
