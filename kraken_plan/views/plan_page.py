"""Builds the page that shows a plan and, if it was applied, what happened to each file."""

from collections.abc import Iterator, Sequence
from typing import assert_never

from kraken_plan.views.page import BigTable, Figure, Group, Page, Row, State
from kraken_plan.views.plan_sections import (
    IN_PART,
    SKIPPED,
    TO_RESTORE,
    entries_text,
    file_error,
    name_of,
    notes_text,
    plan_facts,
    plan_sections,
    raw_file_remark,
    raw_file_state,
    skipped_text,
)
from kraken_plan.views.plan_summary import PlanSummary, summarize_plan
from kraken_plan.views.run_facts import run_facts
from kraken_plan.views.table import Tone, Toned
from schemas.plan import Plan, PlannedFile, PlanTotals, RawFilePlan, UnresolvedFile
from schemas.results import ApplyResult, FileResult, Outcome, RawFileResult, RecordedRun
from schemas.text import counted, human_size, printable

_PLAN_STATES = {
    SKIPPED: State(words=SKIPPED, mark="✗", weighs=False),
    IN_PART: State(words=IN_PART, mark="!"),
    TO_RESTORE: State(words=TO_RESTORE, mark="✓"),
}
_FAILED = State(words=Toned("failed", Tone.BAD), mark="✗", weighs=False)
_HEALED = State(words=Toned("healed", Tone.NOTABLE), mark="!")
_DOWNLOADED = State(words=Toned("downloaded", Tone.GOOD), mark="✓")
_ALREADY_RIGHT = State(words=Toned("already right", Tone.GOOD), mark="✓")
_RESULT_STATES = (_FAILED, _PLAN_STATES[IN_PART], _HEALED, _DOWNLOADED, _ALREADY_RIGHT)


def plan_page(plan: Plan, name: str, result: ApplyResult | None = None, runs: Sequence[RecordedRun] = ()) -> Page:
    """Return the page of a plan.

    Args:
        plan: the plan.
        name: how the user named it.
        result: how an apply of it ended; without one, the page shows what will be restored.
        runs: which runs the result is of.
    """
    summary = summarize_plan(plan)
    return Page(
        title="Restore plan" if result is None else "Restore results",
        subtitle=name,
        figures=_plan_figures(summary.totals) if result is None else _result_figures(result, summary),
        facts=[*run_facts(runs), *plan_facts(plan)],
        sections=plan_sections(summary),
        table=BigTable(
            title="Raw files and their files",
            states=tuple(_PLAN_STATES.values()) if result is None else _RESULT_STATES,
            groups=_planned_groups(plan) if result is None else _result_groups(plan, result),
            size_words="to restore" if result is None else "verified",
        ),
    )


def raw_file_place(raw_file: RawFilePlan) -> str:
    """Return where a raw file is restored from and to; empty if that could not be resolved."""
    if raw_file.bucket_name is None:
        return ""
    return printable(f"s3://{raw_file.bucket_name} → {raw_file.destination_base}")


def file_origin(file: PlannedFile | UnresolvedFile) -> str:
    """Return what a reviewer needs to know of a file besides its name and size."""
    key = "no key" if file.s3_key is None else f"key {file.s3_key}"
    etag = "no etag" if file.expected_etag is None else f"etag {file.expected_etag}"
    chunks = "" if file.chunk_size_mb is None else f", chunks of {file.chunk_size_mb} MiB"
    version = "" if file.version_id is None else f", version {file.version_id}"
    return printable(f"{etag}{chunks}, {key}{version}")


def _plan_figures(totals: PlanTotals) -> list[Figure]:
    skipped = totals.skipped_raw_files + totals.skipped_files
    return [
        _size_figure(totals),
        Figure(label="Files", value=f"{totals.files:,}"),
        Figure(label="Raw files", value=f"{totals.restored_raw_files:,}"),
        Figure(
            label="Skipped",
            value=f"{skipped:,}",
            note=skipped_text(totals) or "everything is resolved",
            tone=Tone.BAD if skipped else Tone.GOOD,
        ),
    ]


def _size_figure(totals: PlanTotals) -> Figure:
    unknown = f", and {counted(totals.unknown_sizes, 'file')} of unknown size" if totals.unknown_sizes else ""
    note = f"{counted(totals.size_bytes, 'byte')}{unknown}"
    return Figure(label="To restore", value=human_size(totals.size_bytes), note=note)


def _result_figures(result: ApplyResult, summary: PlanSummary) -> list[Figure]:
    outcomes = [file.outcome for file in result.files()]
    right, already = sum(outcome.succeeded for outcome in outcomes), outcomes.count(Outcome.SKIPPED)
    failed = sum(raw_file.planned_files for raw_file in result.raw_files) - right
    failed_raw_files = sum(raw_file.failure is not None and not raw_file.planned_files for raw_file in result.raw_files)
    return [
        Figure(
            label="Failed",
            value=f"{failed + failed_raw_files:,}",
            note=entries_text(failed_raw_files, failed) or "everything is verified",
            tone=Tone.BAD if failed + failed_raw_files else Tone.GOOD,
        ),
        Figure(
            label="Verified files",
            value=f"{right:,}",
            note=f"{outcomes.count(Outcome.DOWNLOADED):,} downloaded, {already:,} already right",
        ),
        Figure(label="Healed", value=f"{outcomes.count(Outcome.HEALED):,}", note="were corrupt"),
        _size_figure(summary.totals),
    ]


def _planned_groups(plan: Plan) -> Iterator[Group]:
    for raw_file in plan.raw_files:
        totals = raw_file.totals()
        rows = [_planned_row(raw_file, file) for file in raw_file.files]
        yield _group(
            raw_file, totals, _PLAN_STATES[raw_file_state(totals)], raw_file_remark(raw_file, totals).text, rows
        )


def _group(raw_file: RawFilePlan, totals: PlanTotals, state: State, note: str, rows: list[Row]) -> Group:
    return Group(
        head=Row(
            name=printable(raw_file.raw_file_id),
            state=state,
            detail=raw_file_place(raw_file),
            note=note,
            size_bytes=totals.size_bytes if totals.files else None,
        ),
        label=name_of(raw_file.project_id),
        rows=rows,
    )


def _planned_row(raw_file: RawFilePlan, file: PlannedFile | UnresolvedFile) -> Row:
    error = file_error(raw_file, file)
    return _row(file, _PLAN_STATES[TO_RESTORE if error is None else SKIPPED], printable(error or ""))


def _row(file: PlannedFile | UnresolvedFile, state: State, note: str) -> Row:
    return Row(
        name=printable(file.relative_path),
        state=state,
        detail=file_origin(file),
        note=_with_notes(note, file.notes),
        size_bytes=file.expected_size,
    )


def _with_notes(said: str, notes: Sequence[str]) -> str:
    return "; ".join(filter(None, [said, notes_text(notes)]))


def _result_groups(plan: Plan, result: ApplyResult) -> Iterator[Group]:
    by_id = {raw_file.raw_file_id: raw_file for raw_file in result.raw_files}
    for raw_file in plan.raw_files:
        ended = by_id.get(raw_file.raw_file_id)
        results = {file.relative_path: file for file in ended.files} if ended is not None else {}
        rows = [_result_row(raw_file, file, results.get(file.relative_path)) for file in raw_file.files]
        failed = sum(row.state is _FAILED for row in rows)
        note = f"{failed:,} of {counted(len(rows), 'file')} failed" if failed else ""
        if ended is not None and ended.failure is not None:
            note = ended.failure.message
        state = _raw_file_outcome(ended, rows)
        yield _group(raw_file, raw_file.totals(), state, _with_notes(note, raw_file.notes), rows)


def _raw_file_outcome(ended: RawFileResult | None, rows: list[Row]) -> State:
    states = {row.state for row in rows}
    if ended is None or ended.failure is not None or states <= {_FAILED}:
        return _FAILED
    if _FAILED in states:
        return _PLAN_STATES[IN_PART]
    return next(state for state in _RESULT_STATES if state in states)


def _result_row(raw_file: RawFilePlan, file: PlannedFile | UnresolvedFile, result: FileResult | None) -> Row:
    if result is None:
        return _row(file, _FAILED, printable(file_error(raw_file, file) or "Not attempted"))
    if result.failure is not None:
        return _row(file, _FAILED, result.failure.message)
    note = f"corrupt file kept as {printable(result.corrupt_copy)}" if result.corrupt_copy else ""
    return _row(file, _outcome_state(result.outcome), note)


def _outcome_state(outcome: Outcome) -> State:
    match outcome:
        case Outcome.DOWNLOADED:
            return _DOWNLOADED
        case Outcome.SKIPPED:
            return _ALREADY_RIGHT
        case Outcome.HEALED:
            return _HEALED
        case Outcome.FAILED:
            return _FAILED
        case _:
            assert_never(outcome)
