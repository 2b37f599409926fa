"""Copies what a wrong local file has of the right bytes into a staged file, so that only the rest has to be fetched.

The local file is only read. Nothing here judges its bytes: the whole etag does, and what cannot be copied is fetched.
"""

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from applier.disk.file_identity import FileIdentity, file_identity
from applier.disk.folders import OutputFolder, closing_descriptor, open_regular_file, write_all
from applier.disk.hashing import ByteRange
from applier.disk.part_hashing import SEGMENT_BYTES
from applier.target import Target
from schemas.etag import MIB
from schemas.text import printable

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalBytes:
    """The part of a local file's bytes that may be right.

    Args:
        output: the output location.
        target: says where the file is.
        identity: of the file as it was judged; no other is read.
        ranges: half-open, what of it may be copied.
    """

    output: OutputFolder
    target: Target
    identity: FileIdentity
    ranges: Sequence[ByteRange]

    def copy(self, byte_range: ByteRange, staged: int, raise_if_stopped: Callable[[], None]) -> bool:
        """Copy a range to the same place of a staged file, and tell whether all of it could be copied.

        Why it could not does not matter: what is wrong with the staged file or its disk, fetching will meet, too.

        Args:
            byte_range: half-open.
            staged: descriptor of the staged file.
            raise_if_stopped: called between pieces; what it raises is passed on.
        """
        if not any(start <= byte_range[0] and byte_range[1] <= end for start, end in self.ranges):
            return False
        try:
            with (
                self.output.folder(self.target.folder) as folder,
                closing_descriptor(open_regular_file(self.target.name, folder)) as local,
            ):
                return file_identity(os.fstat(local)) == self.identity and copy_range(
                    local, staged, byte_range, raise_if_stopped
                )
        except OSError as error:
            name = printable(self.target.file.relative_path)
            logger.info("%s: bytes %d to %d cannot be copied: %s", name, *byte_range, error.strerror)
            return False


def prefix_of(
    output: OutputFolder, target: Target, identity: FileIdentity | None, object_bytes: int
) -> LocalBytes | None:
    """Return the bytes of a local file that is too short; None where fetching all is cheaper, or not safe.

    Args:
        output: the output location.
        target: says where the file is.
        identity: of the file as it was judged; None if it could not be opened.
        object_bytes: size of the object.
    """
    if identity is None or not SEGMENT_BYTES < identity.size_bytes < object_bytes:
        return None
    return _bytes_of(output, target, identity, [(0, identity.size_bytes)])


def parts_of(
    output: OutputFolder, target: Target, identity: FileIdentity | None, parts: Sequence[ByteRange]
) -> LocalBytes | None:
    """Return those parts of a local file of the right size that are right; None where there are none.

    Args:
        output: the output location.
        target: says where the file is.
        identity: of the file as it was judged; None if it could not be opened.
        parts: half-open byte ranges.
    """
    return _bytes_of(output, target, identity, parts) if identity is not None and parts else None


def _bytes_of(
    output: OutputFolder, target: Target, identity: FileIdentity, ranges: Sequence[ByteRange]
) -> LocalBytes | None:
    # A link to somebody's private file may have been planted: its bytes must not come where others can read them.
    return LocalBytes(output=output, target=target, identity=identity, ranges=ranges) if identity.links == 1 else None


def copy_range(source: int, staged: int, byte_range: ByteRange, raise_if_stopped: Callable[[], None]) -> bool:
    """Copy a range from one open file to the same place of another; return whether the source has all of it.

    Args:
        source: open for reading.
        staged: open for reading and writing.
        byte_range: half-open.
        raise_if_stopped: called between pieces; what it raises is passed on.

    Raises:
        OSError: it cannot be read or written.
    """
    start, end = byte_range
    while start < end:
        raise_if_stopped()
        count = _copy_some(source, staged, start, end - start)
        if count == 0:
            return False  # it has become shorter
        start += count
    return True


def _copy_some(source: int, staged: int, start: int, count: int) -> int:
    try:
        return os.copy_file_range(source, staged, count, start, start)  # may share blocks, or let a file server copy
    except OSError:  # many file systems cannot; one that cannot read fails again below
        content = os.pread(source, min(count, MIB), start)
        write_all(staged, memoryview(content), start)
        return len(content)
