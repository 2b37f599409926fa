"""MD5 of several streams at once: by the compiled `md5_lanes.c` where there is one, else by hashlib.

A core hashes one stream no faster than 0.7 GiB/s, with hashlib as with anything else, for the steps of MD5 depend on
each other. In the lanes of vector registers 16 streams together reach 4 to 6 GiB/s; no library that can be installed
does that. Both ways let other threads run meanwhile.
"""

import ctypes
import functools
import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

logger = logging.getLogger(__name__)

DIGEST_BYTES = 16
_COMPILED = "libcompiled.so"  # made by hatch_build.py


class Md5Stream(Protocol):
    """The MD5 of bytes that come piece by piece."""

    def update(self, piece: memoryview, /) -> None:
        """Feed the next bytes, from a writable buffer."""

    def digest(self) -> bytes:
        """Return the binary MD5 (16 bytes) of what was fed so far."""


class Md5Lanes:
    """A way to hash.

    Attributes:
        library: the compiled one, as `load_library` returns it; None for hashlib.
        lanes: how many streams are hashed at once.
    """

    def __init__(self, library: ctypes.CDLL | None) -> None:
        self.library = library
        self.lanes: int = library.md5_lanes() if library else 1

    def start(self) -> Md5Stream:
        """Return a stream that nothing was fed to."""
        return _CompiledStream(self.library) if self.library else hashlib.md5(usedforsecurity=False)

    def update(self, streams: Sequence[Md5Stream], pieces: Sequence[memoryview]) -> None:
        """Feed each stream its piece; at most `lanes` streams that `start` made, none of them twice."""
        compiled = [stream for stream in streams if isinstance(stream, _CompiledStream)]
        if self.library and len(compiled) == len(streams):
            _update_compiled(self.library, compiled, pieces)
            return
        for stream, piece in zip(streams, pieces, strict=True):
            stream.update(piece)


class _CompiledStream:
    __slots__ = ("_library", "state")

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self.state = ctypes.create_string_buffer(library.md5_stream_bytes())
        library.md5_start(self.state)

    def update(self, piece: memoryview, /) -> None:
        _update_compiled(self._library, [self], [piece])

    def digest(self) -> bytes:
        digest = ctypes.create_string_buffer(DIGEST_BYTES)
        self._library.md5_digest(self.state, digest)
        return digest.raw


def _update_compiled(library: ctypes.CDLL, streams: Sequence[_CompiledStream], pieces: Sequence[memoryview]) -> None:
    count = len(streams)
    addresses, sizes = ctypes.c_void_p * count, ctypes.c_size_t * count
    library.md5_update(
        addresses(*(ctypes.addressof(stream.state) for stream in streams)),
        addresses(*(ctypes.addressof(ctypes.c_char.from_buffer(piece)) for piece in pieces)),
        sizes(*(len(piece) for piece in pieces)),
        count,
    )


@functools.cache
def best_md5() -> Md5Lanes:
    """Return the fastest way that there is on this machine."""
    return Md5Lanes(load_library(Path(__file__).with_name(_COMPILED)))


def load_library(path: Path) -> ctypes.CDLL | None:
    """Load the compiled library; None where there is none, where it does not help, or where it computes another MD5."""
    try:
        library = ctypes.CDLL(str(path))
        library.md5_stream_bytes.restype = ctypes.c_size_t
        library.md5_update.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int]
        library.hash_small_files.argtypes = [
            ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
        ]  # fmt: skip
        if library.md5_lanes() == 1:
            return None
    except (OSError, AttributeError) as error:
        logger.info("MD5 by hashlib: %s", error)
        return None
    if not _agrees_with_hashlib(Md5Lanes(library)):
        logger.warning("MD5 by hashlib: %s computes something else, it was miscompiled", path)
        return None
    return library


def _agrees_with_hashlib(md5: Md5Lanes) -> bool:
    # as shorter ones end, ever fewer streams are left: every way to hash is gone
    pieces = [bytes(range(lane, lane + 100)) * (1 + lane) for lane in range(md5.lanes)]
    streams = [md5.start() for _ in pieces]
    md5.update(streams, [memoryview(bytearray(piece)) for piece in pieces])
    return [stream.digest() for stream in streams] == [hashlib.md5(p, usedforsecurity=False).digest() for p in pieces]
