"""Says how a plan, S3 and the local files compare, and what apply would do: in lines, and as JSON for programs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from applier.restore.decide import Action, LocalKind
from applier.restore.preflight import Preflight
from applier.restore.status import FileStatus, S3State, StatusTotals
from kraken_plan.views.as_json import document_with_list
from kraken_plan.views.table import Cell, Column, Paint, Tone, Toned, table_lines
from schemas.text import human_size, printable


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
    def seconds_to_fetch(self) -> int | None:
        """How long it takes to fetch what is missing, at the rate given."""
        return None if self.rate is None else round(StatusTotals.of(self.files).bytes_to_fetch / self.rate)


_COLUMNS = (
    Column("Apply"),
    Column("S3"),
    Column("Local"),
    Column("Size", right=True),
    Column("File"),
    Column("Why"),
)
_UNKNOWN = "?"
_TONES = {
    Action.SKIP: Tone.GOOD,
    Action.VERIFY: Tone.NOTABLE,
    Action.DOWNLOAD: Tone.NOTABLE,
    Action.HEAL: Tone.NOTABLE,
    None: Tone.BAD,
}


def action_word(action: Action | None) -> str:
    """Return what apply would do, in a word; None means that it cannot do anything."""
    return "cannot" if action is None else action.value


def local_word(file: FileStatus) -> str:
    """Return what the local file is, in a word or two."""
    if file.local is None:
        return "not looked at"
    return "staged part" if file.local is LocalKind.ABSENT and file.staged_bytes else file.local.value


def dry_run_line(file: FileStatus) -> str:
    """Return what `apply --dry-run` says of one entry."""
    name = printable(file.entry.name)
    size = f"({human_size(file.size_bytes or 0)})"
    match file.action:
        case None:
            return f"cannot    {name}: {printable(file.detail)}"
        case Action.SKIP:
            return f"skip      {name}: already exists, verified {size}"
        case Action.VERIFY:
            return f"verify    {name}: already exists, not verified {size}"
        case Action.DOWNLOAD:
            return f"download  {name} {size}"
        case Action.HEAL:
            return f"heal      {name}: {printable(file.detail)} {size}"


def status_lines(status: PlanStatus, paint: Paint) -> Iterator[str]:
    """Yield a table with a line for every entry, then the totals."""
    yield from table_lines(_COLUMNS, lambda: map(_row, status.files), paint)
    yield ""
    yield from _summary(status)


def _row(file: FileStatus) -> Sequence[Cell]:
    return (
        Toned(action_word(file.action), _TONES[file.action]),
        _toned(file.s3.value, is_good=file.s3 is S3State.AS_PLANNED),
        _toned(local_word(file), is_good=file.local is LocalKind.RIGHT),
        _UNKNOWN if file.size_bytes is None else human_size(file.size_bytes),
        printable(file.entry.name),
        printable(file.detail),
    )


def _toned(word: str, *, is_good: bool) -> Cell:
    return word if is_good else Toned(word, Tone.NOTABLE)


def _summary(status: PlanStatus) -> Iterator[str]:
    totals = StatusTotals.of(status.files)
    counts = ", ".join(f"{count:,} {action_word(action)}" for action, count in totals.entries.items() if count)
    entries = "1 entry" if len(status.files) == 1 else f"{len(status.files):,} entries"
    condition = ", if what is unverified is right" if totals.entries[Action.VERIFY] else ""
    yield f"{entries}: {counts or 'nothing'}; to be fetched: {human_size(totals.bytes_to_fetch)} at most{condition}"
    if not status.hashed:
        yield "Local files were not read (--no-local-hash): of what is unverified only the size is right"
    for space in status.preflight.spaces:
        yield f"Space: {space} (quotas cannot be seen)"
    if status.rate is not None:
        time = timedelta(seconds=status.seconds_to_fetch or 0)
        yield f"Time: {time} (h:mm:ss) to fetch all of it at {human_size(status.rate)} a second"
    problems = status.preflight.problems()
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
        "apply_would_be_refused": status.preflight.problems(),
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
