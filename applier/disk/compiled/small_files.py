"""Reads and hashes many small files per call of the compiled library: for them, calls cost more than the work."""

import ctypes
import os
from collections.abc import Callable, Iterable, Sequence

from applier.disk.compiled.md5_lanes import DIGEST_BYTES

_LONGEST_CALL_MS = 100


class SmallFile(ctypes.Structure):
    """A small file below a folder, and what was seen of it; mirrors `small_file` of `small_files.c`.

    Attributes:
        path: below the folder, with forward slashes.
        size_bytes: as it should be; a file of another size is not read.
        identity: the fields of a `FileIdentity`.
        digest: the binary MD5 (16 bytes) of all of it.
        is_hashed: whether all of it was read, and it did not change meanwhile; else nothing was seen of it.
    """

    path: bytes
    size_bytes: int
    identity: Sequence[int]
    digest: Sequence[int]
    is_hashed: int

    _fields_ = (
        ("path", ctypes.c_char_p),
        ("size_bytes", ctypes.c_size_t),
        ("identity", ctypes.c_int64 * 6),
        ("digest", ctypes.c_uint8 * DIGEST_BYTES),
        ("is_hashed", ctypes.c_int),
    )


def hash_small_files(
    library: ctypes.CDLL | None,
    folder: int,
    files: Sequence[tuple[str, int]],
    buffer: memoryview,
    raise_if_stopped: Callable[[], None] = lambda: None,
) -> Iterable[SmallFile]:
    """Read and hash small files below a folder in few calls.

    Args:
        library: the compiled one; without it, no file is seen.
        folder: its descriptor; no link below it is followed.
        files: paths with sizes in bytes, each a regular file by itself or not seen.
        buffer: writable; a file that does not fit in it is not seen.
        raise_if_stopped: called now and then, where the file system is slow.
    """
    seen = (SmallFile * len(files))(*(SmallFile(os.fsencode(path), size_bytes) for path, size_bytes in files))
    done, into = 0, ctypes.byref(ctypes.c_char.from_buffer(buffer))
    while library and done < len(files):
        if done:
            raise_if_stopped()
        next_files = ctypes.byref(seen, done * ctypes.sizeof(SmallFile))
        done += library.hash_small_files(folder, next_files, len(files) - done, into, len(buffer), _LONGEST_CALL_MS)
    return seen
