"""What a look at a plan comes to: of each file what S3 and the local file are, hence what apply would do. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from applier.restore.check_file import Verdict
from applier.restore.decide import LocalKind
from schemas.plan import Plan, PlannedFile, RawFilePlan, UnresolvedFile
from schemas.results import Failure, FailureKind


class S3State(Enum):
    """What the object on S3 is, held against the plan."""

    AS_PLANNED = "as planned"
    DIFFERS = "differs"
    MISSING = "missing"
    ARCHIVED = "archived"
    DENIED = "denied"
    UNREACHABLE = "unreachable"
    NOT_ASKED = "not asked"


class LocalFile(Enum):
    """What stands at the destination, held against the plan: a `LocalKind`, and what only people want to know."""

    RIGHT = "right"
    WRONG = "wrong"
    ABSENT = "absent"
    STAGED_PART = "staged part"
    UNVERIFIED = "unverified"
    UNREADABLE = "unreadable"
    UNUSABLE = "unusable"
    NOT_LOOKED_AT = "not looked at"


class WouldDo(Enum):
    """What apply would do with a file: an `Action`, or nothing that helps."""

    SKIP = "skip"
    VERIFY = "verify"
    DOWNLOAD = "download"
    HEAL = "heal"
    CANNOT = "cannot"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileStatus:
    """What was seen of one entry of a plan.

    Args:
        raw_file_id: its raw file.
        relative_path: as in the plan; None of a raw file that could not be resolved as a whole.
        s3: the object.
        local: the local file.
        would_do: what apply would do.
        detail: why, where there is more to say.
        size_bytes: of the object or of the plan's entry; None where neither is known.
        bytes_to_fetch: what apply would fetch, at most.
    """

    raw_file_id: str
    relative_path: str | None
    s3: S3State = S3State.NOT_ASKED
    local: LocalFile = LocalFile.NOT_LOOKED_AT
    would_do: WouldDo = WouldDo.CANNOT
    detail: str = ""
    size_bytes: int | None = None
    bytes_to_fetch: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Files by what apply would do, and bytes to fetch; entries that share a destination count each."""

    files: Mapping[WouldDo, int]
    bytes_to_fetch: int

    @classmethod
    def of(cls, files: Iterable[FileStatus]) -> "Totals":
        """Add up."""
        counts: Counter[WouldDo] = Counter()
        bytes_to_fetch = 0
        for file in files:
            counts[file.would_do] += 1
            bytes_to_fetch += file.bytes_to_fetch
        return cls(files={would_do: counts[would_do] for would_do in WouldDo}, bytes_to_fetch=bytes_to_fetch)

    @property
    def nothing_to_do(self) -> bool:
        """Whether every entry is right already, as far as was looked."""
        return not any(self.files[would_do] for would_do in (WouldDo.DOWNLOAD, WouldDo.HEAL, WouldDo.CANNOT))


def file_statuses(plan: Plan, verdicts: Mapping[int, Verdict], staged_bytes: Mapping[int, int]) -> Iterator[FileStatus]:
    """Yield the status of every entry, in the plan's order.

    Args:
        plan: what was looked at.
        verdicts: by place among `plan.planned_files()`; what has none was not looked at.
        staged_bytes: what interrupted runs have staged, by the same places.
    """
    place = 0
    for raw_file in plan.raw_files:
        if raw_file.error is not None:
            yield FileStatus(raw_file_id=raw_file.raw_file_id, relative_path=None, detail=raw_file.error)
            continue
        for file in raw_file.files:
            if isinstance(file, UnresolvedFile):
                yield _unresolved(raw_file, file)
            else:
                yield _status(raw_file, file, verdicts.get(place), staged_bytes.get(place, 0))
                place += 1


def _unresolved(raw_file: RawFilePlan, file: UnresolvedFile) -> FileStatus:
    return FileStatus(
        raw_file_id=raw_file.raw_file_id,
        relative_path=file.relative_path,
        detail=file.error,
        size_bytes=file.expected_size,
    )


def _status(raw_file: RawFilePlan, file: PlannedFile, verdict: Verdict | None, staged_bytes: int) -> FileStatus:
    verdict = verdict or Verdict(action=Failure(FailureKind.INTERRUPTED))
    size_bytes = verdict.source.info.size_bytes if verdict.source else file.expected_size
    would_do = WouldDo.CANNOT if isinstance(verdict.action, Failure) else WouldDo(verdict.action.value)
    to_be_fetched = would_do in {WouldDo.DOWNLOAD, WouldDo.HEAL}
    return FileStatus(
        raw_file_id=raw_file.raw_file_id,
        relative_path=file.relative_path,
        s3=_s3_state(verdict),
        local=_local_file(verdict, staged_bytes),
        would_do=would_do,
        detail=_detail(verdict),
        size_bytes=size_bytes,
        bytes_to_fetch=max(0, (size_bytes or 0) - staged_bytes) if to_be_fetched else 0,
    )


_S3_STATES = {
    FailureKind.S3_CORRUPTION: S3State.DIFFERS,
    FailureKind.OVERWRITTEN: S3State.DIFFERS,
    FailureKind.OTHER_PARTS: S3State.DIFFERS,
    FailureKind.NOT_VERIFIABLE: S3State.DIFFERS,
    FailureKind.KEY_NOT_FOUND: S3State.MISSING,
    FailureKind.BUCKET_MISSING: S3State.MISSING,
    FailureKind.ARCHIVED: S3State.ARCHIVED,
    FailureKind.ACCESS_DENIED: S3State.DENIED,
    FailureKind.NETWORK: S3State.UNREACHABLE,
    FailureKind.TIMEOUT: S3State.UNREACHABLE,
}


def _s3_state(verdict: Verdict) -> S3State:
    if verdict.s3_failure is not None:
        return _S3_STATES.get(verdict.s3_failure.kind, S3State.NOT_ASKED)
    return S3State.AS_PLANNED if verdict.source is not None else S3State.NOT_ASKED


def _local_file(verdict: Verdict, staged_bytes: int) -> LocalFile:
    if verdict.local is None:
        return LocalFile.NOT_LOOKED_AT
    if verdict.local.kind is LocalKind.ABSENT and staged_bytes:
        return LocalFile.STAGED_PART
    return LocalFile(verdict.local.kind.value)


def _detail(verdict: Verdict) -> str:
    """Say why nothing can be done, or how the local file is wrong; both where both are so."""
    reasons = [verdict.action.message] if isinstance(verdict.action, Failure) else []
    if verdict.local is not None and verdict.local.kind in {LocalKind.WRONG, LocalKind.UNREADABLE}:
        reasons.append(f"local file: {verdict.local.detail}" if reasons else verdict.local.detail)
    return "; ".join(reasons)
