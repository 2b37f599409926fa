"""Hashes the parts of a file as they are downloaded: segments land in any order, parts are hashed in order.

Whoever lands a segment hashes, reading back from the file system, once most lanes can be filled, unless enough threads
are at it already: what has landed by the time one of those looks again, it hashes together, several parts at once. So a
second thread joins only where the first one falls behind.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest

from applier.disk.hashing import ByteRange, RangeHasher, cores, md5_lanes, read_on
from schemas.etag import MIB

# The unit of requests: long enough for latency not to count, short enough for hashing to begin early.
SEGMENT_BYTES = 8 * MIB
# A part's MD5 goes from segment to segment, so the first of them must land early. With more of one file under way,
# memory grows and nothing gets faster, near or far.
_SEGMENTS_AT_ONCE, _SEGMENTS_OF_A_PART_AT_ONCE = 32, 6


@dataclass(slots=True, eq=False)
class Part:
    """A part of the upload, the unit that etags are made of. Its state belongs to `PartHasher`.

    Args:
        index: from 0.
        byte_range: half-open, in the file.
    """

    index: int
    byte_range: ByteRange
    segments: Sequence[ByteRange] = field(init=False)
    hasher: RangeHasher = field(init=False)
    landed: set[ByteRange] = field(default_factory=set, init=False)
    hashed_segments: int = field(default=0, init=False)
    queued: bool = field(default=False, init=False)  # to be hashed, or being hashed

    def __post_init__(self) -> None:
        start, end = self.byte_range
        self.segments = [(at, min(at + SEGMENT_BYTES, end)) for at in range(start, end, SEGMENT_BYTES)]
        self.hasher = RangeHasher(start)

    @property
    def is_done(self) -> bool:
        """Whether all of it has been read back and hashed."""
        return self.hashed_segments == len(self.segments)

    @property
    def can_be_hashed(self) -> bool:
        """Whether the segment to be hashed next has landed."""
        return not self.is_done and self.segments[self.hashed_segments] in self.landed

    def next_end(self) -> int:
        """Return the end of the segment to be hashed next."""
        return self.segments[self.hashed_segments][1]


class PartHasher:
    """The parts of one file, and their digests as they become known.

    Args:
        ranges: half-open byte ranges of the parts.
        on_done: called with a part's index and its binary MD5 once all of it has been read back.
    """

    def __init__(self, ranges: Iterable[ByteRange], on_done: Callable[[int, bytes], None]) -> None:
        self.parts = [Part(index, byte_range) for index, byte_range in enumerate(ranges)]
        self.digests = [b""] * len(self.parts)
        self._on_done = on_done
        self._lock = threading.Lock()
        self._waiting: deque[Part] = deque()
        self._hashing_threads = self._begun_parts = 0
        for part in self.parts:
            if part.is_done:  # of an empty file
                self._end(part)

    @property
    def segments_at_once(self) -> int:
        """How many segments are best fetched at once."""
        return min(_SEGMENTS_AT_ONCE, _SEGMENTS_OF_A_PART_AT_ONCE * len(self.parts))

    def missing_segments(self) -> Iterator[tuple[Part, ByteRange]]:
        """Yield what has neither landed nor been accepted, in the order to fetch it in.

        Segments of as many parts as can be hashed at once come side by side, then those of the next parts.
        """
        missing = [part for part in self.parts if not self.digests[part.index]]
        at_once = max(md5_lanes(), cores())
        for first in range(0, len(missing), at_once):
            group = missing[first : first + at_once]
            columns = zip_longest(*([(part, segment) for segment in part.segments] for part in group))
            for entry in chain.from_iterable(columns):
                if entry is not None and entry[1] not in entry[0].landed:
                    yield entry

    def accept(self, part: Part, digest: bytes) -> None:
        """Take a part as complete whose binary MD5 was computed elsewhere, from the file itself."""
        self.digests[part.index] = digest

    def land(self, part: Part, segments: Iterable[ByteRange]) -> None:
        """Note that segments have been written."""
        with self._lock:
            had_begun = bool(part.landed)
            part.landed.update(segments)
            self._begun_parts += bool(part.landed) - had_begun
            self._queue(part)

    def hash_landed(self, descriptor: int, on_read: Callable[[int], None]) -> None:
        """Hash what has landed next in its part, as long as there is enough of it for this thread.

        Args:
            descriptor: the staged file.
            on_read: called with the bytes of each round; may raise to stop.

        Raises:
            WrongSizeError: the staged file is shorter than what landed.
        """
        hashed: Sequence[Part] = ()
        while hashed := self._next(hashed):
            read_on(descriptor, [(part.hasher, part.next_end()) for part in hashed], on_read)

    def _next(self, hashed: Sequence[Part]) -> Sequence[Part]:
        """Give back what this thread has hashed, and take what it can hash next."""
        for part in hashed:
            part.hashed_segments += 1
            if part.is_done:
                self._end(part)
        with self._lock:
            self._hashing_threads -= bool(hashed)
            for part in hashed:
                part.queued = False
                self._begun_parts -= part.is_done
                self._queue(part)
            if not self._waiting or not self._is_enough_for_a_thread():
                return ()
            self._hashing_threads += 1
            return [self._waiting.popleft() for _ in range(min(md5_lanes(), len(self._waiting)))]

    def _is_enough_for_a_thread(self) -> bool:
        """Tell whether enough parts wait for one more thread to hash them: one lane takes as long as all of them.

        Once everything has landed, every part that is not done waits or is being hashed, so nothing is left behind.
        """
        if self._hashing_threads == 0:
            return len(self._waiting) >= min(md5_lanes(), self._begun_parts) * 3 // 4
        return self._hashing_threads < cores() and len(self._waiting) >= md5_lanes() // 2

    def _queue(self, part: Part) -> None:
        if part.can_be_hashed and not part.queued:
            part.queued = True
            self._waiting.append(part)

    def _end(self, part: Part) -> None:
        self.digests[part.index] = part.hasher.digest()
        self._on_done(part.index, self.digests[part.index])
