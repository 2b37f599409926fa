"""Renders the txt report of one destination: the summary, what needs attention, a line for every file, and the run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from applier.reports.causes import FailureGroup, group_failures
from schemas.etag import MIB
from schemas.results import MD5_BYTES, FailureKind, FileResult, Outcome, RawFileResult, RunEnd, RunHead
from schemas.tally import Fate
from schemas.text import counted, printable
from schemas.version import CREATED_BY

_RULE = "=" * 80
_NAME_BYTES = 300
_NOT_VERIFIED = (Fate.FAILED, Fate.UNRESOLVABLE, Fate.NOT_ATTEMPTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedRun:
    """A run that a report is about.

    Args:
        head: how it began.
        end: how it ended; None if it was killed.
        name: what its results are called, where the report is about several runs.
    """

    head: RunHead
    end: RunEnd | None
    name: str = ""


def render_report(
    plan_digest: str,
    destination: str,
    raw_files: Sequence[RawFileResult],
    written_at: datetime,
    runs: Sequence[ReportedRun] = (),
) -> Iterator[str]:
    """Yield the text of a report in pieces, one per raw file: a large plan's report has a hundred megabytes.

    Args:
        plan_digest: of the plan that was applied.
        destination: absolute path.
        raw_files: those that belong there.
        written_at: UTC.
        runs: which are reported: one, or several that were merged.
    """
    total = sum(raw_file.planned_files for raw_file in raw_files)
    successful = sum(file.outcome.succeeded for raw_file in raw_files for file in raw_file.files)
    failed_raw_files = sum(raw_file.failure is not None for raw_file in raw_files)
    head = [
        "S3 Download Batch Status Report",
        "================================",
        f"Destination: {printable(destination)}",
        f"Timestamp: {written_at:%Y-%m-%d %H:%M:%S} UTC",
        f"Raw Files Processed: {len(raw_files)}",
        "",
        "Overall Summary:",
        "----------------",
        f"Total raw files: {len(raw_files)}",
        f"Total files: {total}",
        f"Successful files: {successful}",
        f"Failed files: {total - successful}",
        *([f"Failed raw files: {failed_raw_files}"] if failed_raw_files else []),
        f"Status: {_status(raw_files, successful)}",
        "",
        *attention_lines(raw_files),
        _RULE,
    ]
    yield _text(head)
    yield from (_text(_section(raw_file)) for raw_file in raw_files)
    yield _text([f"Plan: {plan_digest}", f"Written by: {CREATED_BY}", *run_lines(runs)])


def _text(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _status(raw_files: Sequence[RawFileResult], successful_files: int) -> str:
    if all(raw_file.succeeded for raw_file in raw_files):
        return "SUCCESS"
    return "PARTIAL FAILURE" if successful_files else "FAILURE"


def attention_lines(raw_files: Sequence[RawFileResult], fates: Sequence[Fate] = _NOT_VERIFIED) -> Iterator[str]:
    """Yield what is not verified, by cause, before the rule that ends the summary; nothing if everything is.

    Args:
        raw_files: that are reported.
        fates: those that need attention.
    """
    groups = [group for fate in fates for group in group_failures(raw_files, fate)]
    if groups:
        yield from ("Attention:", "----------")
        for group in groups:
            yield from _group_lines(group)
        yield ""


def _group_lines(group: FailureGroup) -> Iterator[str]:
    entries = counted(group.entries, "entry")
    yield f"{group.cause.title}: {entries}. Applying again helps: {group.cause.again}."
    for entry in group.first:
        # in quotes: a name that ends as a file's line does must not be taken for one
        is_unresolved = entry.failure.kind is FailureKind.UNRESOLVED
        reason = f" ({printable(entry.failure.detail, _NAME_BYTES)})" if is_unresolved else ""
        yield f'  "{printable(entry.name, _NAME_BYTES)}"{reason}'
    if more := group.entries - len(group.first):
        yield f"  … and {more:,} more"


def _section(raw_file: RawFileResult) -> list[str]:
    head = [
        f"Raw File: {printable(raw_file.raw_file_id)}",
        f"Project ID: {printable(raw_file.project_id or '-')}",
        f"S3 Bucket: {printable(raw_file.bucket_name or '-')}",
        f"Files: {raw_file.planned_files}",
        *(f"Note: {printable(note)}" for note in raw_file.notes),
        "",
    ]
    if raw_file.failure is not None:
        return [*head, f"ERROR: {raw_file.failure.message}", "", _RULE]
    return [*head, "Files:", "------", *(_file_line(file) for file in raw_file.files), "", _RULE]


def _file_line(file: FileResult) -> str:
    return f"{printable(file.relative_path)}: {_outcome(file)}"


def _outcome(file: FileResult) -> str:
    remark = f" {printable(file.remark)}" if file.remark else ""
    size_and_time = f"({(file.size_bytes or 0) / MIB:.1f} MB in {file.duration_seconds:.1f}s)"
    match file.outcome:
        case Outcome.DOWNLOADED:
            return f"OK - Downloaded and verified{remark} {size_and_time}"
        case Outcome.SKIPPED:
            return "OK - Skipped (already exists)"
        case Outcome.HEALED:
            kept = f"; corrupt file kept as {printable(file.corrupt_copy)}" if file.corrupt_copy else ""
            return f"OK - Self-healed ({_how_much(file)} re-downloaded{remark}{kept}) {size_and_time}"
        case Outcome.FAILED:
            return f"FAILURE - {file.failure.message if file.failure else 'no reason recorded'}"


def _how_much(file: FileResult) -> str:
    """Return how much of a corrupt file was fetched again: all of it, or some of its parts."""
    parts = len(file.part_md5s) // MD5_BYTES
    if file.fetched_parts is None or file.fetched_parts >= parts:
        return "hash mismatch detected,"
    return f"{file.fetched_parts} of {parts} parts"


def run_lines(runs: Sequence[ReportedRun]) -> Iterator[str]:
    """Yield who ran it, where, when and how: a line for each, and of several runs a line for each run."""
    if len(runs) == 1:
        (run,) = runs
        head = run.head
        yield f"Host: {printable(head.host or '-')}"
        yield f"User: {printable(head.user or '-')}"
        yield f"Begin: {_time(head.started_at)}"
        yield f"End: {_time(run.end.ended_at) if run.end else '-'}"
        yield f"Options: {printable(' '.join(head.options)) or '-'}"
        yield from (f"Approval: {printable(approval)}" for approval in head.approvals)
        return
    for run in runs:
        head, until = run.head, f"to {_time(run.end.ended_at)}" if run.end else "without an end"
        who = f"{printable(head.host or '-')}, {printable(head.user or '-')}"
        options = printable(" ".join(head.options)) or "-"
        yield f"Run: {_time(head.started_at)} {until}, {who}, options {options} ({printable(run.name)})"
        yield from (f"  Approval: {printable(approval)}" for approval in head.approvals)


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"
