"""The one place that turns names into open files: below the output location, component by component, never by a link.

The output location itself may be a link (the operator's choice); nothing below it may lead out. Every folder is opened
from its parent's descriptor with O_NOFOLLOW, so that a link planted before or during a run is refused by the kernel.
"""

import errno
import logging
import os
import stat
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from schemas.atomic_file import CANNOT_SYNC_FOLDERS
from schemas.errors import DestinationError
from schemas.paths import path_below
from schemas.text import printable

logger = logging.getLogger(__name__)

_warned_of: set[int] = set()  # the reasons why folders cannot be synced, each worth one warning a run
_warning_lock = threading.Lock()

_LOOK_INTERVAL_SECONDS = 1.0
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_LEASE_BREAK_SECONDS = 60.0  # the kernel's own default is 45
_LEASE_LOOK_SECONDS = 0.1
_BLOCK_BYTES = 512  # of `st_blocks`, whatever the file system's own
_NEW_FILE_MODE = 0o666  # less the umask: delivered files must be readable to the group where the site says so


class NotAFolderError(OSError):
    """A component on the way is a link or a file."""


class OutputLocationLostError(OSError):
    """The output location is no longer where the run found it."""


class _LastLook:
    """When the output location was looked at last, in seconds that only grow."""

    def __init__(self) -> None:
        self.at = -_LOOK_INTERVAL_SECONDS


@dataclass(frozen=True, slots=True)
class OutputFolder:
    """The output location, open.

    Args:
        path: its absolute path, for messages.
        descriptor: of the folder itself.
    """

    path: str
    descriptor: int
    _last_look: _LastLook = field(default_factory=_LastLook, init=False, compare=False, repr=False)

    @contextmanager
    def folder(self, relative: str, *, create: bool = False) -> Iterator[int]:
        """Give the descriptor of a folder below, or of the output location itself for an empty path.

        Args:
            relative: with forward slashes, as the plan's rules allow it.
            create: make what is missing, and make it last.

        Raises:
            FileNotFoundError: it is not there (and `create` is off).
            NotAFolderError: a component is a link or a file.
        """
        descriptor = os.dup(self.descriptor)
        try:
            for name in relative.split("/") if relative else ():
                below = open_or_make_folder(name, descriptor) if create else open_folder(name, descriptor)
                os.close(descriptor)
                descriptor = below
            yield descriptor
        finally:
            with suppress(OSError):  # of a folder, through which nothing was written
                os.close(descriptor)

    @contextmanager
    def deepest_folder(self, relative: str) -> Iterator[int]:
        """Give the descriptor of the last folder on the way to one below that is there already.

        Raises:
            OSError: something is in the way; its `filename` is what.
        """
        names = relative.split("/") if relative else []
        with ExitStack() as opened:
            folder = opened.enter_context(self.folder(""))
            for name in names:
                try:
                    folder = opened.enter_context(closing_descriptor(open_folder(name, folder)))
                except FileNotFoundError:
                    break
            yield folder

    def check_in_place_now_and_then(self) -> None:
        """Do the same as `check_in_place`, at most once a second: files are published by the thousand.

        Raises:
            OutputLocationLostError: see there.
        """
        now = time.monotonic()
        if now - self._last_look.at >= _LOOK_INTERVAL_SECONDS:
            self._last_look.at = now
            self.check_in_place()

    def check_in_place(self) -> None:
        """See that the path still leads to this folder: what is written to one that was moved would be lost to users.

        Raises:
            OutputLocationLostError: it was moved, unmounted or replaced; or it cannot be looked at.
        """
        try:
            seen = Path(self.path).stat()
        except OSError as error:
            reason = f"the output location is no longer there ({error.strerror}): was it moved or unmounted?"
            raise OutputLocationLostError(errno.ESTALE, reason, self.path) from error
        if os.path.samestat(seen, os.fstat(self.descriptor)):
            return
        if os.path.samestat(seen, Path(self.path).stat()):  # else inodes are numbered anew at each look
            reason = "another folder stands where the output location was: was it moved, unmounted or mounted over?"
            raise OutputLocationLostError(errno.ESTALE, reason, self.path)


@contextmanager
def open_output_location(path: str, trusted: str | None = None) -> Iterator[OutputFolder]:
    """Open the output location.

    Args:
        path: its absolute path.
        trusted: the folder up to which it may lead over links, itself or one above; below, none is followed.

    Raises:
        DestinationError: it is not there, or no folder. It is never made: an unmounted pool must not be filled in.
            Or names would not be what the plan says, for they are not UTF-8 here.
    """
    if sys.getfilesystemencoding() != "utf-8":
        raise DestinationError("file names are not UTF-8 here: set a UTF-8 locale (LC_ALL=C.UTF-8) or PYTHONUTF8=1")
    trusted = trusted or path
    with ExitStack() as opened:
        try:
            descriptor = opened.enter_context(closing_descriptor(os.open(trusted, _FOLDER)))
            descriptor = opened.enter_context(OutputFolder(trusted, descriptor).folder(path_below(path, trusted)))
        except FileNotFoundError:
            raise DestinationError(
                f"the output location {printable(path)} does not exist: is its file system mounted? "
                "(--output-root DIR restores to another place)"
            ) from None
        except OSError as error:
            at = f"{printable(error.filename)}: " if isinstance(error, NotAFolderError) else ""
            raise DestinationError(
                f"the output location {printable(path)} cannot be used: {at}{error.strerror}"
            ) from error
        yield OutputFolder(path, descriptor)


@contextmanager
def closing_descriptor(descriptor: int) -> Iterator[int]:
    """Close a descriptor at the end of a block."""
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def open_folder(name: str, parent: int) -> int:
    """Open a folder, not a link to one.

    Raises:
        NotAFolderError: it is a link or a file.
    """
    try:
        return os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=parent)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENOTDIR}:
            raise NotAFolderError(error.errno, f"{kind_of_file(name, parent)} stands in the way", name) from error
        raise


def list_names(folder: int) -> list[str]:
    """Return the names in a folder, through a descriptor made for it: smbnetfs lists each descriptor only once."""
    with closing_descriptor(os.open(".", _FOLDER, dir_fd=folder)) as listed:
        return os.listdir(listed)  # noqa: PTH208  # pathlib knows no descriptors


def open_or_make_folder(name: str, parent: int) -> int:
    """Open a folder; one that is not there is made, and outlasts a power loss.

    Raises:
        NotAFolderError: it is a link or a file.
    """
    try:
        return open_folder(name, parent)
    except FileNotFoundError:
        with suppress(FileExistsError):  # another thread or run has just made it
            os.mkdir(name, dir_fd=parent)
            sync_folder(parent)
        return open_folder(name, parent)


def sync_folder(folder: int) -> None:
    """Make the entries of a folder outlast a power loss; where folders cannot be synced, warn once.

    Raises:
        OSError: the disk failed.
    """
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in CANNOT_SYNC_FOLDERS:
            raise
        with _warning_lock:
            if error.errno not in _warned_of:
                _warned_of.add(error.errno)
                logger.warning(
                    "folders cannot be synced here (%s): after a power loss, the files restored last may be missing",
                    error.strerror,
                )


def create_file(name: str, folder: int) -> int:
    """Create a file that must not be there yet and return its descriptor, open for reading and writing."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(name, flags, _NEW_FILE_MODE, dir_fd=folder)


def open_regular_file(name: str, folder: int, flags: int = os.O_RDONLY) -> int:
    """Open a file that is there; neither a link nor a FIFO, device or socket is touched.

    Raises:
        FileNotFoundError: it is not there.
        NotAFolderError: it is there, and no regular file.
    """
    try:
        descriptor = _open_once_no_lease_is_held(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, folder)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO, errno.EISDIR}:
            raise NotAFolderError(error.errno, f"{kind_of_file(name, folder)} stands in the way", name) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotAFolderError(errno.EEXIST, f"{kind_of_file(name, folder)} stands in the way", name)
    return descriptor


def _open_once_no_lease_is_held(name: str, flags: int, folder: int) -> int:
    """Open a file, and again while another process, such as a file server, is asked to give up its lease on it.

    The kernel takes the lease back after /proc/sys/fs/lease-break-time: fcntl(2), F_SETLEASE.
    """
    give_up_at = time.monotonic() + _LEASE_BREAK_SECONDS
    while True:
        try:
            return os.open(name, flags, dir_fd=folder)
        except BlockingIOError:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(_LEASE_LOOK_SECONDS)


def write_all(descriptor: int, content: memoryview, offset: int) -> None:
    """Write all of the content at an offset, in as many calls as the kernel wants.

    Raises:
        OSError: it cannot be written; or the kernel takes nothing, and would for ever.
    """
    while content:
        written = os.pwrite(descriptor, content, offset)
        if written == 0:
            raise OSError(errno.EIO, "nothing more can be written")
        content, offset = content[written:], offset + written


def taken_bytes(status: os.stat_result) -> int:
    """Return how much of the disk a file takes: less than its size where it has holes."""
    return status.st_blocks * _BLOCK_BYTES


def kind_of_file(name: str, folder: int) -> str:
    """Return in words what kind of file stands under a name."""
    mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    kinds = {
        stat.S_IFLNK: "a symbolic link",
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a FIFO",
        stat.S_IFSOCK: "a socket",
        stat.S_IFBLK: "a device",
        stat.S_IFCHR: "a device",
    }
    return kinds.get(stat.S_IFMT(mode), "a file")
