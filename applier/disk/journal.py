"""What an interrupted download has staged, in JSON lines beside the staged file, so that the next run can go on.

A journal is a hint, never a proof: it says where bytes landed and which MD5s the finished parts had. What it says is
checked by re-hashing, and the whole etag decides in the end; a journal that lies costs a fetch, never correctness.
"""

import json
import os
from dataclasses import dataclass, field

from applier.disk.hashing import ByteRange
from schemas.etag import Etag


@dataclass(frozen=True, slots=True)
class StagedContent:
    """What a staged file is going to be: a journal of anything else is not ours."""

    etag: str
    chunk_size_mb: int
    size_bytes: int

    @classmethod
    def of(cls, etag: Etag, chunk_size_mb: int, size_bytes: int) -> "StagedContent":
        """Return the content that an etag stands for."""
        return cls(str(etag), chunk_size_mb, size_bytes)


@dataclass(slots=True)
class StagedState:
    """What a journal says of a staged file.

    Args:
        landed: byte ranges that were written.
        part_digests: binary MD5s of finished parts, by the part's index.
        local_bytes: some of it may come from a local file that was too short, and be wrong without S3's fault.
    """

    landed: set[ByteRange] = field(default_factory=set)
    part_digests: dict[int, bytes] = field(default_factory=dict)
    local_bytes: bool = False


class Journal:
    """A journal open for appending; each line is written in one call and not synced, for it is only a hint."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def start(self, content: StagedContent) -> None:
        """Begin anew: forget everything and name the content."""
        os.ftruncate(self._descriptor, 0)
        self._append({"etag": content.etag, "chunk_size_mb": content.chunk_size_mb, "size_bytes": content.size_bytes})

    def local_bytes_follow(self) -> None:
        """Note that from now on bytes of a local file may land, too."""
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
    """Return what a journal says; None if it is of another content. Passes over lines that make no sense."""
    state = StagedState()
    lines = iter(text.splitlines())
    try:
        head = json.loads(next(lines))
        if StagedContent(head["etag"], head["chunk_size_mb"], head["size_bytes"]) != content:
            return None
    except (StopIteration, ValueError, KeyError, TypeError, RecursionError):
        return None
    for line in lines:
        try:
            record = json.loads(line)
            if "part" in record:
                state.part_digests[int(record["part"])] = bytes.fromhex(record["md5"])
            elif "local_bytes" in record:
                state.local_bytes = True
            else:
                start, end = record["landed"]
                state.landed.add((int(start), int(end)))
        except (ValueError, KeyError, TypeError, RecursionError):
            continue  # torn by a kill
    return state
