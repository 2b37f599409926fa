"""The parts of a file while it is downloaded: segments land in any order, parts are hashed in order, many at once."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest

from applier.disk.hashing import ByteRange, RangeHasher, cores, md5_lanes, read_on
from schemas.etag import MIB

# What one request asks for: long enough for latency not to count, short enough for hashing to begin early.
SEGMENT_BYTES = 8 * MIB
# What is fetched of a part at once: its MD5 goes from segment to segment, so the first of them must land early. With
# more of one file at once, memory grows and nothing gets faster, near or far.
_SEGMENTS_AT_ONCE, _SEGMENTS_OF_A_PART_AT_ONCE = 32, 6


@dataclass(slots=True, eq=False)
class Part:
    """A part of the upload, the unit that etags are made of. Its state is `Parts`' own.

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
    taken: bool = field(default=False, init=False)  # it waits to be hashed, or is being hashed

    def __post_init__(self) -> None:
        start, end = self.byte_range
        self.segments = [(at, min(at + SEGMENT_BYTES, end)) for at in range(start, end, SEGMENT_BYTES)]
        self.hasher = RangeHasher(start)

    @property
    def is_done(self) -> bool:
        """Whether all of it has been read back and hashed."""
        return self.hashed_segments == len(self.segments)

    @property
    def has_landed_on(self) -> bool:
        """Whether the segment to be hashed next has landed."""
        return not self.is_done and self.segments[self.hashed_segments] in self.landed

    def next_end(self) -> int:
        """Return the end of the segment to be hashed next."""
        return self.segments[self.hashed_segments][1]


class Parts:
    """All parts of a file.

    Whoever lands a segment hashes on, reading back from the file system, unless enough threads are at it: what has
    landed by the time one of those looks again, it hashes together, several parts at once. So a second thread joins
    only where the first one falls behind.

    Args:
        ranges: of the parts.
        on_done: told a part's index and its binary MD5 once all of it has been read back.
    """

    def __init__(self, ranges: Iterable[ByteRange], on_done: Callable[[int, bytes], None]) -> None:
        self._parts = [Part(index, byte_range) for index, byte_range in enumerate(ranges)]
        self._on_done = on_done
        self._lock = threading.Lock()
        self._waiting: deque[Part] = deque()
        self._lanes, self._cores = md5_lanes(), cores()
        self._hashing = 0  # threads

    def __iter__(self) -> Iterator[Part]:
        return iter(self._parts)

    @property
    def segments_at_once(self) -> int:
        """How many segments are best fetched at once."""
        return min(_SEGMENTS_AT_ONCE, _SEGMENTS_OF_A_PART_AT_ONCE * len(self._parts))

    def in_order_of_fetching(self) -> Iterator[tuple[Part, ByteRange]]:
        """Yield all segments: side by side those of as many parts as can be hashed at once, then of the next ones."""
        at_once = max(self._lanes, self._cores)
        for first in range(0, len(self._parts), at_once):
            group = self._parts[first : first + at_once]
            columns = zip_longest(*([(part, segment) for segment in part.segments] for part in group))
            yield from (entry for entry in chain.from_iterable(columns) if entry is not None)

    def land(self, part: Part, segments: Iterable[ByteRange]) -> None:
        """Note that segments have been written."""
        with self._lock:
            part.landed.update(segments)
            self._let_wait(part)

    def hash_on(self, descriptor: int, read: Callable[[int], None]) -> None:
        """Hash what has landed next in its part, until nothing waits, unless enough threads are at it.

        Args:
            descriptor: the staged file.
            read: told the bytes of each round; may raise to stop.

        Raises:
            WrongSizeError: the staged file is shorter than what landed.
        """
        hashed: Sequence[Part] = ()
        while hashed := self._next(hashed):
            read_on(descriptor, [(part.hasher, part.next_end()) for part in hashed], read)

    def _next(self, hashed: Sequence[Part]) -> Sequence[Part]:
        """Give back what this thread has hashed, and take what it can hash next."""
        for part in hashed:
            part.hashed_segments += 1
            if part.is_done:
                self._on_done(part.index, part.hasher.digest())
        with self._lock:
            self._hashing -= bool(hashed)
            for part in hashed:
                part.taken = False
                self._let_wait(part)
            if not self._waiting or not self._needs_another_thread():
                return ()
            self._hashing += 1
            return [self._waiting.popleft() for _ in range(min(self._lanes, len(self._waiting)))]

    def _needs_another_thread(self) -> bool:
        return self._hashing == 0 or (self._hashing < self._cores and len(self._waiting) >= self._lanes // 2)

    def _let_wait(self, part: Part) -> None:
        if part.has_landed_on and not part.taken:
            part.taken = True
            self._waiting.append(part)
