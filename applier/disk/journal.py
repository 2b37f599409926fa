"""Records what a download has staged, in JSON lines beside the staged file, so that a later run can resume it.

A journal is a hint, never a proof: it says where bytes landed and which MD5s the finished parts had. All of it is
checked by hashing again, and the whole etag decides in the end; a journal that lies costs a fetch, never correctness.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from applier.disk.hashing import ByteRange
from schemas.etag import MAX_PARTS, Etag

_MD5 = re.compile("[0-9a-f]{32}", re.ASCII)


@dataclass(frozen=True, slots=True)
class StagedContent:
    """What a staged file is going to be; a journal of anything else is not ours."""

    etag: str
    chunk_size_mb: int
    size_bytes: int

    @classmethod
    def of(cls, etag: Etag, chunk_size_mb: int, size_bytes: int) -> "StagedContent":
        """Return the content that an etag stands for."""
        return cls(str(etag), chunk_size_mb, size_bytes)


@dataclass(slots=True)
class StagedState:
    """What a journal says about a staged file.

    Args:
        landed: byte ranges that were written.
        part_digests: binary MD5s of finished parts, by the part's index.
        local_bytes: some of it may have been copied, not fetched, and be wrong through no fault of S3.
    """

    landed: set[ByteRange] = field(default_factory=set)
    part_digests: dict[int, bytes] = field(default_factory=dict)
    local_bytes: bool = False


class Journal:
    """A journal that is open for appending. Each line is written in one call and not synced: it is only a hint."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def start(self, content: StagedContent) -> None:
        """Begin anew: forget everything and name the content."""
        os.ftruncate(self._descriptor, 0)
        self._append({"etag": content.etag, "chunk_size_mb": content.chunk_size_mb, "size_bytes": content.size_bytes})

    def local_bytes_follow(self) -> None:
        """Note that from now on bytes may land that were copied, not fetched."""
        self._append({"local_bytes": True})

    def landed(self, byte_range: ByteRange) -> None:
        """Note that a range has been written."""
        self._append({"landed": byte_range})

    def part_done(self, index: int, digest: bytes) -> None:
        """Note the MD5 of a part that has been read back."""
        self._append({"part": index, "md5": digest.hex()})

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _append(self, record: dict[str, object]) -> None:
        os.write(self._descriptor, (json.dumps(record) + "\n").encode())


def read_journal(text: str, content: StagedContent) -> StagedState | None:
    """Return what a journal says; None if it is of another content. Passes over lines that make no sense.

    Args:
        text: may hold anything: a kill tears lines, disks and people change them.
        content: what the staged file is going to be.
    """
    lines = iter(text.splitlines())
    head = _parse(next(lines, ""))
    if (head.get("etag"), head.get("chunk_size_mb"), head.get("size_bytes")) != (
        content.etag,
        content.chunk_size_mb,
        content.size_bytes,
    ):
        return None
    state = StagedState()
    for record in map(_parse, lines):
        _take(record, content.size_bytes, state)
    return state


def _parse(line: str) -> dict[str, object]:
    """Return the JSON object of a line; an empty one if it holds none."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def _take(record: Mapping[str, object], size_bytes: int, state: StagedState) -> None:
    """Add what a record says to the state; nothing if it makes no sense."""
    match record:
        case {"part": int(index), "md5": str(digest)} if _MD5.fullmatch(digest) and 0 <= index < MAX_PARTS:
            state.part_digests[int(index)] = bytes.fromhex(digest)  # a bool is an int, too
        case {"landed": [int(start), int(end)]} if 0 <= start < end <= size_bytes:
            state.landed.add((int(start), int(end)))
        case {"local_bytes": True}:
            state.local_bytes = True
        case _:
            pass
