"""The status of every file: what S3 has, what is on disk, and what apply would do about it. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from applier.restore.check_file import Verdict
from applier.restore.decide import Action, LocalKind
from schemas.plan import Plan, PlannedFile, RawFilePlan, UnresolvedFile
from schemas.results import Failure, FailureKind
from schemas.tally import Fate, fate_of_failure


class S3State(Enum):
    """How the object on S3 compares with the plan."""

    AS_PLANNED = "as planned"
    DIFFERS = "differs"
    MISSING = "missing"
    ARCHIVED = "archived"
    THAWING = "thawing"  # archived, and its restore is under way
    DENIED = "denied"
    UNREACHABLE = "unreachable"
    NOT_ASKED = "not asked"


class Entry(NamedTuple):
    """One entry of a plan: a file, or a raw file that could not be resolved as a whole, without a relative path."""

    raw_file_id: str
    relative_path: str | None

    @property
    def name(self) -> str:
        """What people call it."""
        return self.raw_file_id if self.relative_path is None else self.relative_path


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was seen of one file, and nothing of how: there is one of these for each file of a large plan.

    Args:
        s3: the object on S3.
        local: the local file; None where it was not looked at.
        decision: what apply would do, or why it cannot do anything.
        detail: why, where there is more to say.
        size_bytes: None where it is not known.
    """

    s3: S3State = S3State.NOT_ASKED
    local: LocalKind | None = None
    decision: Action | Failure
    detail: str = ""
    size_bytes: int | None = None

    @classmethod
    def of(cls, verdict: Verdict) -> "Seen":
        """Return what a verdict comes to."""
        return cls(
            s3=_s3_state(verdict),
            local=None if verdict.local is None else verdict.local.kind,
            decision=verdict.action,
            detail=_detail(verdict),
            size_bytes=None if verdict.source is None else verdict.source.info.size_bytes,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FileStatus(Seen):
    """What was seen of one entry of a plan; its size is that of the object, else of the plan.

    Args:
        entry: the entry.
        staged_bytes: what an interrupted run has staged of it.
    """

    entry: Entry
    staged_bytes: int = 0

    @property
    def action(self) -> Action | None:
        """What apply would do; None where it cannot do anything."""
        return None if isinstance(self.decision, Failure) else self.decision

    @property
    def failure(self) -> Failure | None:
        """Why apply cannot do anything; None where it can."""
        return self.decision if isinstance(self.decision, Failure) else None

    @property
    def fate(self) -> Fate:
        """What has become of the entry so far: what apply would still do is not attempted yet."""
        if isinstance(self.decision, Failure):
            return fate_of_failure(self.decision.kind)
        return Fate.ALREADY_RIGHT if self.decision is Action.SKIP else Fate.NOT_ATTEMPTED

    @property
    def bytes_to_fetch(self) -> int:
        """How much apply would fetch, at most."""
        if self.action not in {Action.DOWNLOAD, Action.HEAL}:
            return 0
        return max(0, (self.size_bytes or 0) - self.staged_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusTotals:
    """Entries by what apply would do (None: it cannot do anything), and bytes to fetch.

    Entries that share a destination count each.
    """

    entries: Mapping[Action | None, int]
    bytes_to_fetch: int

    @classmethod
    def of(cls, files: Iterable[FileStatus]) -> "StatusTotals":
        """Add up."""
        counts: Counter[Action | None] = Counter()
        bytes_to_fetch = 0
        for file in files:
            counts[file.action] += 1
            bytes_to_fetch += file.bytes_to_fetch
        return cls(entries={action: counts[action] for action in (*Action, None)}, bytes_to_fetch=bytes_to_fetch)

    @property
    def nothing_to_do(self) -> bool:
        """Whether every entry is right already, as far as was looked."""
        return not any(self.entries[action] for action in (Action.DOWNLOAD, Action.HEAL, None))


def file_statuses(plan: Plan, seen: Mapping[int, Seen], staged_bytes: Mapping[int, int]) -> Iterator[FileStatus]:
    """Yield the status of every entry, in the plan's order.

    Args:
        plan: what was looked at.
        seen: by place among `plan.planned_files()`; a file without one was not looked at.
        staged_bytes: what interrupted runs have staged, by the same places.
    """
    place = 0
    for raw_file in plan.raw_files:
        if raw_file.error is not None:
            yield _unresolved(Entry(raw_file.raw_file_id, None), raw_file.error, None)
            continue
        for file in raw_file.files:
            if isinstance(file, UnresolvedFile):
                yield _unresolved(Entry(raw_file.raw_file_id, file.relative_path), file.error, file.expected_size)
            else:
                yield _status(raw_file, file, seen.get(place, _NOT_REACHED), staged_bytes.get(place, 0))
                place += 1


def _unresolved(entry: Entry, error: str, size_bytes: int | None) -> FileStatus:
    failure = Failure(FailureKind.UNRESOLVED, error)
    return FileStatus(entry=entry, decision=failure, detail=error, size_bytes=size_bytes)


def _status(raw_file: RawFilePlan, file: PlannedFile, seen: Seen, staged_bytes: int) -> FileStatus:
    return FileStatus(
        entry=Entry(raw_file.raw_file_id, file.relative_path),
        s3=seen.s3,
        local=seen.local,
        decision=seen.decision,
        detail=seen.detail,
        size_bytes=file.expected_size if seen.size_bytes is None else seen.size_bytes,
        staged_bytes=staged_bytes,
    )


_S3_STATES = {
    FailureKind.S3_CORRUPTION: S3State.DIFFERS,
    FailureKind.OVERWRITTEN: S3State.DIFFERS,
    FailureKind.OTHER_PARTS: S3State.DIFFERS,
    FailureKind.NOT_VERIFIABLE: S3State.DIFFERS,
    FailureKind.KEY_NOT_FOUND: S3State.MISSING,
    FailureKind.DELETED: S3State.MISSING,
    FailureKind.BUCKET_MISSING: S3State.MISSING,
    FailureKind.ARCHIVED: S3State.ARCHIVED,
    FailureKind.THAWING: S3State.THAWING,
    FailureKind.ACCESS_DENIED: S3State.DENIED,
    FailureKind.NETWORK: S3State.UNREACHABLE,
    FailureKind.TIMEOUT: S3State.UNREACHABLE,
}


def _s3_state(verdict: Verdict) -> S3State:
    if verdict.s3_failure is not None:
        return _S3_STATES.get(verdict.s3_failure.kind, S3State.NOT_ASKED)
    return S3State.AS_PLANNED if verdict.source is not None else S3State.NOT_ASKED


def _detail(verdict: Verdict) -> str:
    """Say why nothing can be done, how the local file is wrong, or both."""
    reasons = [verdict.action.message] if isinstance(verdict.action, Failure) else []
    if verdict.local is not None and verdict.local.kind in {LocalKind.WRONG, LocalKind.UNREADABLE}:
        reasons.append(f"local file: {verdict.local.detail}" if reasons else verdict.local.detail)
    return "; ".join(reasons)


_NOT_REACHED = Seen.of(Verdict(action=Failure(FailureKind.INTERRUPTED)))
