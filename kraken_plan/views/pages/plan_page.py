"""Builds the page that shows a plan for its review."""

from collections.abc import Iterator

from kraken_plan.views.pages.page import BigTable, Figure, Group, Page, Row, State
from kraken_plan.views.pages.plan_rows import file_row, raw_file_group
from kraken_plan.views.plan_sections import (
    IN_PART,
    TO_RESTORE,
    UNRESOLVABLE,
    file_error,
    plan_facts,
    plan_sections,
    raw_file_state,
    raw_file_why,
    unresolvable_text,
)
from kraken_plan.views.plan_summary import summarize_plan
from kraken_plan.views.table import Tone
from schemas.plan import Plan, PlannedFile, PlanTotals, RawFilePlan, UnresolvedFile
from schemas.text import counted, human_size, printable

_STATES = {
    UNRESOLVABLE: State(words=UNRESOLVABLE, mark="✗", weighs=False),
    IN_PART: State(words=IN_PART, mark="!"),
    TO_RESTORE: State(words=TO_RESTORE, mark="✓"),
}


def plan_page(plan: Plan, name: str) -> Page:
    """Return the page of a plan: what will be restored.

    Args:
        plan: the plan.
        name: how the user named it.
    """
    summary = summarize_plan(plan)
    return Page(
        title="Restore plan",
        subtitle=name,
        figures=_figures(summary.totals),
        facts=plan_facts(plan),
        sections=plan_sections(summary),
        table=BigTable(
            title="Raw files and their files",
            states=tuple(_STATES.values()),
            groups=_groups(plan),
            size_words="to restore",
        ),
    )


def _figures(totals: PlanTotals) -> list[Figure]:
    unresolvable = totals.skipped_raw_files + totals.skipped_files
    unknown = f", and {counted(totals.unknown_sizes, 'file')} of unknown size" if totals.unknown_sizes else ""
    note = f"{counted(totals.size_bytes, 'byte')}{unknown}"
    return [
        Figure(label="To restore", value=human_size(totals.size_bytes), note=note),
        Figure(label="Files", value=f"{totals.files:,}"),
        Figure(label="Raw files", value=f"{totals.restored_raw_files:,}"),
        Figure(
            label="Unresolvable",
            value=f"{unresolvable:,}",
            note=unresolvable_text(totals) or "everything is resolved",
            tone=Tone.BAD if unresolvable else Tone.GOOD,
        ),
    ]


def _groups(plan: Plan) -> Iterator[Group]:
    for raw_file in plan.raw_files:
        totals = raw_file.totals()
        rows = [_row(raw_file, file) for file in raw_file.files]
        yield raw_file_group(raw_file, _STATES[raw_file_state(totals)], raw_file_why(raw_file, totals), rows)


def _row(raw_file: RawFilePlan, file: PlannedFile | UnresolvedFile) -> Row:
    error = file_error(raw_file, file)
    return file_row(file, _STATES[TO_RESTORE if error is None else UNRESOLVABLE], printable(error or ""))
