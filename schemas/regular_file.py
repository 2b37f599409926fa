"""Opens and reads files that people name, and never waits for a pipe or a device that was put in their place."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from schemas.text import human_size

_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def read_regular_file(path: str | Path, most_bytes: int) -> bytes:
    """Return the content of a small file.

    Args:
        path: may be a link.
        most_bytes: a larger file is refused.

    Raises:
        OSError: as `regular_file`, or it is too large; `strerror` says so.
        ValueError: the path has a NUL.
    """
    with regular_file(path) as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise OSError(errno.EFBIG, f"it has more than {human_size(most_bytes)}", str(path))
    return content


class NotRegularFileError(OSError):
    """Under the name of a file there is a pipe, a socket or a device."""


@contextmanager
def regular_file(path: str | Path) -> Iterator[BinaryIO]:
    """Give a file, open for reading.

    Args:
        path: may be a link.

    Raises:
        NotRegularFileError: it is a pipe, a socket or a device.
        OSError: it is not there, cannot be read, or is a folder; `strerror` says so.
        ValueError: the path has a NUL.
    """
    # a pipe that nobody writes to would hold up an open() without O_NONBLOCK for ever
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno in {errno.ENXIO, errno.EOPNOTSUPP}:  # a socket, which cannot be opened
            raise NotRegularFileError(errno.EINVAL, "it is a socket or a device, expected a file", str(path)) from None
        raise
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            kind = _KINDS.get(stat.S_IFMT(mode), "something else")
            raise NotRegularFileError(errno.EINVAL, f"it is {kind}, expected a file", str(path))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(descriptor)
