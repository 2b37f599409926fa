"""Gives a verified staged file its final name: fsync, one rename, fsync of the folder; and keeps corrupt bytes.

At every instant the final name holds what was there before or the verified file; where the file system has no hard
links and corrupt bytes are to be kept, it holds nothing between two renames.
"""

import errno
import itertools
import os
import pwd
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from applier.disk.file_identity import FileIdentity, file_identity
from applier.disk.folders import OutputFolder, sync_folder
from applier.disk.rename import NO_HARD_LINKS, is_linked_as, rename_to_first_free_name, rename_to_free_name
from applier.disk.rights import give_rights, rights_of
from applier.disk.staging import Staging
from applier.disk.verified_files import SameFileError, VerifiedFiles
from applier.target import Target
from schemas.paths import MAX_COMPONENT_BYTES, join_path
from schemas.text import printable


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenBefore:
    """What stood under a final name when it was looked at.

    Args:
        identity: of the corrupt file, see `file_identity`; None if nothing stood there.
        keep: whether to keep its bytes when it is replaced.
        planned_paths: those of the plan that look like a kept corrupt file, relative to the output location.
    """

    identity: FileIdentity | None
    keep: bool = False
    planned_paths: frozenset[str] = frozenset()


class UnsyncedError(OSError):
    """A verified file has its final name, but may not outlast a power loss."""


KEEPS_CHANGING = (
    "it keeps changing: another program is writing to it, or the inode numbers or times of its file system are not "
    "reliable"
)


class ReplacedMeanwhileError(OSError):
    """Something else stands under the final name than what was looked at."""

    def __init__(self) -> None:
        super().__init__(errno.EBUSY, KEEPS_CHANGING)


class OtherFileSystemError(OSError):
    """No rename leads from the staging folder to the final one."""

    def __init__(self) -> None:
        reason = "its folder is on another file system than its destination (restore there with --output-root)"
        super().__init__(errno.EXDEV, reason)


def publish(  # noqa: PLR0913  # what, from where, to where, over what
    staging: Staging,
    staged: str,
    output: OutputFolder,
    target: Target,
    seen_before: SeenBefore,
    *,
    verified_files: VerifiedFiles,
) -> str | None:
    """Give a staged, verified and synced file its final name.

    Args:
        staging: where it is staged.
        staged: its file name there.
        output: the output location.
        target: says the final folder, made if it is missing, and the final name.
        seen_before: what stood under the final name, and whether to keep it, as `<name>.corrupted[.N]`.
        verified_files: what this run has verified or published so far.

    Returns:
        The name under which the corrupt bytes were kept, if they were.

    Raises:
        ReplacedMeanwhileError: something else stands there now; nothing was done.
        SameFileError: what stands there is a file that this run has seen under another name; nothing was done.
        OutputLocationLostError: the output location was moved, unmounted or replaced; nothing was done.
        UnsyncedError: it has its final name, but the folder could not be synced.
        OSError: it could not be done; the final name holds what it held, or what it held was kept.
    """
    output.check_in_place_now_and_then()
    with output.folder(target.folder, create=True) as folder:
        with verified_files.turn(folder):
            kept = _give_name(staging, staged, target, folder, output, seen_before, verified_files)
        _sync(folder)
        return kept


def publish_together(
    staging: Staging, files: Sequence[tuple[str, Target]], output: OutputFolder, *, verified_files: VerifiedFiles
) -> dict[str, OSError]:
    """Give staged, verified and synced files of one folder, where nothing stood, their final names; see `publish`.

    Args:
        staging: where they are staged.
        files: of each the file name there, and its target.
        output: the output location.
        verified_files: what this run has verified or published so far.

    Returns:
        What failed, by the path of the file: it did not get its final name, and nothing was done with it; or it is an
        `UnsyncedError`.

    Raises:
        OutputLocationLostError, OSError: as `publish`; nothing was done with any of them.
    """
    failures: dict[str, OSError] = {}
    output.check_in_place_now_and_then()
    with output.folder(files[0][1].folder, create=True) as folder:
        with verified_files.turn(folder):
            for staged, target in files:
                try:
                    _give_name(staging, staged, target, folder, output, SeenBefore(identity=None), verified_files)
                except OSError as error:
                    failures[target.path] = error
        try:
            _sync(folder)
        except UnsyncedError as error:
            failures = {target.path: error for _, target in files} | failures
    return failures


def _give_name(  # noqa: PLR0913, PLR0917  # as `publish`
    staging: Staging,
    staged: str,
    target: Target,
    folder: int,
    output: OutputFolder,
    seen_before: SeenBefore,
    verified_files: VerifiedFiles,
) -> str | None:
    """Rename a staged file to its final name in its folder, and return the name under which corrupt bytes were kept."""
    with _explained(folder, join_path(output.path, target.folder)), _moved_away_is_replaced(staging, staged):
        found = _find_as_seen(target, folder, seen_before)
        if found is not None:
            verified_files.refuse_if_known(target.path, found)
            give_rights(rights_of(target.name, folder), staged, staging.descriptor)
        else:
            staging.give_rights_of_new_file(staged, folder)
        kept = _keep(target, folder, seen_before) if seen_before.keep and found is not None else None
        try:
            _rename(staging, staged, target.name, folder, over=found is not None)
        except OSError:
            _let_go(kept, target.name, folder)
            raise
        verified_files.note(target.path, os.stat(target.name, dir_fd=folder, follow_symlinks=False))
        return kept


def _sync(folder: int) -> None:
    try:
        sync_folder(folder)
    except OSError as error:
        raise UnsyncedError(error.errno, f"the folder cannot be synced: {error.strerror}") from error


@contextmanager
def _moved_away_is_replaced(staging: Staging, staged: str) -> Iterator[None]:
    """Have a file that another run has just moved away count as one that it has replaced: look again."""
    try:
        yield
    except FileNotFoundError as error:
        if not staging.has(staged):
            raise OSError(errno.ENOENT, "another program has removed the staged file") from error
        raise ReplacedMeanwhileError from error


def set_aside(
    output: OutputFolder, target: Target, seen_before: SeenBefore, *, verified_files: VerifiedFiles
) -> str | None:
    """Move a corrupt file that could not be healed to `<name>.corrupted[.N]`, and return that name.

    Args:
        output: the output location.
        target: the file.
        seen_before: the corrupt file; another one, which another run may have healed, is left where it is.
        verified_files: what this run has verified or published so far; that is left where it is, too.
    """
    with output.folder(target.folder) as folder:
        with verified_files.turn(folder):
            try:
                found = _find_as_seen(target, folder, seen_before)
                if found is None:
                    return None
                verified_files.refuse_if_known(target.path, found)
            except (ReplacedMeanwhileError, SameFileError):
                return None
            kept = rename_to_first_free_name(target.name, folder, _corrupted_names(target, seen_before), folder)
        sync_folder(folder)
        return kept


def _find_as_seen(target: Target, folder: int, seen_before: SeenBefore) -> os.stat_result | None:
    """Return the status of what stands under the final name; None for nothing.

    Raises:
        ReplacedMeanwhileError: it is not what was looked at.
    """
    try:
        found = os.stat(target.name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        found = None
    is_as_seen = seen_before.identity is None if found is None else file_identity(found).is_same(seen_before.identity)
    if not is_as_seen:
        raise ReplacedMeanwhileError
    return found


def _rename(staging: Staging, staged: str, name: str, folder: int, *, over: bool) -> None:
    """Rename a staged file to its final name, over what was looked at, or where nothing stands.

    Raises:
        ReplacedMeanwhileError: another program's file has appeared there.
    """
    try:
        if over:
            os.rename(staged, name, src_dir_fd=staging.descriptor, dst_dir_fd=folder)
        else:
            rename_to_free_name(staged, staging.descriptor, name, folder)
    except FileExistsError as error:
        raise ReplacedMeanwhileError from error
    except OSError as error:
        if error.errno == errno.EXDEV:
            raise OtherFileSystemError from error
        raise


def _keep(target: Target, folder: int, seen_before: SeenBefore) -> str:
    """Give the corrupt bytes a second name; where there are no hard links, move them."""
    for kept in _corrupted_names(target, seen_before):
        try:
            os.link(target.name, kept, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        except FileExistsError:
            if is_linked_as(target.name, kept, folder):  # in a folder where nothing can be removed, by an earlier run
                return kept
            continue
        except OSError as error:
            if error.errno not in NO_HARD_LINKS:
                raise
            return rename_to_first_free_name(target.name, folder, _corrupted_names(target, seen_before), folder)
        return kept
    raise AssertionError("the names never end")


def _let_go(kept: str | None, name: str, folder: int) -> None:
    """Remove the second name of corrupt bytes that were not replaced."""
    if kept is not None and is_linked_as(name, kept, folder):
        with suppress(OSError):
            os.unlink(kept, dir_fd=folder)


@contextmanager
def _explained(folder: int, path: str) -> Iterator[None]:
    """Say which folder it is where we may not write, and whose."""
    try:
        yield
    except PermissionError as error:
        reason = f"{error.strerror} in {printable(path)}, which is {describe_rights(os.fstat(folder))}"
        raise PermissionError(error.errno, reason) from error


def describe_rights(status: os.stat_result) -> str:
    """Say whose a folder is, with its mode."""
    try:
        owner = pwd.getpwuid(status.st_uid).pw_name
    except KeyError:
        owner = str(status.st_uid)
    return f"{owner}'s, mode {stat.S_IMODE(status.st_mode):o}"


def _corrupted_names(target: Target, seen_before: SeenBefore) -> Iterator[str]:
    """Yield the names for corrupt bytes, less those that the plan has files for."""
    for number in itertools.count():
        suffix = ".corrupted" if number == 0 else f".corrupted.{number}"
        room = MAX_COMPONENT_BYTES - len(suffix)
        name = target.name.encode()[:room].decode(errors="ignore") + suffix
        if replace(target, name=name).path not in seen_before.planned_paths:
            yield name
