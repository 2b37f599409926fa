"""Defines results as values: what became of each entry of a plan, from a single file up to a whole run.

A result only records. Reports, results files and exit codes are made out of it elsewhere.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from schemas.plan import RawFilePlan
from schemas.text import printable

MD5_BYTES = 16
_INTERRUPTED_BY = frozenset({129, 130, 143})  # exit codes: 128 + SIGHUP, SIGINT, SIGTERM


class Outcome(Enum):
    """What became of a file."""

    DOWNLOADED = "downloaded"
    SKIPPED = "skipped"
    HEALED = "healed"
    FAILED = "failed"

    @property
    def succeeded(self) -> bool:
        """Whether the file under its final name is now what the plan says."""
        return self is not Outcome.FAILED


class FailureKind(Enum):
    """Why a file or raw file failed; the value is the report's wording around the detail."""

    UNRESOLVED = "{}"
    S3_CORRUPTION = "S3 corruption detected ({})"
    OVERWRITTEN = "S3 object was overwritten ({})"
    OTHER_PARTS = "S3 object has other parts ({})"
    VERIFICATION = "Download verification failed ({})"
    KEY_NOT_FOUND = "S3 key not found: {}"
    # and an older version has the planned etag; `{0}`, or it would be the kind before
    DELETED = "S3 key not found: {0}"
    BUCKET_MISSING = "S3 bucket does not exist: {}"
    ACCESS_DENIED = "Access denied: {}"
    ARCHIVED = "Archived in {}"
    THAWING = "Archived in {0}"  # being restored: the same words, in another form, or the two would be one member
    NETWORK = "Network error: {}"
    TIMEOUT = "Timed out: {}"
    DISK_FULL = "Disk full: {}"
    CANNOT_WRITE = "Cannot write: {}"
    CONFLICT = "Conflicts with {}"
    NOT_VERIFIABLE = "Not verifiable: {}"
    INTERRUPTED = "Not attempted (interrupted)"
    NOT_ATTEMPTED = "Not attempted"
    NOT_AS_RESTORED = "Not as restored: {}"
    NOT_AS_PLANNED = "Not as planned: {}"
    UNFORESEEN = "Unforeseen error: {}"

    @property
    def words_around(self) -> tuple[str, str]:
        """The words before and after the detail."""
        before, _, after = self.value.replace("{0}", "{}").partition("{}")
        return before, after


@dataclass(frozen=True, slots=True)
class Failure:
    """One reason why something failed.

    Args:
        kind: what kind of fault it is.
        detail: what was expected, what was found and, where it helps, what to do; one line, already printable.
    """

    kind: FailureKind
    detail: str = ""

    @property
    def message(self) -> str:
        """The whole reason in the report's words."""
        return self.kind.value.format(printable(self.detail))


@dataclass(frozen=True, slots=True, kw_only=True)
class FileResult:
    """How one file of a plan ended.

    Args:
        relative_path: as in the plan.
        outcome: how it ended; FAILED exactly if there is a failure.
        failure: why, if it failed.
        size_bytes: the file's size; None if it never became known.
        duration_seconds: from its start to its end.
        corrupt_copy: the name under which the corrupt bytes were kept, if they were.
        remark: how a file that succeeded was not simply what the plan names: from which version, by which proof.
        part_md5s: the binary MD5s of a verified file's parts, 16 bytes each; empty where it has one part.
        fetched_parts: how many parts of a downloaded or healed file had to be fetched; None where it is not known.
        retries: how many requests for it had to be repeated.
    """

    relative_path: str
    outcome: Outcome
    failure: Failure | None = None
    size_bytes: int | None = None
    duration_seconds: float = 0.0
    corrupt_copy: str | None = None
    remark: str | None = None
    part_md5s: bytes = b""
    fetched_parts: int | None = None
    retries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RawFileResult:
    """How one raw file of a plan ended: as a whole in `failure`, or file by file.

    Args:
        raw_file_id: as in the plan.
        project_id: likewise.
        destination_base: likewise.
        bucket_name: likewise.
        planned_files: how many files the plan has for it, whether they were tried or not.
        files: file by file; empty where it failed as a whole.
        failure: why, if it failed as a whole.
        notes: the plan's.
        planned_bytes: of those files that the plan could resolve, as far as their sizes are known.
        unresolved_files: how many of its files the plan could not resolve.
        unresolved_bytes: of these, as far as their sizes are known.
    """

    raw_file_id: str
    project_id: str | None
    destination_base: str | None
    bucket_name: str | None
    planned_files: int
    files: tuple[FileResult, ...] = ()
    failure: Failure | None = None
    notes: tuple[str, ...] = ()
    planned_bytes: int = 0
    unresolved_files: int = 0
    unresolved_bytes: int = 0

    @classmethod
    def of(cls, raw_file: RawFilePlan, files: Iterable[FileResult], failure: Failure | None) -> "RawFileResult":
        """Return how a raw file of a plan ended; if it failed as a whole, its files are left out."""
        totals = raw_file.totals()
        return cls(
            raw_file_id=raw_file.raw_file_id,
            project_id=raw_file.project_id,
            destination_base=raw_file.destination_base,
            bucket_name=raw_file.bucket_name,
            planned_files=len(raw_file.files),
            files=() if failure else tuple(files),
            failure=failure,
            notes=raw_file.notes,
            planned_bytes=totals.size_bytes,
            unresolved_files=totals.skipped_files,
            unresolved_bytes=totals.skipped_bytes,
        )

    @property
    def succeeded(self) -> bool:
        """Whether every file of it is now what the plan says."""
        return self.failure is None and all(file.outcome.succeeded for file in self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyResult:
    """How one run over a plan ended; raw files and files in the plan's order."""

    plan_digest: str
    output_location: str
    raw_files: tuple[RawFileResult, ...]

    @property
    def succeeded(self) -> bool:
        """Whether everything that the plan names is now as it says."""
        return all(raw_file.succeeded for raw_file in self.raw_files)

    def files(self) -> Iterator[FileResult]:
        """Yield every file's result."""
        for raw_file in self.raw_files:
            yield from raw_file.files

    def by_destination(self) -> dict[str, list[RawFileResult]]:
        """Return the raw files by the folder whose report they belong to.

        Raw files without a destination belong to the output location's.
        """
        groups: dict[str, list[RawFileResult]] = {}
        for raw_file in self.raw_files:
            groups.setdefault(raw_file.destination_base or self.output_location, []).append(raw_file)
        return groups


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHead:
    """How a run began.

    Args:
        plan_digest: of the plan that it applied.
        output_location: where to.
        started_at: UTC, by the clock of its host.
        host: the name of its computer.
        user: who ran it.
        options: what command line, environment and site YAML asked for, as `--jobs 16`.
        approvals: who has approved the plan, where that was asked for.
    """

    plan_digest: str
    output_location: str
    started_at: datetime
    host: str | None = None
    user: str | None = None
    options: tuple[str, ...] = ()
    approvals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnd:
    """How a run ended.

    Args:
        ended_at: UTC, by the clock of its host.
        exit_code: what it left with; None if it was not known yet.
        fetched_bytes: how much it fetched from S3, as far as its results tell.
        reports: absolute paths of the reports that it wrote.
    """

    ended_at: datetime
    exit_code: int | None = None
    fetched_bytes: int = 0
    reports: tuple[str, ...] = ()

    @property
    def is_interrupted(self) -> bool:
        """Whether a signal ended the run."""
        return self.exit_code in _INTERRUPTED_BY

    def duration_seconds(self, head: RunHead) -> float:
        """Return how long the run that began so took; 0 where the clock was set back meanwhile."""
        return max(0.0, (self.ended_at - head.started_at).total_seconds())

    def fetched_bytes_per_second(self, head: RunHead) -> float:
        """Return the mean rate of the run that began so; 0 where it took no time."""
        seconds = self.duration_seconds(head)
        return self.fetched_bytes / seconds if seconds else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedFile:
    """What a run reported of one file, and which bytes at which place it means."""

    raw_file_id: str
    absolute_dest_path: str | None
    expected_etag: str | None
    chunk_size_mb: int | None
    result: FileResult


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRawFile:
    """Why a raw file failed as a whole in a run."""

    raw_file_id: str
    destination_base: str | None
    failure: Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRun:
    """What one run wrote.

    Args:
        name: what messages call it.
        head: how it began.
        lines: how its files ended.
        end: how it ended itself; None if it was killed.
    """

    name: str
    head: RunHead
    lines: tuple[RecordedFile | RecordedRawFile, ...] = ()
    end: RunEnd | None = None
