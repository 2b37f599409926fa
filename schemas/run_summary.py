"""Sums a run up for people and programs: who ran what, how long it took, how the entries ended, and what failed why.

The report, the page, the results file's last line, `--summary`, notifications and metrics are all made of this.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from schemas.results import (
    MD5_BYTES,
    ApplyResult,
    Failure,
    FailureKind,
    FileResult,
    Outcome,
    RawFileResult,
    RunEnd,
    RunHead,
)
from schemas.tally import Tally
from schemas.version import CREATED_BY

SUMMARY_VERSION = "1.0"
EXAMPLES = 3
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"

_SUCCEEDED, _INTERRUPTED_BY = 0, frozenset({129, 130, 143})
_LEFT_OUT = Failure(FailureKind.UNRESOLVED, "Could not be resolved (see the plan)")


class Example(NamedTuple):
    """An entry that is not verified; `relative_path` is None for a raw file as a whole."""

    raw_file_id: str
    relative_path: str | None

    @property
    def name(self) -> str:
        """What people call it: its path, which usually begins with its raw file's name, or else both."""
        path = self.relative_path
        if path is None:
            return self.raw_file_id
        begins_so = path == self.raw_file_id or path.startswith(f"{self.raw_file_id}/")
        return path if begins_so else f"{self.raw_file_id}: {path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Entries that are not verified for one and the same reason.

    Args:
        kind: what kind of fault it is.
        words: the cause in a few words; not printable where the plan names something that is not.
        entries: how many there are.
        again: whether applying the plan again helps, to follow the words "applying again".
        examples: the first of them, `EXAMPLES` at most.
        first: why the first of them is not verified, in full.
    """

    kind: FailureKind
    words: str
    entries: int
    again: str
    examples: tuple[Example, ...]
    first: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """A run, summed up.

    Args:
        head: how it began.
        end: how it ended.
        tally: how the entries of the plan ended.
        causes: why some are not verified, the most frequent first.
    """

    head: RunHead
    end: RunEnd
    tally: Tally
    causes: tuple[Cause, ...]

    @property
    def duration_seconds(self) -> float:
        """From begin to end; 0 where the clock was set back meanwhile."""
        return max(0.0, (self.end.ended_at - self.head.started_at).total_seconds())

    @property
    def fetched_bytes_per_second(self) -> float:
        """The mean rate of the run."""
        return self.end.fetched_bytes / self.duration_seconds if self.duration_seconds else 0.0

    @property
    def is_interrupted(self) -> bool:
        """Whether a signal ended the run."""
        return self.end.exit_code in _INTERRUPTED_BY

    @property
    def succeeded(self) -> bool:
        """Whether every entry is verified and nothing else went wrong, as far as it is known."""
        return self.tally.all_verified and self.end.exit_code in {None, _SUCCEEDED}

    def as_record(self) -> dict[str, object]:
        """Return the summary for JSON; the names in it stay as they are, and more may be added."""
        return {
            "run_summary": SUMMARY_VERSION,
            "plan_digest": self.head.plan_digest,
            "output_location": self.head.output_location,
            "started_at": self.head.started_at.strftime(TIME_FORMAT),
            "ended_at": self.end.ended_at.strftime(TIME_FORMAT),
            "duration_seconds": round(self.duration_seconds, 3),
            "host": self.head.host,
            "user": self.head.user,
            "options": list(self.head.options),
            "approvals": list(self.head.approvals),
            "written_by": CREATED_BY,
            "exit_code": self.end.exit_code,
            "succeeded": self.succeeded,
            "interrupted": self.is_interrupted,
            **self.tally.as_record(),
            "fetched_bytes": self.end.fetched_bytes,
            "causes": [_cause_record(cause) for cause in self.causes],
            "reports": list(self.end.reports),
        }


def _cause_record(cause: Cause) -> dict[str, object]:
    return {
        "kind": cause.kind.name.lower(),
        "cause": cause.words,
        "entries": cause.entries,
        "applying_again": cause.again,
        "first": cause.first,
        "examples": [example.name for example in cause.examples],
    }


def summarize_run(result: ApplyResult, head: RunHead, end: RunEnd) -> RunSummary:
    """Sum up a run, or several runs over one plan that were merged."""
    return RunSummary(head=head, end=end, tally=Tally.of(result), causes=find_causes(result.raw_files))


def count_fetched_bytes(result: ApplyResult) -> int:
    """Return how much of what a run restored came from S3, and not from parts that were right already."""
    return sum(map(_fetched_bytes, result.files()))


def _fetched_bytes(file: FileResult) -> int:
    if file.outcome not in {Outcome.DOWNLOADED, Outcome.HEALED}:
        return 0
    size_bytes, parts = file.size_bytes or 0, len(file.part_md5s) // MD5_BYTES
    if file.fetched_parts is None or not parts:
        return size_bytes
    return size_bytes * min(file.fetched_parts, parts) // parts


def find_causes(raw_files: Iterable[RawFileResult]) -> tuple[Cause, ...]:
    """Return why entries are not verified, the most frequent cause first; their sum is that of the tally."""
    found: dict[tuple[FailureKind, str], _Gathered] = {}
    for example, failure, entries in _unverified(raw_files):
        gathered = found.setdefault((failure.kind, explain_cause(failure)), _Gathered(failure))
        gathered.entries += entries
        if len(gathered.examples) < EXAMPLES:
            gathered.examples.append(example)
    causes = (
        Cause(
            kind=kind,
            words=words,
            entries=gathered.entries,
            again=explain_again(kind),
            examples=tuple(gathered.examples),
            first=gathered.first.message,
        )
        for (kind, words), gathered in found.items()
    )
    return tuple(sorted(causes, key=lambda cause: -cause.entries))


@dataclass(slots=True)
class _Gathered:
    """What was found of one cause so far."""

    first: Failure
    entries: int = 0
    examples: list[Example] = field(default_factory=list)


def _unverified(raw_files: Iterable[RawFileResult]) -> Iterator[tuple[Example, Failure, int]]:
    """Yield each entry that is not verified, why, and for how many it stands: a raw file may fail as a whole."""
    for raw_file in raw_files:
        if (failure := raw_file.failure) is not None:
            whole = Example(raw_file.raw_file_id, None)
            if failure.kind is FailureKind.UNRESOLVED:
                yield whole, failure, 1
                continue
            if files := raw_file.planned_files - raw_file.unresolved_files:
                yield whole, failure, files
            if raw_file.unresolved_files:
                yield whole, _LEFT_OUT, raw_file.unresolved_files
        for file in raw_file.files:
            if file.failure is not None:
                yield Example(raw_file.raw_file_id, file.relative_path), file.failure, 1


def explain_cause(failure: Failure) -> str:
    """Return the cause of a failure in a few words, the same for all failures of that cause."""
    match failure.kind:
        case FailureKind.UNRESOLVED:
            return failure.detail
        case FailureKind.ARCHIVED:
            return "Archived on S3"
        case FailureKind.THAWING:
            return "S3 is restoring it from an archive"
        case FailureKind.CONFLICT:
            return "Conflicts with another file"
        case FailureKind.INTERRUPTED | FailureKind.NOT_ATTEMPTED:
            return str(failure.kind.value)
        case _:
            return failure.kind.words_around[0].rstrip(" (:")


def explain_again(kind: FailureKind) -> str:
    """Return whether applying a plan again helps against a kind of failure, to follow the words "applying again"."""
    return _AGAIN[kind]


_AGAIN = {
    FailureKind.TIMEOUT: "helps",
    FailureKind.INTERRUPTED: "helps",
    FailureKind.NOT_ATTEMPTED: "helps",
    FailureKind.NOT_AS_RESTORED: "helps",
    FailureKind.VERIFICATION: "may help",
    FailureKind.UNFORESEEN: "may help",
    FailureKind.NETWORK: "helps when S3 can be reached",
    FailureKind.DISK_FULL: "helps when there is room",
    FailureKind.CANNOT_WRITE: "helps when the place can be written to",
    FailureKind.ACCESS_DENIED: "helps with other credentials",
    FailureKind.BUCKET_MISSING: "helps with the right S3 (--endpoint-url, --region, --profile)",
    FailureKind.KEY_NOT_FOUND: "helps if the key appears on S3, or with --recover-versions",
    FailureKind.OVERWRITTEN: "helps with --recover-versions",
    FailureKind.OTHER_PARTS: "helps with --accept-other-parts",
    FailureKind.NOT_VERIFIABLE: "may help with --accept-md5",
    FailureKind.ARCHIVED: "helps when S3 has restored it, which `kraken-plan thaw` asks for",
    FailureKind.THAWING: "helps when S3 is ready, for which --wait-for-thaw waits",
    FailureKind.CONFLICT: "does not help: restore one of them elsewhere (select, --output-root DIR)",
    FailureKind.S3_CORRUPTION: "does not help until S3 or the catalog is put right",
    FailureKind.UNRESOLVED: "does not help: compile the plan anew when the reason is gone",
}
