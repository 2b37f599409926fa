"""The bytes of a local file that is too short: where they are right, only the tail has to be fetched.

They are copied into the staged file; the local file is only read. Nothing here judges them: the whole etag does, and
what cannot be copied is fetched.
"""

import logging
import os
import threading
from dataclasses import dataclass

from applier.check_file import Target, Verdict
from applier.decide import LocalKind
from applier.fetch import Interrupted
from applier.folders import (
    FileIdentity,
    OutputFolder,
    closing_descriptor,
    file_identity,
    open_regular_file,
    write_all,
)
from applier.hashing import ByteRange
from applier.parts import SEGMENT_BYTES
from schemas.etag import MIB
from schemas.text import printable

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalPrefix:
    """A local file that is shorter than the object.

    Args:
        output: the output location.
        target: says where the file is.
        identity: of the file as it was judged; no other is read.
    """

    output: OutputFolder
    target: Target
    identity: FileIdentity

    @classmethod
    def of(cls, output: OutputFolder, target: Target, verdict: Verdict) -> "LocalPrefix | None":
        """Return what of a judged file can be copied; None where it cannot, or where fetching all is cheaper."""
        local, info = verdict.local, verdict.info
        if info is None or local is None or local.kind is not LocalKind.WRONG or local.identity is None:
            return None
        if not SEGMENT_BYTES < local.identity.size_bytes < info.size_bytes:
            return None
        # A link to somebody's private file may have been planted: its bytes must not come where others can read them.
        if local.identity.links != 1:
            return None
        return cls(output=output, target=target, identity=local.identity)

    def copy(self, byte_range: ByteRange, staged: int, stop: threading.Event) -> bool:
        """Copy a range to the same place of a staged file, and tell whether all of it could be copied.

        Why it could not does not matter: what is wrong with the staged file or its disk, fetching will meet, too.

        Raises:
            Interrupted: the run is to stop.
        """
        if byte_range[1] > self.identity.size_bytes:
            return False
        try:
            with (
                self.output.folder(self.target.folder) as folder,
                closing_descriptor(open_regular_file(self.target.name, folder)) as local,
            ):
                return file_identity(os.fstat(local)) == self.identity and _copy_all(local, staged, byte_range, stop)
        except OSError as error:
            name = printable(self.target.file.relative_path)
            logger.info("%s: bytes %d to %d cannot be copied: %s", name, *byte_range, error.strerror)
            return False


def _copy_all(local: int, staged: int, byte_range: ByteRange, stop: threading.Event) -> bool:
    start, end = byte_range
    while start < end:
        if stop.is_set():
            raise Interrupted
        count = _copy_some(local, staged, start, end - start)
        if count == 0:
            return False  # it has become shorter
        start += count
    return True


def _copy_some(local: int, staged: int, start: int, count: int) -> int:
    try:
        return os.copy_file_range(local, staged, count, start, start)  # may share blocks, or let a file server copy
    except OSError:  # many file systems cannot; one that cannot read fails again below
        content = os.pread(local, min(count, MIB), start)
        write_all(staged, memoryview(content), start)
        return len(content)
