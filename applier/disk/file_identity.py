"""Tells a file from any other, and from itself before it was touched."""

import os
from typing import NamedTuple


class FileIdentity(NamedTuple):
    """What tells a file from any other, and from itself before it was changed (inode numbers are used again)."""

    device: int
    inode: int
    links: int
    size_bytes: int
    modified_ns: int
    changed_ns: int

    def is_same(self, other: "FileIdentity | None") -> bool:
        """Tell whether another look saw the same file.

        Some file systems (FUSE, overlays) number inodes anew at each look. Their times still tell a file that was
        replaced from one that was not.
        """
        return other is not None and self[2:] == other[2:]


def file_identity(status: os.stat_result) -> FileIdentity:
    """Return the identity that a file had when its status was taken."""
    return FileIdentity(
        device=status.st_dev,
        inode=status.st_ino,
        links=status.st_nlink,
        size_bytes=status.st_size,
        modified_ns=status.st_mtime_ns,
        changed_ns=status.st_ctime_ns,
    )
