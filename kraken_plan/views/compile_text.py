"""Sums up for people what compile found, what it could not resolve, and what to know about the rest."""

import shlex
from collections.abc import Iterator, Sequence

from kraken_plan.views.plan_sections import entries_text
from kraken_plan.views.plan_summary import summarize_plan
from planner.backup_status import NO_UPLOAD_PATH
from planner.find_records import FoundRecords, LeftOut
from schemas.plan import Plan, UnresolvedFile
from schemas.text import counted, human_size, printable

_MOST_NAMED = 20
_MOST_NOTES = 10
_NAMES = 300


def compile_summary(plan: Plan, found: FoundRecords, left_out: LeftOut) -> Iterator[str]:
    """Yield what a plan holds, what is noted, and what could not be resolved, line by line."""
    yield from _pasted(found)
    totals = plan.totals()
    yield (
        f"{counted(totals.raw_files, 'raw file')} asked for; to be restored: {counted(totals.files, 'file')}, "
        f"{human_size(totals.size_bytes)}, below {printable(plan.output_location)}"
    )
    yield from _left_out(left_out)
    yield from _notes(plan)
    errors = list(_errors(plan, found))
    if errors:
        yield f"{len(errors):,} could not be resolved:"
        yield from _first(errors)
        yield from _advice(plan, errors)


def written_lines(path: str | None, plan_digest: str | None) -> Iterator[str]:
    """Yield where a plan is now, its digest, and what to type next.

    Args:
        path: of the plan file; None if it went to stdout.
        plan_digest: as it is written.
    """
    if path is None:
        yield f"written to stdout, {plan_digest}"
        return
    name = shlex.quote(path)
    yield f"written to {printable(path)}, {plan_digest}"
    yield f"next: {printable(f'kraken-plan show {name}')}, then {printable(f'kraken-plan apply {name}')}"


def refusal(plan: Plan, found: FoundRecords, left_out: LeftOut) -> Iterator[str]:
    """Yield why nothing of what was asked for can be planned, line by line."""
    yield "nothing of this can be restored, so no plan was written:"
    yield from (f"  {line}" for line in _left_out(left_out))
    errors = list(_errors(plan, found))
    yield from _first(errors)
    yield from (f"  {line}" for line in _advice_on_projects(plan))


def _first(errors: Sequence[tuple[str, str]]) -> Iterator[str]:
    yield from (f"  {name}: {error}" for name, error in errors[:_MOST_NAMED])
    if len(errors) > _MOST_NAMED:
        yield f"  … and {len(errors) - _MOST_NAMED:,} more"


def _errors(plan: Plan, found: FoundRecords) -> Iterator[tuple[str, str]]:
    """Yield what could not be resolved, raw files and files, by name, with its reason; printable."""
    for raw_file in plan.raw_files:
        name = printable(raw_file.raw_file_id, _NAMES)
        if raw_file.error is not None:
            nearest = ", ".join(printable(known, _NAMES) for known in found.nearest.get(raw_file.raw_file_id, ()))
            yield name, printable(raw_file.error) + (f"; nearest: {nearest}" if nearest else "")
        for file in raw_file.files:
            if isinstance(file, UnresolvedFile):
                yield f"{name}: {printable(file.relative_path, _NAMES)}", printable(file.error)


def _advice(plan: Plan, errors: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Yield what can be done about what could not be resolved."""
    yield from _advice_on_projects(plan)
    never_uploaded = sum((raw_file.error or "").startswith(NO_UPLOAD_PATH) for raw_file in plan.raw_files)
    if never_uploaded:
        which = "all" if never_uploaded == len(errors) else f"{never_uploaded:,}"
        yield f"{which} of these were never uploaded: with --backed-up-only they are left out, and apply can end with 0"


def _advice_on_projects(plan: Plan) -> Iterator[str]:
    without = sum(raw_file.error == "RawFile has no project_id" for raw_file in plan.raw_files)
    if without:
        yield f"{counted(without, 'raw file')} without a project: --default-project PRID says where to restore them to"


def _left_out(left_out: LeftOut) -> Iterator[str]:
    if not left_out.count:
        return
    yield f"left out {counted(left_out.count, 'raw file')} that were never uploaded to S3:"
    yield from (f"  {number:,}: {printable(reason)}" for reason, number in left_out.reasons.items())
    more = f" and {left_out.count - len(left_out.first):,} more" if left_out.count > len(left_out.first) else ""
    yield f"  namely {', '.join(printable(name, _NAMES) for name in left_out.first)}{more}"


def _notes(plan: Plan) -> Iterator[str]:
    """Yield what is noted in the plan, a line for each note, the most frequent first."""
    notes = summarize_plan(plan).notes if plan.has_notes() else ()
    for note in notes[:_MOST_NOTES]:
        names = ", ".join(printable(entry.relative_path or entry.raw_file_id, _NAMES) for entry in note.first)
        more = note.raw_files + note.files - len(note.first)
        which = f"{names} and {more:,} more" if more else names
        yield f"note on {entries_text(note.raw_files, note.files)}: {printable(note.reason)} ({which})"
    if len(notes) > _MOST_NOTES:
        yield f"… and {len(notes) - _MOST_NOTES:,} more notes, see the plan"


def _pasted(found: FoundRecords) -> Iterator[str]:
    """Yield which paths were taken for raw files."""
    for path, raw_file_id in found.pasted[:_MOST_NAMED]:
        yield f"{printable(path, _NAMES)} is a path: taken for the raw file {printable(raw_file_id, _NAMES)}"
    if len(found.pasted) > _MOST_NAMED:
        yield f"… and {len(found.pasted) - _MOST_NAMED:,} more paths, likewise"
