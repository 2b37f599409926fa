"""`kraken-plan show`: a plan as people read it, on a terminal, as JSON or as a page."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import click

from kraken_plan.views.as_json import plan_as_json
from kraken_plan.views.page_file import write_page
from kraken_plan.views.plan_page import plan_page
from kraken_plan.views.plan_sections import (
    NOTHING,
    SKIPPED,
    TO_RESTORE,
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
    skipped_text,
)
from kraken_plan.views.plan_summary import PlanSummary, raw_file_totals, summarize_plan
from kraken_plan.views.table import Cell, Column, Paint, Tone, Toned, table_lines
from kraken_plan.views.terminal import show_lines, stdout_paint, write_all
from schemas.paths import join_path
from schemas.plan import Plan, PlannedFile, RawFilePlan, UnresolvedFile
from schemas.plan_source import load_plan, plan_name
from schemas.text import human_size, printable


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowOptions:
    """What the command line asks for."""

    plan: str
    files: bool
    exact: bool
    as_json: bool
    html: str | None


@click.command(
    "show",
    epilog="""\b
Exit codes:
  0  shown, whatever the plan says
  2  refused: everything that is wrong with the plan is listed

\b
Examples:
  kraken-plan show plan.json
  kraken-plan show plan.json --files --exact | grep analysis.tdf
  kraken-plan show plan.json --json | jq .totals
  kraken-plan show plan.json --html plan.html

On a terminal, what is longer than the screen goes through $PAGER. Colours: only there, and not with NO_COLOR set.
""",
)
@click.argument("plan", metavar="PLAN")
@click.option("--files", is_flag=True, help="A line for every file in place of one for every raw file.")
@click.option("--exact", is_flag=True, help="Sizes to the byte.")
@click.option("--json", "as_json", is_flag=True, help="JSON for programs: the summary and every raw file, a line each.")
@click.option("--html", metavar="FILE", help="Write one self-contained page for a browser to FILE instead.")
def show_command(**options: object) -> None:
    """Show what PLAN restores, for its review; `-` reads it from stdin.

    Who made it, when and out of what; how much goes where; the largest files; what is skipped and why; every raw file.
    """
    _show(ShowOptions(**options))  # type: ignore[arg-type]  # click checked the types


def _show(options: ShowOptions) -> None:
    if options.html is not None and (options.as_json or options.files or options.exact):
        raise click.UsageError("--html holds everything: give it without --json, --files and --exact")
    if options.as_json and options.exact:
        raise click.UsageError("--json is exact already: give it without --exact")
    plan = load_plan(options.plan)
    if options.html is not None:
        write_page(plan_page(plan, plan_name(options.plan)), options.html)
    elif options.as_json:
        write_all(plan_as_json(plan, with_files=options.files))
    else:
        show_lines(_lines(plan, options, stdout_paint()))


def _lines(plan: Plan, options: ShowOptions, paint: Paint) -> Iterator[str]:
    size_text = exact_size if options.exact else human_size
    summary = summarize_plan(plan)
    yield from _head(plan, plan_name(options.plan), summary, size_text, paint)
    for section in plan_sections(summary, size_text):
        yield from _section(section, paint)
    yield ""
    if options.files:
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
    if skipped := skipped_text(summary.totals):
        yield f"{paint('Skips', Tone.FAINT)}{' ' * (width - len('Skips'))}  {paint(skipped, Tone.BAD)}"


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
        totals = raw_file_totals(raw_file)
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
    Column("Destination, or why it is skipped"),
)


def _file_rows(plan: Plan, size_text: SizeText) -> Iterator[Sequence[Cell]]:
    for raw_file in plan.raw_files:
        if raw_file.error is not None and not raw_file.files:
            yield (
                SKIPPED,
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
        TO_RESTORE if error is None else SKIPPED,
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
