"""Finds out which parts of a corrupt local file are right, so that only the others have to be fetched.

Two may know: the records of earlier runs, and S3, if it was given checksums with the parts when they were uploaded.
What they say is a hint. The etag of what is read back decides in the end all the same.
"""

import functools
from collections.abc import Sequence
from itertools import accumulate, pairwise

from applier.disk.folders import closing_descriptor, open_regular_file
from applier.disk.hashing import ByteRange, WrongSizeError, checksum_of_range
from applier.restore.decide import LocalState
from applier.restore.find_object import FoundObject
from applier.restore.tools import CheckTools, PartHints
from applier.s3.protocol import PartChecksum
from applier.target import Target
from schemas.etag import Etag, fold_part_digests, hashed_ranges
from schemas.plan import PlannedFile


def find_right_parts(
    target: Target, source: FoundObject, local: LocalState, hints: PartHints, tools: CheckTools
) -> list[ByteRange]:
    """Return the byte ranges of those parts of a corrupt local file that are right.

    Args:
        target: the file.
        source: the object to heal it from.
        local: the local file, of the right size and read, or there is nothing to be found.
        hints: know parts of earlier runs.
        tools: what looking at S3 and the local file needs.

    Raises:
        Interrupted: the run is to stop.
    """
    if len(local.part_digests) < 2 or local.identity is None:  # noqa: PLR2004  # of one part, none is right
        return []
    known = _recorded_digests(target.file, hints)
    if len(known) == len(local.part_digests):
        ranges = hashed_ranges(Etag.parse(target.file.expected_etag), source.info.size_bytes, target.file.chunk_size_mb)
        return [
            byte_range
            for byte_range, found, right in zip(ranges, local.part_digests, known, strict=True)
            if found == right
        ]
    checksums = tools.fetcher.part_checksums(source.location, source.info.etag)
    ends = [0, *accumulate(part.size_bytes for part in checksums)]
    if ends[-1] != source.info.size_bytes:
        return []
    return _compare(target, list(zip(pairwise(ends), checksums, strict=True)), tools)


def _recorded_digests(file: PlannedFile, hints: PartHints) -> Sequence[bytes]:
    """Return the binary MD5s of a file's parts; empty if no run recorded any that make up the planned etag."""
    expected, known = Etag.parse(file.expected_etag), hints.part_digests(file)
    if len(known) == expected.parts and fold_part_digests(known, multipart=True) == expected:
        return known
    return ()


def _compare(target: Target, parts: Sequence[tuple[ByteRange, PartChecksum]], tools: CheckTools) -> list[ByteRange]:
    """Return the ranges of a local file that have these checksums; none where it cannot be read."""
    right = set[ByteRange]()

    def compare(descriptor: int, byte_range: ByteRange, part: PartChecksum) -> None:
        found = checksum_of_range(descriptor, byte_range, part.algorithm, lambda _: tools.fetcher.raise_if_stopped())
        if found == part.checksum:
            right.add(byte_range)

    try:
        with (
            tools.output.folder(target.folder) as folder,
            closing_descriptor(open_regular_file(target.name, folder)) as local,
        ):
            tools.crew.share([functools.partial(compare, local, byte_range, part) for byte_range, part in parts])
    except (OSError, WrongSizeError):
        return []
    return _joined(sorted(right))


def _joined(ranges: Sequence[ByteRange]) -> list[ByteRange]:
    """Return sorted ranges with neighbours made one: the plan's parts need not begin where S3's do."""
    joined: list[ByteRange] = []
    for start, end in ranges:
        if joined and joined[-1][1] == start:
            joined[-1] = joined[-1][0], end
        else:
            joined.append((start, end))
    return joined
