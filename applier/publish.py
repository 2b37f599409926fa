"""From staged to final name: fsync, one rename, fsync of the folder; and where corrupt bytes are kept.

Only verified files come here. At every instant the final name holds what was there before or the verified file.
"""

import errno
import itertools
import os
from collections.abc import Iterator

from applier.check_file import Target
from applier.folders import OutputFolder, rename_to_free_name
from applier.staging import Staging
from schemas.paths import MAX_COMPONENT_BYTES


class UnsyncedError(OSError):
    """A verified file has got its final name, but whether it outlasts a power loss is not known."""


def publish(staging: Staging, staged: str, output: OutputFolder, target: Target, *, keep_corrupt: bool) -> str | None:
    """Give a staged, verified and synced file its final name.

    Args:
        staging: where it is staged.
        staged: its file name there.
        output: the output location.
        target: says the final folder, made if it is missing, and the final name.
        keep_corrupt: keep what stands under the final name, as `<name>.corrupted[.N]`.

    Returns:
        The name under which the corrupt bytes were kept, if they were.

    Raises:
        UnsyncedError: it has its final name, but the folder could not be synced.
        OSError: it could not be done; the final name holds what it held.
    """
    with output.folder(target.folder, create=True) as folder:
        kept = _keep(target.name, folder) if keep_corrupt else None
        os.rename(staged, target.name, src_dir_fd=staging.descriptor, dst_dir_fd=folder)
        try:
            os.fsync(folder)
        except OSError as error:
            raise UnsyncedError(error.errno, f"the folder cannot be synced: {error.strerror}") from error
        return kept


def set_aside(output: OutputFolder, target: Target, inode: int | None) -> str | None:
    """Move a corrupt file that could not be healed to `<name>.corrupted[.N]`, and return that name.

    Args:
        output: the output location.
        target: the file.
        inode: of the corrupt file; another one, which another run may have healed, is left where it is.
    """
    with output.folder(target.folder) as folder:
        if inode is not None and os.stat(target.name, dir_fd=folder, follow_symlinks=False).st_ino != inode:
            return None
        kept = rename_to_free_name(target.name, folder, _corrupted_names(target.name), folder)
        os.fsync(folder)
        return kept


def _keep(name: str, folder: int) -> str | None:
    """Give the corrupt bytes a second name; where there are no hard links, move them."""
    for kept in _corrupted_names(name):
        try:
            os.link(name, kept, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        except FileExistsError:
            continue
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno not in {errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS}:
                raise
            return rename_to_free_name(name, folder, _corrupted_names(name), folder)
        return kept
    raise AssertionError("the names never end")


def _corrupted_names(name: str) -> Iterator[str]:
    for number in itertools.count():
        suffix = ".corrupted" if number == 0 else f".corrupted.{number}"
        room = MAX_COMPONENT_BYTES - len(suffix)
        yield name.encode()[:room].decode(errors="ignore") + suffix
