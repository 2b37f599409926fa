"""From staged to final name: fsync, one rename, fsync of the folder; and where corrupt bytes are kept.

Only verified files come here. At every instant the final name holds what was there before or the verified file; where
the file system has no hard links and corrupt bytes are to be kept, it holds nothing between two renames.
"""

import errno
import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass

from applier.disk.folders import (
    NO_HARD_LINKS,
    FileIdentity,
    OutputFolder,
    file_identity,
    move_to_free_name,
    sync_folder,
)
from applier.disk.staging import Staging
from applier.target import Target
from schemas.paths import MAX_COMPONENT_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What stood under a final name when it was judged.

    Args:
        identity: of the corrupt file, see `file_identity`; None if nothing stood there.
        keep: whether its bytes are to be kept when it is replaced.
        claimed: paths relative to the output location that the plan has files for.
    """

    identity: FileIdentity | None
    keep: bool = False
    claimed: frozenset[str] = frozenset()


class UnsyncedError(OSError):
    """A verified file has got its final name, but whether it outlasts a power loss is not known."""


class ReplacedMeanwhileError(OSError):
    """What stands under the final name is no longer what was judged."""

    def __init__(self) -> None:
        super().__init__(errno.EBUSY, "another program keeps changing the file")


class OtherFileSystemError(OSError):
    """No rename leads from the staging folder to the final one."""

    def __init__(self) -> None:
        reason = "its folder is on another file system than its destination (restore there with --output-root)"
        super().__init__(errno.EXDEV, reason)


def publish(staging: Staging, staged: str, output: OutputFolder, target: Target, judged: Judged) -> str | None:
    """Give a staged, verified and synced file its final name.

    Args:
        staging: where it is staged.
        staged: its file name there.
        output: the output location.
        target: says the final folder, made if it is missing, and the final name.
        judged: what stood under the final name, and whether it is to be kept, as `<name>.corrupted[.N]`.

    Returns:
        The name under which the corrupt bytes were kept, if they were.

    Raises:
        ReplacedMeanwhileError: something else stands there now; nothing was done.
        UnsyncedError: it has its final name, but the folder could not be synced.
        OSError: it could not be done; the final name holds what it held, or what it held was kept.
    """
    with output.folder(target.folder, create=True) as folder:
        if _identity(target.name, folder) != judged.identity:
            raise ReplacedMeanwhileError
        kept = _keep(target, folder, judged) if judged.keep and judged.identity is not None else None
        try:
            os.rename(staged, target.name, src_dir_fd=staging.descriptor, dst_dir_fd=folder)
        except OSError as error:
            if error.errno == errno.EXDEV:
                raise OtherFileSystemError from error
            raise
        try:
            sync_folder(folder)
        except OSError as error:
            raise UnsyncedError(error.errno, f"the folder cannot be synced: {error.strerror}") from error
        return kept


def set_aside(output: OutputFolder, target: Target, judged: Judged) -> str | None:
    """Move a corrupt file that could not be healed to `<name>.corrupted[.N]`, and return that name.

    Args:
        output: the output location.
        target: the file.
        judged: the corrupt file; another one, which another run may have healed, is left where it is.
    """
    with output.folder(target.folder) as folder:
        if _identity(target.name, folder) != judged.identity:
            return None
        kept = move_to_free_name(target.name, folder, _corrupted_names(target, judged), folder)
        sync_folder(folder)
        return kept


def _identity(name: str, folder: int) -> FileIdentity | None:
    try:
        return file_identity(os.stat(name, dir_fd=folder, follow_symlinks=False))
    except FileNotFoundError:
        return None


def _keep(target: Target, folder: int, judged: Judged) -> str:
    """Give the corrupt bytes a second name; where there are no hard links, move them."""
    for kept in _corrupted_names(target, judged):
        try:
            os.link(target.name, kept, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        except FileExistsError:
            continue
        except OSError as error:
            if error.errno not in NO_HARD_LINKS:
                raise
            return move_to_free_name(target.name, folder, _corrupted_names(target, judged), folder)
        return kept
    raise AssertionError("the names never end")


def _corrupted_names(target: Target, judged: Judged) -> Iterator[str]:
    """Yield the names for corrupt bytes, less those that the plan has files for."""
    for number in itertools.count():
        suffix = ".corrupted" if number == 0 else f".corrupted.{number}"
        room = MAX_COMPONENT_BYTES - len(suffix)
        name = target.name.encode()[:room].decode(errors="ignore") + suffix
        if f"{target.folder}/{name}" not in judged.claimed:
            yield name
