"""Looking at one file, S3 first, then the local bytes: what `apply` would do. Changes nothing."""

import errno
import functools
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, replace

from applier.decide import Action, LocalKind, LocalState, decide, judge_encryption, judge_local, judge_s3
from applier.fetch import Fetcher, Interrupted
from applier.folders import FileIdentity, NotAFolderError, OutputFolder, file_identity, open_regular_file
from applier.hashing import WrongSizeError, hash_ranges, hashed_together
from applier.object_store import ObjectInfo, ObjectLocation
from applier.phase import Phase, Steps, failure_of
from applier.progress import Progress
from schemas.etag import Etag, fold_part_digests, hashed_ranges
from schemas.paths import path_below
from schemas.plan import PlannedFile, RawFilePlan
from schemas.results import Failure, FailureKind
from schemas.text import printable

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One file of the plan with the two places it concerns.

    Args:
        file: the plan's entry.
        location: the object on S3.
        destination: the plan's destination_base, relative to the output location.
        folder: the final folder, relative to the output location.
        name: the final name in it.
    """

    file: PlannedFile
    location: ObjectLocation
    destination: str
    folder: str
    name: str

    @classmethod
    def of(cls, raw_file: RawFilePlan, file: PlannedFile, output_location: str) -> "Target":
        """Return the target of a planned file that the plan's rules have accepted."""
        folder, _, name = path_below(raw_file.absolute_dest_path(file), output_location).rpartition("/")
        return cls(
            file=file,
            location=ObjectLocation(
                bucket_name=raw_file.bucket_name or "", key=file.s3_key, version_id=file.version_id
            ),
            destination=path_below(raw_file.destination_base or output_location, output_location),
            folder=folder,
            name=name,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was seen of a file, and hence what is to be done.

    Args:
        action: what is to be done, or why nothing can be.
        info: the object on S3; None where it could not be learnt.
        local: the local file; None where it was not looked at, because S3 had not passed its pre-check.
    """

    action: Action | Failure
    info: ObjectInfo | None = None
    local: LocalState | None = None


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
        output: the output location.
        fetcher: asks S3.
        progress: told the bytes hashed.
        then: goes on with the verdict.
    """

    def __init__(
        self,
        target: Target,
        output: OutputFolder,
        fetcher: Fetcher,
        progress: Progress,
        then: Callable[[Verdict], Steps],
    ) -> None:
        self._target, self._output, self._fetcher, self._progress, self._then = target, output, fetcher, progress, then
        self._info: ObjectInfo | None = None
        self._verdict: Verdict | None = None
        self._descriptor: int | None = None
        self._ranges: list[tuple[int, int]] = []
        self._digests: list[bytes] = []
        self._identity: FileIdentity | None = None

    def start(self) -> Steps:
        """Return the first steps."""
        return Phase([self._look], self._fetcher.stop, self._looked).steps()

    def _look(self) -> None:
        target = self._target
        info = self._fetcher.head(target.location)
        if failure := judge_s3(target.file, info):
            if failure.kind is FailureKind.S3_CORRUPTION:
                failure = judge_encryption(target.file, self._fetcher.encryption(target.location)) or failure
            self._verdict = Verdict(action=failure, info=info)
            return
        logger.info("%s: S3 pre-check passed, etag %s", printable(target.file.relative_path), info.etag)
        self._info = info
        local = self._open_local(info.size_bytes)
        if local is not None:
            self._verdict = Verdict(action=decide(local), info=info, local=local)

    def _open_local(self, size_bytes: int) -> LocalState | None:
        """Open the local file for hashing; where that is not needed, return what it is."""
        try:
            with self._output.folder(self._target.folder) as folder:
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
        found = os.fstat(descriptor)
        self._identity = file_identity(found)
        if found.st_size != size_bytes:
            os.close(descriptor)
            return LocalState(LocalKind.WRONG, f"{found.st_size} bytes, expected {size_bytes}", self._identity)
        self._descriptor = descriptor
        file = self._target.file
        self._ranges = hashed_ranges(Etag.parse(file.expected_etag), size_bytes, file.chunk_size_mb)
        self._digests = [b""] * len(self._ranges)
        return None

    def _looked(self, error: Exception | None) -> Steps:
        if error is not None:
            return self._then(Verdict(action=failure_of(error)))
        if self._verdict is not None:
            return self._then(self._verdict)
        works = [functools.partial(self._hash, indices) for indices in hashed_together(len(self._ranges))]
        return Phase(works, self._fetcher.stop, self._hashed).steps()

    def _hash(self, indices: range) -> None:
        if self._descriptor is None:
            raise ValueError("no local file is open")
        ranges = self._ranges[indices.start : indices.stop]
        self._digests[indices.start : indices.stop] = hash_ranges(self._descriptor, ranges, self._count)

    def _count(self, count: int) -> None:
        if self._fetcher.stop.is_set():
            raise Interrupted
        self._progress.bytes_verified(count)

    def _hashed(self, error: Exception | None) -> Steps:
        if self._descriptor is not None:
            os.close(self._descriptor)
        file = self._target.file
        if isinstance(error, OSError):
            local = _unreadable(error, self._identity)
        elif isinstance(error, WrongSizeError):
            local = LocalState(LocalKind.WRONG, "it became shorter while it was read", self._identity)
        elif error is not None:
            return self._then(Verdict(action=failure_of(error), info=self._info))
        else:
            multipart = Etag.parse(file.expected_etag).parts is not None
            local = replace(
                judge_local(file, fold_part_digests(self._digests, multipart=multipart)), identity=self._identity
            )
        if local.kind is not LocalKind.RIGHT:
            self._progress.bytes_verified(-sum(end - start for start, end in self._ranges))
        return self._then(Verdict(action=decide(local), info=self._info, local=local))
