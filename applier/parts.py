"""The parts of a file while it is downloaded: segments land in any order, each part is hashed in order."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from applier.hashing import RangeHasher
from applier.journal import ByteRange
from schemas.etag import MIB

# What one request asks for: long enough for latency not to count, short enough to be asked for again.
SEGMENT_BYTES = 32 * MIB


@dataclass(slots=True)
class Part:
    """A part of the upload, the unit that etags are made of.

    Whoever lands a segment hashes on, reading back from the file system, unless another thread of the same part is at
    it: so one part is hashed in order, and several parts at once.

    Args:
        index: from 0.
        byte_range: half-open, in the file.
        on_done: told the index and the binary MD5 once the whole part has been read back.
    """

    index: int
    byte_range: ByteRange
    on_done: Callable[[int, bytes], None]
    segments: list[ByteRange] = field(init=False)
    _landed: set[ByteRange] = field(default_factory=set, init=False)
    _hasher: RangeHasher = field(default_factory=RangeHasher, init=False)
    _hashed: int = field(default=0, init=False)
    _busy: bool = field(default=False, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __post_init__(self) -> None:
        start, end = self.byte_range
        self.segments = [(at, min(at + SEGMENT_BYTES, end)) for at in range(start, end, SEGMENT_BYTES)]

    def land(self, landed: Iterable[ByteRange]) -> None:
        """Note that segments have been written."""
        with self._lock:
            self._landed.update(landed)

    def hash_on(self, descriptor: int, read: Callable[[int], None]) -> None:
        """Hash what has landed next in order, unless another thread is at it.

        Args:
            descriptor: the staged file.
            read: told the bytes of each buffer; may raise to stop.

        Raises:
            WrongSizeError: the staged file is shorter than what landed.
        """
        while (segment := self._take()) is not None:
            self._hasher.read(descriptor, *segment, read)
            with self._lock:
                self._busy = False
                self._hashed += 1
                done = self._hashed == len(self.segments)
            if done:
                self.on_done(self.index, self._hasher.digest())

    def _take(self) -> ByteRange | None:
        with self._lock:
            if self._busy or self._hashed == len(self.segments) or self.segments[self._hashed] not in self._landed:
                return None
            self._busy = True
            return self.segments[self._hashed]
