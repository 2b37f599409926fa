"""Puts a plan into words: facts, and short tables that sum it up. A terminal and a page show the same ones."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kraken_plan.views.plan_summary import DestinationTotals, NamedEntry, PlanSummary, Remark
from kraken_plan.views.table import Cell, Column, Tone, Toned
from schemas.plan import Plan, PlannedFile, PlanTotals, RawFilePlan, UnresolvedFile
from schemas.text import counted, human_size, printable

NOTHING = "–"  # noqa: RUF001  # the dash that stands for an empty cell
NAMES_SHOWN = 300  # bytes of a name in a summary
_MOST_ROWS = 20

SizeText = Callable[[int], str]

TO_RESTORE = Toned("to restore", Tone.GOOD)
IN_PART = Toned("in part", Tone.NOTABLE)
UNRESOLVABLE = Toned("unresolvable", Tone.BAD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A short table under a title.

    Args:
        title: its heading.
        columns: from left to right.
        rows: every text in them is printable.
        shares: each row's part of the whole, 0 to 1, where rows are compared by size.
        left_out: how many rows there was no room for.
    """

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    shares: Sequence[float] = ()
    left_out: int = 0


def exact_size(size_bytes: int) -> str:
    """Return a size to the byte: the `SizeText` of --exact.

    >>> exact_size(2_224_281_231)
    '2,224,281,231 B'
    """
    return f"{size_bytes:,} B"


def size_or_nothing(size_bytes: int | None, size_text: SizeText = human_size) -> str:
    """Return a size, or a dash if it is unknown."""
    return NOTHING if size_bytes is None else size_text(size_bytes)


def name_of(text: str | None) -> str:
    """Return a name from a plan as it is shown."""
    return NOTHING if text is None else printable(text, NAMES_SHOWN)


def plan_facts(plan: Plan) -> list[tuple[str, str]]:
    """Return who made a plan, when, from what, and where it restores to: labels and values, printable."""
    facts = [("Digest", plan.plan_digest or "not sealed")]
    if plan.created_at or plan.created_by:
        made = (plan.created_at or "").replace("T", " ").replace("Z", " UTC")
        facts.append(("Made", printable(f"{made} by {plan.created_by}" if plan.created_by else made).strip()))
    if plan.compiled_from is not None:
        origin = [plan.compiled_from.catalog, *([plan.compiled_from.config] if plan.compiled_from.config else [])]
        facts.append(("Compiled from", ", ".join(map(printable, origin))))
    region = f"region {plan.s3.region}" if plan.s3.region else "region of the AWS chain"
    facts.append(("S3", printable(f"{plan.s3.endpoint_url or 'AWS'}, {region}")))
    facts.append(("Output location", printable(plan.output_location)))
    return facts


def restored_text(totals: PlanTotals, size_text: SizeText = human_size) -> str:
    """Return what is restored, in one line."""
    unknown = f", {counted(totals.unknown_sizes, 'file')} of unknown size" if totals.unknown_sizes else ""
    of = f"{counted(totals.files, 'file')} of {counted(totals.restored_raw_files, 'raw file')}"
    return f"{of}, {size_text(totals.size_bytes)}{unknown}"


def unresolvable_text(totals: PlanTotals) -> str:
    """Return what could not be resolved, in one line; empty if everything could."""
    return entries_text(totals.skipped_raw_files, totals.skipped_files)


def some_names(names: Sequence[str], count: int) -> str:
    """Return the names of some entries, printable ones, and how many more there are of so many."""
    more = count - len(names)
    return ", ".join([*names, *([f"and {more:,} more"] if more else [])])


def entries_text(raw_files: int, files: int) -> str:
    """Return how many of each there are; empty if there are none."""
    return ", ".join(counted(number, noun) for number, noun in ((raw_files, "raw file"), (files, "file")) if number)


def raw_file_state(totals: PlanTotals) -> Toned:
    """Return whether a raw file with these totals is restored."""
    if totals.skipped_raw_files or not totals.files:
        return UNRESOLVABLE
    return IN_PART if totals.skipped_files else TO_RESTORE


def raw_file_why(raw_file: RawFilePlan, totals: PlanTotals) -> str:
    """Return why a raw file is not restored, or not all of it; empty if all of it is."""
    if raw_file.error is not None:
        return printable(raw_file.error)
    return (
        f"{totals.skipped_files:,} of {counted(len(raw_file.files), 'file')} unresolvable"
        if totals.skipped_files
        else ""
    )


def raw_file_remark(raw_file: RawFilePlan, totals: PlanTotals) -> Toned:
    """Return why a raw file is not restored, or not all of it, and its notes; empty if there is nothing to say."""
    why = raw_file_why(raw_file, totals)
    return Toned("; ".join(filter(None, [why, notes_text(raw_file.notes)])), Tone.BAD if why else Tone.NOTABLE)


def notes_text(notes: Sequence[str]) -> str:
    """Return notes on one line; empty if there are none."""
    return printable("; ".join(notes))


def file_error(raw_file: RawFilePlan, file: PlannedFile | UnresolvedFile) -> str | None:
    """Return why a file is not restored, for a reason of its own or of its raw file; None if it is."""
    return raw_file.error or (file.error if isinstance(file, UnresolvedFile) else None)


def s3_object(raw_file: RawFilePlan, file: PlannedFile | UnresolvedFile) -> str:
    """Return the S3 object of a file, with the version it is pinned to, if any."""
    if file.s3_key is None:
        return NOTHING
    version = "" if file.version_id is None else f" version {file.version_id}"
    return printable(f"s3://{raw_file.bucket_name}/{file.s3_key}{version}")


def plan_sections(summary: PlanSummary, size_text: SizeText = human_size) -> list[Section]:
    """Return the tables that sum a plan up, problems first; empty ones are left out."""
    sections = [
        _remarks("Unresolvable, and why", "Reason", summary.skipped, Tone.BAD),
        _remarks("Notes", "Note", summary.notes, Tone.NOTABLE),
        _destinations(summary, size_text),
        _largest(summary, size_text),
    ]
    return [section for section in sections if section.rows]


def _remarks(title: str, heading: str, remarks: Sequence[Remark], tone: Tone) -> Section:
    shown = remarks[:_MOST_ROWS]
    return Section(
        title=title,
        columns=(Column("Entries", right=True), Column(heading), Column("Which")),
        rows=[
            (
                f"{remark.raw_files + remark.files:,}",
                Toned(printable(remark.reason, NAMES_SHOWN), tone),
                _which(remark),
            )
            for remark in shown
        ],
        left_out=len(remarks) - len(shown),
    )


def _which(remark: Remark) -> str:
    return some_names(list(map(_entry_name, remark.first)), remark.raw_files + remark.files)


def _entry_name(entry: NamedEntry) -> str:
    if entry.relative_path is None:
        return f"raw file {name_of(entry.raw_file_id)}"
    return file_name(entry.raw_file_id, entry.relative_path)


def file_name(raw_file_id: str, relative_path: str) -> str:
    """Return how a file is named: with its raw file, unless its path begins with that, as it usually does."""
    if relative_path == raw_file_id or relative_path.startswith(f"{raw_file_id}/"):
        return name_of(relative_path)
    return f"{name_of(raw_file_id)}: {name_of(relative_path)}"


def _destinations(summary: PlanSummary, size_text: SizeText) -> Section:
    largest_first = sorted(summary.destinations, key=lambda destination: -destination.totals.size_bytes)
    shown = largest_first[:_MOST_ROWS]
    total = summary.totals.size_bytes or 1
    return Section(
        title="By project and destination",
        columns=(
            Column("Size", right=True),
            Column("Raw files", right=True),
            Column("Files", right=True),
            Column("Unresolvable", right=True),
            Column("Project"),
            Column("Destination"),
        ),
        rows=[_destination_row(destination, size_text) for destination in shown],
        shares=[destination.totals.size_bytes / total for destination in shown],
        left_out=len(largest_first) - len(shown),
    )


def _destination_row(destination: DestinationTotals, size_text: SizeText) -> tuple[Cell, ...]:
    totals = destination.totals
    skipped = totals.skipped_raw_files + totals.skipped_files
    return (
        size_text(totals.size_bytes),
        f"{totals.raw_files:,}",
        f"{totals.files:,}",
        Toned(f"{skipped:,}", Tone.BAD) if skipped else "0",
        name_of(destination.project_id),
        name_of(destination.destination_base),
    )


def _largest(summary: PlanSummary, size_text: SizeText) -> Section:
    return Section(
        title="Largest files",
        columns=(Column("Size", right=True), Column("Project"), Column("File")),
        rows=[_largest_row(raw_file, file, size_text) for raw_file, file in summary.largest],
    )


def _largest_row(raw_file: RawFilePlan, file: PlannedFile, size_text: SizeText) -> tuple[Cell, ...]:
    return (
        size_or_nothing(file.expected_size, size_text),
        name_of(raw_file.project_id),
        file_name(raw_file.raw_file_id, file.relative_path),
    )
