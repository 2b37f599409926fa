"""Gives files new names without overwriting any: in one step where the kernel or the file system can do that."""

import ctypes
import errno
import itertools
import os
from collections.abc import Iterator
from contextlib import suppress

from applier.disk.folders import create_file

# How file systems say that they have no hard links (AFS: none across folders), or none left for this file.
NO_HARD_LINKS = frozenset(
    {errno.EPERM, errno.EACCES, errno.EINVAL, errno.EXDEV, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS}
)
# How they, or the kernel, say that they cannot rename without replacing (NFS, many FUSE).
_NO_EXCLUSIVE_RENAME = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP})
_RENAME_NOREPLACE = 1

_renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)


def renameat2(source: str, name: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
    """Rename a file unless the name is taken: the system call, which `os` does not offer.

    Raises:
        FileExistsError: the name is taken.
        OSError: it cannot be done, or not this way.
    """
    if _renameat2 is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if _renameat2(src_dir_fd, os.fsencode(source), dst_dir_fd, os.fsencode(name), _RENAME_NOREPLACE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)


def rename_to_free_name(source: str, source_folder: int, name: str, folder: int) -> None:
    """Rename a file to a name that nothing stands under, so that it appears there whole.

    Where the file system can neither rename without replacing nor make hard links, the name is looked at first; what
    another program puts there in that instant is lost.

    Raises:
        FileExistsError: the name is taken.
        OSError: it cannot be done; nothing was changed.
    """
    if _rename_exclusively(source, source_folder, name, folder):
        return
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        os.rename(source, name, src_dir_fd=source_folder, dst_dir_fd=folder)
    else:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)


def rename_to_first_free_name(source: str, source_folder: int, names: Iterator[str], folder: int) -> str:
    """Rename a file to the first of the names that is free, and return that name.

    Where the file system has no better way, an empty file, created exclusively, claims the name; the rename then takes
    what is there at that instant, so that nothing is lost even if another program has just replaced it.
    """
    for name in names:
        try:
            if not _rename_exclusively(source, source_folder, name, folder):
                return _claim_and_rename(source, source_folder, itertools.chain([name], names), folder)
        except FileExistsError:
            continue
        return name
    raise AssertionError("the names never end")


def is_linked_as(name: str, other: str, folder: int) -> bool:
    """Tell whether two names in a folder are hard links to one file."""
    try:
        one, two = (os.stat(each, dir_fd=folder, follow_symlinks=False) for each in (name, other))
    except OSError:
        return False
    return os.path.samestat(one, two)


def _rename_exclusively(source: str, source_folder: int, name: str, folder: int) -> bool:
    """Rename a file to a free name; return False if the file system cannot do that safely.

    Raises:
        FileExistsError: the name is taken.
    """
    try:
        renameat2(source, name, src_dir_fd=source_folder, dst_dir_fd=folder)
    except OSError as error:
        if error.errno not in _NO_EXCLUSIVE_RENAME:
            raise
    else:
        return True
    try:
        os.link(source, name, src_dir_fd=source_folder, dst_dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        if error.errno in NO_HARD_LINKS:
            return False
        # In a folder where nothing can be removed, an earlier attempt may have come as far as this.
        if not (error.errno == errno.EEXIST and source_folder == folder and is_linked_as(source, name, folder)):
            raise
    try:
        os.unlink(source, dir_fd=source_folder)
    except OSError:
        with suppress(OSError):
            os.unlink(name, dir_fd=folder)
        raise
    return True


def _claim_and_rename(source: str, source_folder: int, names: Iterator[str], folder: int) -> str:
    for name in names:
        try:
            os.close(create_file(name, folder))
        except FileExistsError:
            continue
        try:
            os.rename(source, name, src_dir_fd=source_folder, dst_dir_fd=folder)
        except OSError:
            os.unlink(name, dir_fd=folder)
            raise
        return name
    raise AssertionError("the names never end")
