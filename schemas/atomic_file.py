"""Writes a file whole or not at all: whoever reads it sees the old content or the new one, even after a power loss."""

import errno
import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from schemas.errors import ConfigError
from schemas.text import printable

# How file systems (some SMB, AFS, FUSE and VM shares) say that their folders cannot be synced.
CANNOT_SYNC_FOLDERS = frozenset({errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.ENOTTY, errno.EBADF})


def write_atomically(path: Path, content: Iterable[bytes]) -> None:
    """Write a file, given in pieces, beside its final name, bring it to the disk, and rename it.

    A link is followed, so that what it points to is replaced and the link stays.

    Raises:
        ConfigError: it cannot be written, and what was there before still is; or it is in place, and whether it would
            outlast a power loss is not known.
    """
    name = printable(str(path))
    target = Path(os.path.realpath(path))
    temporary = target.parent / f".kraken-plan-{secrets.token_hex(8)}.tmp"
    try:
        _refuse_unless_regular(target)
        _write_durably(temporary, content)
        temporary.replace(target)
    except OSError as error:
        raise ConfigError(f"cannot write {name}: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    try:
        _sync_folder(target.parent)
    except OSError as error:
        raise ConfigError(
            f"{name} is written, but might not outlast a power loss: its folder cannot be synced: {error.strerror}"
        ) from None


def _refuse_unless_regular(target: Path) -> None:
    """Raise an OSError where a rename would fail, or worse, replace a device."""
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, "it is a folder")
    if target.exists() and not target.is_file():
        raise OSError(errno.EINVAL, "it is not a regular file")


def _write_durably(path: Path, content: Iterable[bytes]) -> None:
    # 0o666 less the umask: mkstemp's 0o600 would keep the plan from the group that reviews it
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    with os.fdopen(descriptor, "wb") as file:
        file.writelines(content)
        file.flush()
        os.fsync(descriptor)


def _sync_folder(folder: Path) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:  # one that may be written to, not read; on Windows, any
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in CANNOT_SYNC_FOLDERS:
            raise
    finally:
        os.close(descriptor)
