"""Says in lines what differs between two plans."""

from collections.abc import Iterator
from dataclasses import dataclass

from kraken_plan.views.plan_sections import notes_text
from kraken_plan.views.table import Paint, Tone
from planner.plan_diff import Change, DiffKind, FileDiff, PlanDiff, RawFileDiff, Value
from schemas.plan import Plan, PlannedFile
from schemas.text import counted, human_size, printable

_SIGNS = {DiffKind.ADDED: "+", DiffKind.REMOVED: "-", DiffKind.CHANGED: "~"}
_TONES = {DiffKind.ADDED: Tone.GOOD, DiffKind.REMOVED: Tone.BAD, DiffKind.CHANGED: Tone.NOTABLE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One of the plans, by the name that the user gave it."""

    name: str
    plan: Plan


def diff_lines(diff: PlanDiff, old: Compared, new: Compared, paint: Paint, *, with_files: bool) -> Iterator[str]:
    """Yield all that differs, then the totals; nothing if nothing differs.

    Args:
        diff: what differs.
        old: the older plan.
        new: the newer plan.
        paint: colours words.
        with_files: also name each file of a raw file that was added or removed as a whole.
    """
    if diff.is_empty:
        return
    yield paint(f"--- {printable(old.name)}  {old.plan.plan_digest or '(no plan)'}", Tone.HEADING)
    yield paint(f"+++ {printable(new.name)}  {new.plan.plan_digest or '(no plan)'}", Tone.HEADING)
    for change in diff.changes:
        yield paint(f"~ {change_text(change)}", Tone.NOTABLE)
    for raw_file in diff.raw_files:
        yield from _raw_file_lines(raw_file, paint, with_files=with_files)
    yield ""
    for kind in DiffKind:
        totals = diff.totals(kind)
        counts = f"{counted(totals.raw_files, 'raw file')}, {counted(totals.files, 'file')}"
        yield f"{kind.value}: {counts}, {counted(totals.size_bytes, 'byte')} ({human_size(totals.size_bytes)})"


def _raw_file_lines(raw_file: RawFileDiff, paint: Paint, *, with_files: bool) -> Iterator[str]:
    yield paint(f"{_SIGNS[raw_file.kind]} {printable(raw_file.raw_file_id)}{_whole(raw_file)}", _TONES[raw_file.kind])
    yield from (f"    {change_text(change)}" for change in raw_file.changes)
    if raw_file.kind is not DiffKind.CHANGED and not with_files:
        return
    moved = 0
    for file in raw_file.files:
        if _only_moves_along(file, raw_file):
            moved += 1
            continue
        size = f" ({counted(file.size_bytes, 'byte')})" if file.kind is not DiffKind.CHANGED else ""
        yield paint(f"  {_SIGNS[file.kind]} {printable(file.relative_path)}{size}", _TONES[file.kind])
        yield from (f"      {change_text(change)}" for change in file.changes)
    if moved:
        yield f"  {counted(moved, 'file')} with nothing else changed"


def _whole(raw_file: RawFileDiff) -> str:
    """Describe a raw file that is in only one of the plans."""
    one = raw_file.new if raw_file.old is None else raw_file.old
    if raw_file.kind is DiffKind.CHANGED or one is None:
        return ""
    note = f" (note: {notes_text(one.notes)})" if one.notes else ""
    if one.error is not None:
        return f": error: {printable(one.error)}{note}"
    size_bytes = sum(file.size_bytes for file in raw_file.files)
    place = printable(one.destination_base or "-")
    return f": {counted(len(one.files), 'file')}, {human_size(size_bytes)}, at {place}{note}"


def _only_moves_along(file: FileDiff, raw_file: RawFileDiff) -> bool:
    """Tell whether everything that changes about a file was already said of its raw file."""
    said = {change.name for change in raw_file.changes}
    new = {"destination_base": "absolute_dest_path"}
    follows = {new.get(name, name) for name in said & {"destination_base", "bucket_name"}}
    return (
        isinstance(file.old, PlannedFile)
        and isinstance(file.new, PlannedFile)
        and {change.name for change in file.changes} <= follows
    )


def change_text(change: Change) -> str:
    """Return a change in words."""
    if change.name == "error" and change.old is None:
        return f"error appeared: {_value(change.new)}"
    if change.name == "error" and change.new is None:
        return f"error gone: {_value(change.old)}"
    return f"{change.name}: {_value(change.old)} -> {_value(change.new)}"


def _value(value: Value) -> str:
    match value:
        case None:
            return "null"
        case int():
            return f"{value:,}"
        case str():
            return printable(value)
