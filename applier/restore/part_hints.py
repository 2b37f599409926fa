"""Finds out which parts of a corrupt local file are right, so that only the others have to be fetched.

What earlier runs recorded of a file's parts is a hint that proves itself: the MD5s of the parts make up the planned
etag, or they are of something else. The etag of what is read back decides in the end all the same.
"""

from collections.abc import Sequence
from typing import Protocol

from applier.disk.hashing import ByteRange
from applier.restore.decide import LocalState
from schemas.etag import Etag, fold_part_digests, hashed_ranges
from schemas.plan import PlannedFile


class PartHints(Protocol):
    """Knows the parts' MD5s of files that were verified before."""

    def part_digests(self, file: PlannedFile) -> Sequence[bytes]:
        """Return the binary MD5 of each part of a planned file, as far as anybody knows; empty if nobody does."""


class NoPartHints:
    """Knows of no file."""

    def part_digests(self, file: PlannedFile) -> Sequence[bytes]:  # noqa: ARG002  # the protocol's signature
        """See `PartHints.part_digests`."""
        return ()


def find_right_parts(file: PlannedFile, local: LocalState, hints: PartHints) -> list[ByteRange]:
    """Return the byte ranges of those parts of a corrupt local file that are right.

    Args:
        file: the plan's entry.
        local: the local file, of the right size and read, or there is nothing to be found.
        hints: know parts of earlier runs.
    """
    expected = Etag.parse(file.expected_etag)
    if expected.parts is None or len(local.part_digests) != expected.parts or local.identity is None:
        return []
    known = hints.part_digests(file)
    if len(known) != expected.parts or fold_part_digests(known, multipart=True) != expected:
        return []
    ranges = hashed_ranges(expected, local.identity.size_bytes, file.chunk_size_mb)
    return [
        byte_range for byte_range, found, right in zip(ranges, local.part_digests, known, strict=True) if found == right
    ]
