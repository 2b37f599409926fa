"""Remembers which files a run has verified or published, so that none is replaced under another of its names.

Two planned names can be one file for the file system, whatever the reason: a folder mounted inside the output location,
dropped trailing dots or blanks, short names, folding of case or Unicode forms. What each says is the same inode.
"""

import errno
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from applier.disk.file_identity import file_identity
from applier.disk.folders import OutputFolder, closing_descriptor
from schemas.text import printable

_TURNS = 64


class SameFileError(OSError):
    """Two planned names are one file for the file system.

    Args:
        other: the other name, relative to the output location.
    """

    def __init__(self, other: str) -> None:
        self.other = other
        super().__init__(errno.EEXIST, f"for the file system this is the same file as {printable(other)}")


class VerifiedFiles:
    """The files under final names that this run has seen, by device and inode.

    Args:
        output: the output location; paths are relative to it.
    """

    def __init__(self, output: OutputFolder) -> None:
        self._output = output
        self._paths: dict[int, str] = {}  # some 200 bytes a file
        self._clashes: dict[str, str] = {}
        self._lock = threading.Lock()
        self._turns = tuple(threading.Lock() for _ in range(_TURNS))

    @property
    def clashes(self) -> dict[str, str]:
        """Each path that turned out to be one file with another, and that other."""
        with self._lock:
            return dict(self._clashes)

    @contextmanager
    def turn(self, folder: int) -> Iterator[None]:
        """Let one thread at a time look at a name in a folder and rename to it; names of one file are in one folder."""
        status = os.fstat(folder)
        with self._turns[(status.st_dev ^ status.st_ino) % _TURNS]:
            yield

    def note(self, path: str, status: os.stat_result) -> None:
        """Remember what stands under a path."""
        if status.st_ino:
            with self._lock:
                self._paths[_key(status)] = path

    def refuse_if_known(self, path: str, status: os.stat_result) -> None:
        """See that what stands under a path is not a file that this run has seen under another.

        Raises:
            SameFileError: it is; both paths are among the clashes from now on.
        """
        with self._lock:
            other = self._paths.get(_key(status))
        if other is None or other == path or not self._are_one_entry(path, other):
            return
        with self._lock:
            self._clashes.setdefault(path, other)
            self._clashes.setdefault(other, path)
        raise SameFileError(other)

    def _are_one_entry(self, path: str, other: str) -> bool:
        """Tell whether two paths lead to one entry of one folder, with both open at the same time.

        Inode numbers may have been used again since, or be made anew at each look. Hard links to one file are two
        entries: replacing one leaves the other.
        """
        one_folder, _, one_name = path.rpartition("/")
        other_folder, _, other_name = other.rpartition("/")
        try:
            with (
                self._output.folder(one_folder) as folder,
                self._output.folder(other_folder) as folder_of_other,
                _opened(one_name, folder) as one,
                _opened(other_name, folder_of_other) as two,
            ):
                seen, seen_other = os.fstat(one), os.fstat(two)
                if not os.path.samestat(seen, seen_other) or file_identity(seen) != file_identity(seen_other):
                    return False
                in_one_folder = os.path.samestat(os.fstat(folder), os.fstat(folder_of_other))
        except OSError:
            return False
        return stat.S_ISREG(seen.st_mode) and (seen.st_nlink == 1 or (in_one_folder and one_name == other_name))


@contextmanager
def _opened(name: str, folder: int) -> Iterator[int]:
    descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    with closing_descriptor(descriptor):
        yield descriptor


def _key(status: os.stat_result) -> int:
    return status.st_dev << 64 | status.st_ino
