"""Builds the page that shows how a plan, S3 and the local files compare: what apply cannot do first."""

from collections.abc import Iterator, Sequence

from applier.look.status import FileStatus
from applier.restore.decide import Action
from kraken_plan.views.pages.page import BigTable, Group, Page, Row, State
from kraken_plan.views.pages.plan_rows import file_row, raw_file_group
from kraken_plan.views.pages.result_page import tally_figures
from kraken_plan.views.plan_sections import NAMES_SHOWN, Section, plan_facts, plan_sections, some_names
from kraken_plan.views.plan_summary import summarize_plan
from kraken_plan.views.status_text import PlanStatus, ReasonGroup, group_by_reason, local_word
from kraken_plan.views.table import Column, Tone, Toned
from schemas.plan import Plan, RawFilePlan
from schemas.text import counted, human_size, printable

_NAMED = 3
_STATES = {
    None: State(words=Toned("cannot", Tone.BAD), mark="✗", weighs=False),
    Action.HEAL: State(words=Toned("heal", Tone.NOTABLE), mark="!"),
    Action.DOWNLOAD: State(words=Toned("download", Tone.NOTABLE), mark="↓"),
    Action.VERIFY: State(words=Toned("verify", Tone.NOTABLE), mark="?", weighs=False),
    Action.SKIP: State(words=Toned("already right", Tone.GOOD), mark="✓", weighs=False),
}


def status_page(plan: Plan, name: str, status: PlanStatus) -> Page:
    """Return the page of a plan's status.

    Args:
        plan: the plan.
        name: how the user named it.
        status: what was seen of its entries.
    """
    groups = group_by_reason(status.files)
    return Page(
        title="Restore status",
        subtitle=name,
        figures=tally_figures(status.tally),
        facts=list(_facts(plan, status)),
        sections=[_reasons(groups)] if groups else [],
        table=BigTable(
            title="Raw files and what apply would do",
            states=tuple(_STATES.values()),
            groups=_raw_files(plan, status.files),
            size_words="to download or heal",
        ),
        below_title="The plan",
        below_facts=plan_facts(plan),
        below_sections=plan_sections(summarize_plan(plan)),
    )


def _facts(plan: Plan, status: PlanStatus) -> Iterator[tuple[str, str]]:
    yield "Output location", printable(plan.output_location)
    yield "To be fetched", f"{human_size(status.bytes_to_fetch)} at most"
    if not status.hashed:
        yield "Local files", "not read (--no-local-hash): of what is unverified only the size is right"
    for space in status.preflight.spaces:
        yield "Space", f"{space} (quotas cannot be seen)"
    for problem in status.problems:
        yield "Refused", problem


def _reasons(groups: Sequence[ReasonGroup]) -> Section:
    return Section(
        title="What is not verified, and why",
        columns=(Column("Entries", right=True), Column("Reason"), Column("What helps"), Column("Which")),
        rows=[
            (
                f"{len(group.files):,}",
                Toned(group.words, Tone.BAD if group.is_failure else Tone.NOTABLE),
                group.helps,
                _which(group.files),
            )
            for group in groups
        ],
    )


def _which(files: Sequence[FileStatus]) -> str:
    return some_names([printable(file.entry.name, NAMES_SHOWN) for file in files[:_NAMED]], len(files))


def _raw_files(plan: Plan, files: Sequence[FileStatus]) -> Iterator[Group]:
    following = iter(files)  # a raw file that failed as a whole has one, any other one for each of its files
    for raw_file in plan.raw_files:
        if raw_file.error is not None:
            whole = next(following)
            rows = [file_row(file, _STATES[None], printable(raw_file.error)) for file in raw_file.files]
            yield raw_file_group(raw_file, _STATES[None], printable(whole.detail), rows)
            continue
        rows = [
            file_row(file, _STATES[seen.action], _note(seen))
            for file, seen in zip(raw_file.files, following, strict=False)
        ]
        yield raw_file_group(raw_file, *_sum_up(raw_file, rows), rows)


def _note(seen: FileStatus) -> str:
    states = f"S3: {seen.s3.value}, local: {local_word(seen)}"
    return "" if seen.action is Action.SKIP else "; ".join(filter(None, [printable(seen.detail), states]))


def _sum_up(raw_file: RawFilePlan, rows: Sequence[Row]) -> tuple[State, str]:
    """Return how a raw file stands: as the worst of its files."""
    worst = next((state for state in _STATES.values() if any(row.state == state for row in rows)), _STATES[Action.SKIP])
    worst_rows = [row for row in rows if row.state == worst]
    if worst == _STATES[Action.SKIP] or len(rows) == 1:
        return worst, worst_rows[0].note if worst_rows else ""
    return worst, f"{len(worst_rows):,} of {counted(len(raw_file.files), 'file')}: {worst_rows[0].note}"
