"""Looking at one file, S3 first, then the local bytes: what is to be done. Changes nothing.

`apply` looks no further than S3 where S3 is not what the plan says; `status` looks at the local file all the same, and
asks whether what would be fetched can be read.
"""

import errno
import functools
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum, auto

from applier.disk.folders import FileIdentity, NotAFolderError, OutputFolder, file_identity, open_regular_file
from applier.disk.hashing import WrongSizeError, hash_ranges, hashed_together
from applier.restore.decide import Action, LocalKind, LocalState, decide, judge_encryption, judge_local, judge_s3
from applier.restore.phase import Phase, Steps, failure_of
from applier.restore.progress import Progress
from applier.s3.faults import S3Fault
from applier.s3.fetcher import Fetcher, Interrupted
from applier.s3.protocol import ObjectInfo
from applier.target import Target
from schemas.etag import Etag, fold_part_digests, hashed_ranges
from schemas.results import Failure, FailureKind
from schemas.text import printable

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was seen of a file, and hence what is to be done.

    Args:
        action: what is to be done, or why nothing can be.
        info: the object on S3; None where it could not be learnt.
        s3_failure: why the object cannot be had as the plan says; None if it can.
        local: the local file; None where it was not looked at.
    """

    action: Action | Failure
    info: ObjectInfo | None = None
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


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckTools:
    """What the look at every file needs.

    Args:
        output: the output location.
        fetcher: asks S3.
        progress: told the bytes hashed.
        look: how far it goes.
    """

    output: OutputFolder
    fetcher: Fetcher
    progress: Progress
    look: Look = Look.AS_APPLY


def check_s3(target: Target, fetcher: Fetcher) -> tuple[ObjectInfo, Failure | None]:
    """Ask S3 for an object, and return what it says with why that is not what the plan says. This is the pre-check.

    Raises:
        S3Fault: S3 does not have it, or gives no answer.
        Interrupted: the run is to stop.
    """
    info = fetcher.head(target.location)
    failure = judge_s3(target.file, info)
    if failure is not None and failure.kind is FailureKind.S3_CORRUPTION:
        failure = judge_encryption(target.file, fetcher.encryption(target.location)) or failure
    return info, failure


def is_absent(output: OutputFolder, target: Target) -> bool:
    """Tell whether nothing at all stands under a file's final name.

    One call, which follows links on the way: a hint for what to do first, not a licence to write.
    """
    try:
        os.stat(f"{target.folder}/{target.name}".lstrip("/"), dir_fd=output.descriptor, follow_symlinks=False)
    except FileNotFoundError:
        return True
    except OSError:
        return False  # something is in the way; the check says what
    return False


def _unreadable(error: OSError, identity: FileIdentity | None) -> LocalState:
    """Return what a file is that cannot be read: to be replaced if that lies in the file, unusable if it lies in us."""
    kind = LocalKind.UNREADABLE if error.errno in {errno.EACCES, errno.EPERM, errno.EIO} else LocalKind.UNUSABLE
    return LocalState(kind, f"the local file cannot be read: {error.strerror}", identity)


class FileCheck:
    """The look at one file, in steps for the pool.

    Args:
        target: the file.
        tools: what every look needs.
        then: goes on with the verdict.
        s3_failure: why S3 need not be asked: the file's bucket cannot be used.
    """

    def __init__(
        self, target: Target, tools: CheckTools, then: Callable[[Verdict], Steps], s3_failure: Failure | None = None
    ) -> None:
        self._target, self._tools, self._then, self._s3_failure = target, tools, then, s3_failure
        self._stop = tools.fetcher.stop
        self._info: ObjectInfo | None = None
        self._local: LocalState | None = None
        self._descriptor: int | None = None
        self._ranges: list[tuple[int, int]] = []
        self._digests: list[bytes] = []
        self._identity: FileIdentity | None = None

    def start(self) -> Steps:
        """Return the first steps."""
        return Phase([self._look], self._stop, self._looked).steps()

    def _look(self) -> None:
        if self._s3_failure is None:
            self._s3_failure = self._ask_s3()
        if self._s3_failure is None or self._tools.look is not Look.AS_APPLY:
            self._local = self._open_local()

    def _ask_s3(self) -> Failure | None:
        try:
            self._info, failure = check_s3(self._target, self._tools.fetcher)
        except S3Fault as fault:
            return fault.failure
        if failure is None:
            name = printable(self._target.file.relative_path)
            logger.info("%s: S3 pre-check passed, etag %s", name, self._info.etag)
        return failure

    def _expected_size(self) -> int | None:
        """Return the size of what the plan means, as S3 has it where S3 has it."""
        if self._s3_failure is None and self._info is not None:
            return self._info.size_bytes
        return self._target.file.expected_size

    def _open_local(self) -> LocalState | None:
        """Open the local file for hashing; where that is not needed, return what it is."""
        try:
            with self._tools.output.folder(self._target.folder) as folder:
                try:
                    descriptor = open_regular_file(self._target.name, folder)
                except PermissionError as error:
                    status = os.stat(self._target.name, dir_fd=folder, follow_symlinks=False)
                    return _unreadable(error, file_identity(status))
        except FileNotFoundError:
            return LocalState(LocalKind.ABSENT)
        except NotAFolderError as error:
            return LocalState(LocalKind.UNUSABLE, error.strerror or str(error))
        except OSError as error:
            return _unreadable(error, None)
        return self._judge_size(descriptor)

    def _judge_size(self, descriptor: int) -> LocalState | None:
        """Keep the open file for hashing, or return what it is without."""
        found = os.fstat(descriptor)
        self._identity = file_identity(found)
        size_bytes = self._expected_size()
        if size_bytes not in {None, found.st_size}:
            os.close(descriptor)
            return LocalState(LocalKind.WRONG, f"{found.st_size} bytes, expected {size_bytes}", self._identity)
        if self._tools.look is Look.THREE_WAY_BY_SIZE:
            os.close(descriptor)
            return LocalState(LocalKind.UNVERIFIED, "its size is right", self._identity)
        self._descriptor = descriptor
        file = self._target.file
        self._ranges = hashed_ranges(Etag.parse(file.expected_etag), found.st_size, file.chunk_size_mb)
        self._digests = [b""] * len(self._ranges)
        return None

    def _looked(self, error: Exception | None) -> Steps:
        if error is not None:
            return self._end_unseen(error)
        if self._descriptor is None:
            return self._judged(self._local)
        works = [functools.partial(self._hash, indices) for indices in hashed_together(len(self._ranges))]
        return Phase(works, self._stop, self._hashed).steps()

    def _hash(self, indices: range) -> None:
        if self._descriptor is None:
            raise ValueError("no local file is open")
        ranges = self._ranges[indices.start : indices.stop]
        self._digests[indices.start : indices.stop] = hash_ranges(self._descriptor, ranges, self._count)

    def _count(self, count: int) -> None:
        if self._stop.is_set():
            raise Interrupted
        self._tools.progress.bytes_verified(count)

    def _hashed(self, error: Exception | None) -> Steps:
        if self._descriptor is not None:
            with suppress(OSError):  # of a file that was only read, it says nothing
                os.close(self._descriptor)
        file = self._target.file
        if isinstance(error, OSError):
            local = _unreadable(error, self._identity)
        elif isinstance(error, WrongSizeError):
            local = LocalState(LocalKind.WRONG, "it became shorter while it was read", self._identity)
        elif error is not None:
            return self._end_unseen(error)
        else:
            multipart = Etag.parse(file.expected_etag).parts is not None
            local = replace(
                judge_local(file, fold_part_digests(self._digests, multipart=multipart)), identity=self._identity
            )
        if local.kind is not LocalKind.RIGHT:
            self._tools.progress.bytes_verified(-sum(end - start for start, end in self._ranges))
        return self._judged(local)

    def _judged(self, local: LocalState | None) -> Steps:
        self._local = local
        if self._tools.look is Look.AS_APPLY or not self._is_to_be_fetched():
            return self._end()
        return Phase([self._ask_for_a_byte], self._stop, self._asked_for_a_byte).steps()

    def _is_to_be_fetched(self) -> bool:
        action = self._action()
        return action in {Action.DOWNLOAD, Action.HEAL} and self._info is not None and self._info.size_bytes > 0

    def _ask_for_a_byte(self) -> None:
        self._tools.fetcher.check_readable(self._target.location)

    def _asked_for_a_byte(self, error: Exception | None) -> Steps:
        if isinstance(error, S3Fault):
            self._s3_failure = error.failure
        elif error is not None:
            return self._end_unseen(error)
        return self._end()

    def _action(self) -> Action | Failure:
        if self._s3_failure is not None:
            return self._s3_failure
        return decide(self._local) if self._local is not None else Failure(FailureKind.INTERRUPTED)

    def _end(self) -> Steps:
        return self._then(
            Verdict(action=self._action(), info=self._info, s3_failure=self._s3_failure, local=self._local)
        )

    def _end_unseen(self, error: Exception) -> Steps:
        """End without having seen all: the run is to stop, or something unforeseen has happened."""
        return self._then(Verdict(action=failure_of(error), info=self._info, s3_failure=self._s3_failure))
