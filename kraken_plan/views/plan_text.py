"""Shows a plan as text for a terminal: facts, totals, and a line for every raw file or file."""

from collections.abc import Iterator, Sequence

from kraken_plan.views.plan_sections import (
    NOTHING,
    TO_RESTORE,
    UNRESOLVABLE,
    Section,
    SizeText,
    exact_size,
    file_error,
    name_of,
    notes_text,
    plan_facts,
    plan_sections,
    raw_file_remark,
    raw_file_state,
    restored_text,
    s3_object,
    size_or_nothing,
    unresolvable_text,
)
from kraken_plan.views.plan_summary import PlanSummary, summarize_plan
from kraken_plan.views.table import Cell, Column, Paint, Tone, Toned, table_lines
from schemas.paths import join_path
from schemas.plan import Plan, PlannedFile, RawFilePlan, UnresolvedFile
from schemas.text import human_size, printable


def plan_lines(plan: Plan, name: str, paint: Paint, *, with_files: bool, exact: bool) -> Iterator[str]:
    """Yield who made a plan, how much goes where, the largest files, what is unresolvable and why, and every entry.

    Args:
        plan: any plan.
        name: how the user named it.
        paint: colours words.
        with_files: a line for every file instead of one for every raw file.
        exact: sizes to the byte.
    """
    size_text = exact_size if exact else human_size
    summary = summarize_plan(plan)
    yield from _head(plan, name, summary, size_text, paint)
    for section in plan_sections(summary, size_text):
        yield from _section(section, paint)
    yield ""
    if with_files:
        yield paint("Files", Tone.HEADING)
        yield from table_lines(_FILE_COLUMNS, lambda: _file_rows(plan, size_text), paint)
    else:
        yield paint("Raw files", Tone.HEADING)
        yield from table_lines(_RAW_FILE_COLUMNS, lambda: _raw_file_rows(plan, size_text), paint)


def _head(plan: Plan, name: str, summary: PlanSummary, size_text: SizeText, paint: Paint) -> Iterator[str]:
    facts: list[tuple[str, str]] = [("Plan", name), *plan_facts(plan)]
    facts.append(("Restores", restored_text(summary.totals, size_text)))
    width = max(len(label) for label, _ in facts)
    yield from (f"{paint(label, Tone.FAINT)}{' ' * (width - len(label))}  {value}" for label, value in facts)
    if unresolvable := unresolvable_text(summary.totals):
        label = "Unresolvable"
        yield f"{paint(label, Tone.FAINT)}{' ' * (width - len(label))}  {paint(unresolvable, Tone.BAD)}"


def _section(section: Section, paint: Paint) -> Iterator[str]:
    yield ""
    yield paint(section.title, Tone.HEADING)
    yield from table_lines(section.columns, lambda: section.rows, paint)
    if section.left_out:
        yield f"… and {section.left_out:,} more"


_RAW_FILE_COLUMNS = (
    Column("State"),
    Column("Files", right=True),
    Column("Size", right=True),
    Column("Project"),
    Column("Raw file"),
    Column("Why"),
)


def _raw_file_rows(plan: Plan, size_text: SizeText) -> Iterator[Sequence[Cell]]:
    for raw_file in plan.raw_files:
        totals = raw_file.totals()
        yield (
            raw_file_state(totals),
            f"{totals.files:,}",
            size_text(totals.size_bytes),
            name_of(raw_file.project_id),
            printable(raw_file.raw_file_id),
            raw_file_remark(raw_file, totals),
        )


_FILE_COLUMNS = (
    Column("State"),
    Column("Size", right=True),
    Column("Chunk", right=True),
    Column("ETag"),
    Column("Project"),
    Column("Raw file"),
    Column("S3 object"),
    Column("Destination, or why it is unresolvable"),
)


def _file_rows(plan: Plan, size_text: SizeText) -> Iterator[Sequence[Cell]]:
    for raw_file in plan.raw_files:
        if raw_file.error is not None and not raw_file.files:
            yield (
                UNRESOLVABLE,
                *[NOTHING] * 3,
                name_of(raw_file.project_id),
                printable(raw_file.raw_file_id),
                NOTHING,
                Toned(printable(raw_file.error), Tone.BAD),
            )
        yield from (_file_row(raw_file, file, size_text) for file in raw_file.files)


def _file_row(raw_file: RawFilePlan, file: PlannedFile | UnresolvedFile, size_text: SizeText) -> Sequence[Cell]:
    error = file_error(raw_file, file)
    return (
        TO_RESTORE if error is None else UNRESOLVABLE,
        size_or_nothing(file.expected_size, size_text),
        NOTHING if file.chunk_size_mb is None else f"{file.chunk_size_mb:,} MiB",
        printable(file.expected_etag or NOTHING),
        name_of(raw_file.project_id),
        printable(raw_file.raw_file_id),
        s3_object(raw_file, file),
        Toned(_where_or_why(raw_file, file, error), Tone.PLAIN if error is None else Tone.BAD),
    )


def _where_or_why(raw_file: RawFilePlan, file: PlannedFile | UnresolvedFile, error: str | None) -> str:
    if error is None:
        said = printable(join_path(raw_file.destination_base or "", file.relative_path))
    else:
        said = f"{printable(file.relative_path)}: {printable(error)}"
    return f"{said} (note: {notes_text(file.notes)})" if file.notes else said
