"""Looks at one file, S3 first, then the local bytes, and says what is to be done. Changes nothing.

`apply` looks no further than S3 where S3 is not what the plan says; `status` looks at the local file all the same, and
asks whether what would be fetched can be read.
"""

import errno
import logging
import os
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum, auto

from applier.disk.file_identity import FileIdentity, file_identity
from applier.disk.folders import NotAFolderError, OutputFolder, open_regular_file
from applier.disk.hashing import (
    WrongSizeError,
    get_etag,
    hash_ranges,
)
from applier.disk.publish import KEEPS_CHANGING
from applier.restore.decide import Action, LocalKind, LocalState, decide, judge_local
from applier.restore.failures import FileFailedError
from applier.restore.find_object import FoundObject, ask_for_object, find_listed
from applier.restore.progress import VerifiedBytes
from applier.restore.tools import CheckTools, LocalTools
from applier.s3.faults import S3Fault
from applier.s3.fetcher import Fetcher
from applier.target import Target
from schemas.etag import Etag
from schemas.results import Failure
from schemas.text import printable

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was seen of a file, and hence what is to be done.

    Args:
        action: what is to be done, or why nothing can be.
        source: the object to restore from; None where S3 has none that can be accepted.
        s3_failure: why the object cannot be had as the plan says; None if it can.
        local: the local file; None where it was not looked at.
    """

    action: Action | Failure
    source: FoundObject | None = None
    s3_failure: Failure | None = None
    local: LocalState | None = None


class Look(Enum):
    """How far a look at a file goes."""

    AS_APPLY = auto()
    """At the local file only where S3 has passed its pre-check: else it must not be touched, whatever it is."""
    THREE_WAY = auto()
    """At plan, S3 and local file in any case, and whether what is to be fetched can be read."""
    THREE_WAY_BY_SIZE = auto()
    """The same without reading the local file."""


def check_file(
    target: Target,
    tools: CheckTools,
    look: Look = Look.AS_APPLY,
    bucket_failure: Failure | None = None,
    local: LocalState | None = None,
) -> Verdict:
    """Look at one file.

    Args:
        target: the file.
        tools: what looking needs.
        look: how far to look.
        bucket_failure: why S3 need not be asked: the file's bucket cannot be used.
        local: what the local file is, where it was looked at already, see `look_at_small_files`.

    Raises:
        Interrupted: the run is to stop.
    """
    read = look is not Look.THREE_WAY_BY_SIZE
    source, s3_failure = None, bucket_failure
    if bucket_failure is None and (listed := find_listed(target, tools.ahead)) is not None:
        local = local or look_at_local_file(target, listed.info.size_bytes, tools, read=read)
        # a listing is as good as an answer about the object where nothing is to be touched, and only there
        source = listed if look is not Look.AS_APPLY or decide(local) is Action.SKIP else None
    if bucket_failure is None and source is None:
        source, s3_failure = _ask_for_object(target, tools)
    if s3_failure is not None and look is Look.AS_APPLY:
        return Verdict(action=s3_failure, s3_failure=s3_failure)
    size_bytes = source.info.size_bytes if source is not None else target.file.expected_size
    local = local or look_at_local_file(target, size_bytes, tools, read=read)
    action = s3_failure or decide(local)
    if look is not Look.AS_APPLY and action in {Action.DOWNLOAD, Action.HEAL} and source is not None:
        s3_failure = _ask_for_a_byte(source, tools.fetcher)
        action = s3_failure or action
    return Verdict(action=action, source=source, s3_failure=s3_failure, local=local)


def is_absent(output: OutputFolder, target: Target) -> bool:
    """Tell whether nothing at all stands under a file's final name.

    One call, which follows links on the way: a hint for what to do first, not a licence to write.
    """
    try:
        os.stat(target.path, dir_fd=output.descriptor, follow_symlinks=False)
    except FileNotFoundError:
        return True
    except OSError:
        return False  # something is in the way; the check says what
    return False


def _ask_for_object(target: Target, tools: CheckTools) -> tuple[FoundObject | None, Failure | None]:
    try:
        return ask_for_object(target, tools.fetcher, tools.accept), None
    except (S3Fault, FileFailedError) as fault:
        return None, fault.failure


def _ask_for_a_byte(source: FoundObject, fetcher: Fetcher) -> Failure | None:
    """Return why an object cannot be read: a HEAD does not tell whether there are any bytes to be had."""
    if source.info.size_bytes == 0:
        return None
    try:
        fetcher.check_readable(source.location)
    except S3Fault as fault:
        return fault.failure
    return None


def look_at_local_file(target: Target, size_bytes: int | None, tools: LocalTools, *, read: bool) -> LocalState:
    """Look at what stands under a file's final name; once more where it changes while it is read.

    Args:
        target: the file.
        size_bytes: what size it should have; None if that is not known.
        tools: what looking needs.
        read: compute its etag if the size is right.
    """
    local = _look_once(target, size_bytes, tools, read=read)
    if local.kind is LocalKind.CHANGING:
        logger.info("%s: it has changed while it was read, looking again", printable(target.name))
        local = _look_once(target, size_bytes, tools, read=read)
    return local


def _look_once(target: Target, size_bytes: int | None, tools: LocalTools, *, read: bool) -> LocalState:
    descriptor = _open_local_file(target, tools.output)
    if isinstance(descriptor, LocalState):
        return descriptor
    try:
        found = os.fstat(descriptor)
        identity = file_identity(found)
        if size_bytes not in {None, found.st_size}:
            return LocalState(LocalKind.WRONG, f"{found.st_size} bytes, expected {size_bytes}", identity)
        if not read:
            return LocalState(LocalKind.UNVERIFIED, "its size is right", identity)
        return _hash_local_file(target, descriptor, tools, identity)
    finally:
        _close(descriptor)


def _close(descriptor: int) -> None:
    with suppress(OSError):  # the file was only read: this says nothing about it
        os.close(descriptor)


def _open_local_file(target: Target, output: OutputFolder) -> int | LocalState:
    """Return the descriptor of the local file, or what it is where it cannot be opened."""
    try:
        with output.folder(target.folder) as folder:
            return _open_in_folder(target.name, folder)
    except FileNotFoundError:
        return LocalState(LocalKind.ABSENT)
    except NotAFolderError as error:
        where = f" ({printable(error.filename)})" if error.filename not in {None, target.name} else ""
        return LocalState(LocalKind.UNUSABLE, (error.strerror or str(error)) + where)
    except OSError as error:  # nor could a new file be given its name there
        reason = f"its folder {printable(target.folder)} cannot be entered: {error.strerror}"
        return LocalState(LocalKind.UNUSABLE, reason)


def _open_in_folder(name: str, folder: int) -> int | LocalState:
    try:
        return open_regular_file(name, folder)
    except (FileNotFoundError, NotAFolderError):
        raise
    except OSError as error:
        return _unreadable(error, file_identity(os.stat(name, dir_fd=folder, follow_symlinks=False)))


def _hash_local_file(target: Target, descriptor: int, tools: LocalTools, identity: FileIdentity) -> LocalState:
    verified = VerifiedBytes(tools.progress, tools.crew.raise_if_stopped)
    try:
        found, digests = get_etag(
            descriptor,
            target.file.chunk_size_mb,
            multipart=Etag.parse(target.file.expected_etag).parts is not None,
            share=tools.crew.share,
            on_read=verified.add,
        )
        local = replace(judge_local(target.file, found), part_digests=digests)
        if local.kind is not LocalKind.RIGHT and (md5 := tools.accept.md5_of(target.file)) is not None:
            (digest,) = hash_ranges(
                descriptor, [(0, os.fstat(descriptor).st_size)], lambda _: tools.crew.raise_if_stopped()
            )
            local = replace(local, kind=LocalKind.RIGHT) if digest.hex() == md5 else local
    except OSError as error:
        local = _unreadable(error, None)
    except WrongSizeError:
        local = LocalState(LocalKind.WRONG, "it became shorter while it was read")
    identity_now = _identity_now(target, tools.output)
    if not identity.is_same(identity_now):
        local = LocalState(LocalKind.CHANGING, KEEPS_CHANGING)
    elif identity_now is not None and identity_now.inode != identity.inode:
        identity = identity._replace(inode=0)
    if local.kind is not LocalKind.RIGHT:
        verified.take_back()
    return replace(local, identity=identity)


def _identity_now(target: Target, output: OutputFolder) -> FileIdentity | None:
    """Return the identity of what stands under a file's final name by now; None if that cannot be looked at."""
    with suppress(OSError), output.folder(target.folder) as folder:
        return file_identity(os.stat(target.name, dir_fd=folder, follow_symlinks=False))
    return None


def _unreadable(error: OSError, identity: FileIdentity | None) -> LocalState:
    """Return what a file is that cannot be read: to be replaced if the fault is the file's, unusable if it is ours."""
    kind = LocalKind.UNREADABLE if error.errno in {errno.EACCES, errno.EPERM, errno.EIO} else LocalKind.UNUSABLE
    return LocalState(kind, f"the local file cannot be read: {error.strerror}", identity)
