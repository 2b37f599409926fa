"""Builds the page that shows what became of a plan: what is not verified first, and the plan itself below."""

from collections.abc import Iterator, Sequence

from applier.reports.causes import FailureGroup, group_failures
from kraken_plan.views.pages.page import BigTable, Figure, Group, Page, Row, State
from kraken_plan.views.pages.plan_rows import file_row, raw_file_group
from kraken_plan.views.plan_sections import NAMES_SHOWN, Section, plan_facts, plan_sections, some_names
from kraken_plan.views.plan_summary import summarize_plan
from kraken_plan.views.run_facts import run_facts
from kraken_plan.views.table import Column, Tone, Toned
from schemas.plan import Plan, PlannedFile, RawFilePlan, UnresolvedFile
from schemas.results import ApplyResult, Failure, FailureKind, FileResult, RawFileResult, RecordedRun
from schemas.tally import Amount, Fate, Tally, fate_of_failure, fate_of_file
from schemas.text import counted, human_size, printable

_STATES = {
    Fate.FAILED: State(words=Toned("failed", Tone.BAD), mark="✗", weighs=False),
    Fate.UNRESOLVABLE: State(words=Toned("unresolvable", Tone.BAD), mark="✗", weighs=False),
    Fate.NOT_ATTEMPTED: State(words=Toned("not attempted", Tone.NOTABLE), mark="–", weighs=False),  # noqa: RUF001
    Fate.HEALED: State(words=Toned("healed", Tone.NOTABLE), mark="!"),
    Fate.DOWNLOADED: State(words=Toned("downloaded", Tone.GOOD), mark="✓"),
    Fate.ALREADY_RIGHT: State(words=Toned("already right", Tone.GOOD), mark="✓"),
}
_IN_PART = State(words=Toned("in part", Tone.BAD), mark="✗")
_UNVERIFIED = (Fate.FAILED, Fate.UNRESOLVABLE, Fate.NOT_ATTEMPTED)
_NO_RESULT = Failure(FailureKind.NOT_ATTEMPTED)


def result_page(plan: Plan, name: str, result: ApplyResult, runs: Sequence[RecordedRun] = ()) -> Page:
    """Return the page of what became of a plan.

    Args:
        plan: the plan.
        name: how the user named it.
        result: how an apply of it ended, or several that were merged.
        runs: which these were.
    """
    tally, summary = Tally.of(result), summarize_plan(plan)
    groups = [group for fate in _UNVERIFIED for group in group_failures(result.raw_files, fate)]
    return Page(
        title="Restore results",
        subtitle=name,
        figures=tally_figures(tally),
        facts=[*run_facts(runs), ("Output location", printable(plan.output_location))],
        sections=[_causes(groups)] if groups else [],
        table=BigTable(
            title="Raw files and their files",
            states=(_STATES[Fate.FAILED], _IN_PART, *(state for fate, state in _STATES.items() if fate != Fate.FAILED)),
            groups=_groups(plan, result),
            size_words="verified",
        ),
        below_title="The plan",
        below_facts=plan_facts(plan),
        below_sections=plan_sections(summary),
    )


def tally_figures(tally: Tally) -> list[Figure]:
    """Return the sums of the one vocabulary as figures, what is not verified first."""
    verified = f"{human_size(tally.verified.size_bytes)} of {human_size(tally.total.size_bytes)}"
    kinds = [f"{tally[fate].entries:,} {fate.value}" for fate in (Fate.DOWNLOADED, Fate.HEALED, Fate.ALREADY_RIGHT)]
    return [
        _figure("Failed", tally.failed, Tone.BAD),
        _figure("Unresolvable", tally.unresolvable, Tone.BAD),
        _figure("Not attempted", tally.not_attempted, Tone.NOTABLE),
        Figure(
            label="Verified",
            value=f"{tally.verified.entries:,} of {tally.total.entries:,}",
            note=", ".join([*kinds, verified]),
            tone=Tone.GOOD if tally.all_verified else Tone.PLAIN,
        ),
    ]


def _figure(label: str, amount: Amount, tone: Tone) -> Figure:
    note = human_size(amount.size_bytes) if amount.size_bytes else ""
    return Figure(label=label, value=f"{amount.entries:,}", note=note, tone=tone if amount.entries else Tone.PLAIN)


def _causes(groups: Sequence[FailureGroup]) -> Section:
    return Section(
        title="What is not verified, and why",
        columns=(Column("Entries", right=True), Column("Cause"), Column("Applying again helps"), Column("Which")),
        rows=[
            (f"{group.entries:,}", Toned(group.cause.title, Tone.BAD), group.cause.again, _which(group))
            for group in groups
        ],
    )


def _which(group: FailureGroup) -> str:
    return some_names([printable(entry.name, NAMES_SHOWN) for entry in group.first], group.entries)


def _groups(plan: Plan, result: ApplyResult) -> Iterator[Group]:
    by_id = {raw_file.raw_file_id: raw_file for raw_file in result.raw_files}
    for raw_file in plan.raw_files:
        ended = by_id.get(raw_file.raw_file_id)
        results = {file.relative_path: file for file in ended.files} if ended is not None else {}
        ends = [_end_of(raw_file, file, results.get(file.relative_path), ended) for file in raw_file.files]
        rows = [file_row(file, state, note) for file, (state, note) in zip(raw_file.files, ends, strict=True)]
        yield raw_file_group(raw_file, *_sum_up(ended, rows), rows)


def _end_of(
    raw_file: RawFilePlan,
    file: PlannedFile | UnresolvedFile,
    result: FileResult | None,
    ended: RawFileResult | None,
) -> tuple[State, str]:
    """Return how a file ended, and why, or what else there is to say about it."""
    if result is not None and result.failure is None:
        kept = f"corrupt file kept as {printable(result.corrupt_copy)}" if result.corrupt_copy else ""
        return _STATES[fate_of_file(result)], "; ".join(filter(None, [printable(result.remark or ""), kept]))
    failure = result.failure if result is not None else ended.failure if ended is not None else None
    if result is None and isinstance(file, UnresolvedFile):
        failure = Failure(FailureKind.UNRESOLVED, raw_file.error or file.error)
    failure = failure or _NO_RESULT
    return _STATES[fate_of_failure(failure.kind)], failure.message


def _sum_up(ended: RawFileResult | None, rows: Sequence[Row]) -> tuple[State, str]:
    """Return how a raw file ended: as the worst of its files, and in part where others are verified."""
    if ended is None or ended.failure is not None:
        failure = _NO_RESULT if ended is None or ended.failure is None else ended.failure
        return _STATES[fate_of_failure(failure.kind)], failure.message
    unverified = [row for row in rows if row.state in {_STATES[fate] for fate in _UNVERIFIED}]
    worst = next(state for state in _STATES.values() if any(row.state == state for row in rows))
    if not unverified:
        return worst, ""
    first = next(row for row in unverified if row.state == worst)
    if len(rows) == 1:
        return worst, first.note
    others = "" if all(row.note == first.note for row in unverified) else "; …"
    words = f"{len(unverified):,} of {counted(len(rows), 'file')} not verified: {first.note}{others}"
    return (worst if len(unverified) == len(rows) else _IN_PART), words
