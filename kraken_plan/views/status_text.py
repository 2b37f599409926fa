"""Says how a plan, S3 and the local files compare, and what apply would do: in lines, and as JSON for programs."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from applier.look.status import FileStatus, S3State, StatusTotals
from applier.reports.causes import Cause, cause_of
from applier.restore.decide import Action, LocalKind
from applier.restore.preflight import Preflight
from kraken_plan.views.as_json import document_with_list
from kraken_plan.views.table import Cell, Column, Paint, Tone, Toned, table_lines
from schemas.tally import Tally
from schemas.text import counted, human_size, printable


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanStatus:
    """All that was seen of a plan.

    Args:
        plan_digest: the plan's.
        files: every entry, in the plan's order.
        preflight: buckets, destinations, space.
        hashed: whether local files were read, not just their sizes.
        rate: bytes a second that the user expects; None for no estimate of the time, because looking measures no rate.
    """

    plan_digest: str
    files: Sequence[FileStatus]
    preflight: Preflight
    hashed: bool
    rate: int | None

    @property
    def tally(self) -> Tally:
        """The sums of the one vocabulary; what apply would still do is not attempted."""
        return Tally.of_entries((file.fate, file.size_bytes) for file in self.files)

    @property
    def problems(self) -> list[str]:
        """Why apply would be refused as things stand."""
        return self.preflight.problems()

    @property
    def bytes_to_fetch(self) -> int:
        """How much apply would fetch, at most."""
        return StatusTotals.of(self.files).bytes_to_fetch

    @property
    def seconds_to_fetch(self) -> int | None:
        """How long it takes to fetch what is missing, at the rate given."""
        return None if self.rate is None else round(self.bytes_to_fetch / self.rate)


_MOST_NAMED = 20
_UNKNOWN = "?"
_COLUMNS = (
    Column("S3"),
    Column("Local"),
    Column("Size", right=True),
    Column("File"),
    Column("Why"),
)
_TONES = {
    Action.SKIP: Tone.GOOD,
    Action.VERIFY: Tone.NOTABLE,
    Action.DOWNLOAD: Tone.NOTABLE,
    Action.HEAL: Tone.NOTABLE,
    None: Tone.BAD,
}
_TO_DO = {
    Action.VERIFY: "Not read",
    Action.DOWNLOAD: "Not there",
    Action.HEAL: "Not as planned",
}


def action_word(action: Action | None) -> str:
    """Return what apply would do, in a word; None means that it cannot do anything."""
    return "cannot" if action is None else action.value


def local_word(file: FileStatus) -> str:
    """Return what the local file is, in a word or two."""
    if file.local is None:
        return "not looked at"
    return "staged part" if file.local is LocalKind.ABSENT and file.staged_bytes else file.local.value


def status_lines(status: PlanStatus, paint: Paint, *, with_all: bool = False) -> Iterator[str]:
    """Yield what it comes to, then what is not verified, by reason.

    Args:
        status: of a plan.
        paint: colours words.
        with_all: a table of every entry in place of the reasons.
    """
    yield from _summary(status, paint)
    if with_all:
        yield ""
        columns = (Column("Apply"), *_COLUMNS)
        yield from table_lines(columns, lambda: ([_apply(file), *_row(file)] for file in status.files), paint)
        return
    for group in group_by_reason(status.files):
        yield ""
        yield paint(group.title, Tone.BAD if group.is_failure else Tone.HEADING)
        rows = [_row(file) for file in group.files[:_MOST_NAMED]]
        yield from table_lines(_COLUMNS, rows.copy, paint)
        if len(group.files) > len(rows):
            yield f"… and {len(group.files) - len(rows):,} more (--all or --json shows them)"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonGroup:
    """Entries that are not verified for one reason.

    Args:
        words: the reason.
        helps: what helps against it.
        is_failure: whether apply cannot do anything about them.
        files: in the plan's order.
    """

    words: str
    helps: str
    is_failure: bool
    files: Sequence[FileStatus]

    @property
    def title(self) -> str:
        """The reason, how many there are, how large they are, and what helps."""
        return f"{self.words}: {_entries(self.files)}. {self.helps}"


def group_by_reason(files: Iterable[FileStatus]) -> list[ReasonGroup]:
    """Return what is not verified by reason: what apply cannot do anything about first, the most frequent first."""
    failures: dict[Cause, list[FileStatus]] = {}
    to_do: dict[Action, list[FileStatus]] = {action: [] for action in _TO_DO}
    for file in files:
        if file.failure is not None:
            failures.setdefault(cause_of(file.failure.kind), []).append(file)
        elif file.action in to_do:
            to_do[file.action].append(file)
    by_number = sorted(failures.items(), key=lambda item: -len(item[1]))
    cannot = [
        ReasonGroup(words=cause.title, helps=f"Applying again helps: {cause.again}", is_failure=True, files=found)
        for cause, found in by_number
    ]
    can = [
        ReasonGroup(
            words=_TO_DO[action],
            helps=f"Apply would {action.value} {_pronoun(found)}",
            is_failure=False,
            files=found,
        )
        for action, found in to_do.items()
        if found
    ]
    return [*cannot, *can]


def _pronoun(files: Sequence[FileStatus]) -> str:
    return "it" if len(files) == 1 else "them"


def _entries(files: Sequence[FileStatus]) -> str:
    entries = counted(len(files), "entry")
    size_bytes = sum(file.size_bytes or 0 for file in files)
    return f"{entries}, {human_size(size_bytes)}" if size_bytes else entries


def _apply(file: FileStatus) -> Cell:
    return Toned(action_word(file.action), _TONES[file.action])


def _row(file: FileStatus) -> Sequence[Cell]:
    return (
        _toned(file.s3.value, is_good=file.s3 is S3State.AS_PLANNED),
        _toned(local_word(file), is_good=file.local is LocalKind.RIGHT),
        _UNKNOWN if file.size_bytes is None else human_size(file.size_bytes),
        printable(file.entry.name),
        printable(file.detail),
    )


def _toned(word: str, *, is_good: bool) -> Cell:
    return word if is_good else Toned(word, Tone.NOTABLE)


def _summary(status: PlanStatus, paint: Paint) -> Iterator[str]:
    totals = StatusTotals.of(status.files)
    tally = status.tally
    yield paint(tally.describe(), Tone.GOOD if tally.all_verified else Tone.HEADING)
    counts = [f"{count:,} to {action.value}" for action in _TO_DO if (count := totals.entries[action])]
    if counts:
        condition = ", if what is unverified is right" if totals.entries[Action.VERIFY] else ""
        yield f"To do: {', '.join(counts)}; to be fetched: {human_size(totals.bytes_to_fetch)} at most{condition}"
    if not status.hashed:
        yield "Local files were not read (--no-local-hash): of what is unverified only the size is right"
    for space in status.preflight.spaces:
        yield f"Space: {space} (quotas cannot be seen)"
    if status.rate is not None:
        time = timedelta(seconds=status.seconds_to_fetch or 0)
        yield f"Time: {time} (h:mm:ss) to fetch all of it at {human_size(status.rate)} a second"
    problems = status.problems
    if problems:
        yield "As things stand, apply would be refused:"
        yield from (f"  {problem}" for problem in problems)


def status_as_json(status: PlanStatus) -> Iterator[str]:
    """Yield the status of a plan as one JSON document, with each entry on a line of its own."""
    return document_with_list(_status_head(status), "files", map(_file_status, status.files))


def _status_head(status: PlanStatus) -> dict[str, object]:
    totals = StatusTotals.of(status.files)
    return {
        "plan_digest": status.plan_digest,
        "nothing_to_do": totals.nothing_to_do,
        **status.tally.as_record(),
        "local_files_hashed": status.hashed,
        "totals": {action_word(action): count for action, count in totals.entries.items()},
        "bytes_to_fetch": totals.bytes_to_fetch,
        "seconds_to_fetch": status.seconds_to_fetch,
        "file_systems": [
            {
                "path": space.path,
                "missing_bytes": space.missing_bytes,
                "needed_bytes": space.needed_bytes,
                "free_bytes": space.free_bytes,
            }
            for space in status.preflight.spaces
        ],
        "apply_would_be_refused": status.problems,
    }


def _file_status(file: FileStatus) -> dict[str, object]:
    return {
        "raw_file_id": file.entry.raw_file_id,
        "relative_path": file.entry.relative_path,
        "apply": action_word(file.action),
        "s3": file.s3.value,
        "local": local_word(file),
        "size_bytes": file.size_bytes,
        "bytes_to_fetch": file.bytes_to_fetch,
        "why": file.detail or None,
    }
