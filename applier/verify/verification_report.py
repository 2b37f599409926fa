"""Writes the report of a run of `verify`: a txt file with a line for every entry of the plan, what is wrong first."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from applier.reports.report import dated_names, write_into_folder
from applier.reports.report_text import ReportedRun, attention_lines, run_lines
from schemas.results import ApplyResult, FailureKind, FileResult, RawFileResult, RunEnd, RunHead
from schemas.tally import Fate, Tally
from schemas.text import human_size, printable
from schemas.version import CREATED_BY

_PREFIX = "_verification_report_"
_RULE = "=" * 80


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationReport:
    """All that a report says.

    Args:
        result: what became of every entry.
        pass_began_at: UTC, when the pass over all files began.
        head: how this run began.
        ended_at: UTC.
    """

    result: ApplyResult
    pass_began_at: str
    head: RunHead
    ended_at: datetime


def write_verification_report(report: VerificationReport, folder: Path) -> Path:
    """Write a report into a folder, under a name that nothing has yet, and return its absolute path.

    Raises:
        OSError: it cannot be written; nothing is left behind.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = map(str.encode, render_verification_report(report))
    names = dated_names(report.ended_at, ".txt", _PREFIX)
    return Path(write_into_folder(text, str(folder.absolute()), names))


def remove_old_reports(folder: Path, kept: int) -> None:
    """Remove all but the newest reports in a folder; what cannot be removed stays."""
    with suppress(OSError):
        reports = sorted((path for path in folder.glob(f"{_PREFIX}*.txt")), key=lambda path: path.stat().st_mtime_ns)
        for old in reports[:-kept]:
            old.unlink(missing_ok=True)


def render_verification_report(report: VerificationReport) -> Iterator[str]:
    """Yield the text of a report in pieces, one per raw file."""
    result = report.result
    tally = Tally.of(result)
    earlier = sum(file.remark is not None for file in result.files() if file.outcome.succeeded)
    of_them = f" ({tally.verified.entries - earlier} in this run, {earlier} earlier in this pass)" if earlier else ""
    yield _text(
        "Verification Report",
        "===================",
        f"Output location: {printable(result.output_location)}",
        f"Timestamp: {report.ended_at:%Y-%m-%d %H:%M:%S} UTC",
        f"Pass: began {report.pass_began_at}, {'goes on' if tally.not_attempted.entries else 'is complete'}",
        "",
        "Summary:",
        "--------",
        f"Entries: {tally.total.entries}",
        f"Verified: {tally.verified.entries}{of_them}, {human_size(tally.verified.size_bytes)}",
        f"Failed: {tally.failed.entries}",
        f"Unresolvable: {tally.unresolvable.entries}",
        f"Not attempted: {tally.not_attempted.entries}",
        f"Status: {verification_status(tally)}",
        "",
        *attention_lines(result.raw_files, (Fate.FAILED, Fate.UNRESOLVABLE)),
        _RULE,
    )
    yield from map(_section, result.raw_files)
    run = ReportedRun(head=report.head, end=RunEnd(ended_at=report.ended_at))
    yield _text(f"Plan: {result.plan_digest}", f"Written by: {CREATED_BY}", *run_lines([run]))


def verification_status(tally: Tally) -> str:
    """Return in a word or two what a run of `verify` has come to; what is not well, in the words of apply's report."""
    if tally.failed.entries or tally.unresolvable.entries:
        return "PARTIAL FAILURE" if tally.verified.entries else "FAILURE"
    return "INCOMPLETE" if tally.not_attempted.entries else "SUCCESS"


def _section(raw_file: RawFileResult) -> str:
    head = (
        f"Raw File: {printable(raw_file.raw_file_id)}",
        f"Project ID: {printable(raw_file.project_id or '-')}",
        f"Destination: {printable(raw_file.destination_base or '-')}",
        f"Files: {raw_file.planned_files}",
        "",
    )
    if raw_file.failure is not None:
        return _text(*head, f"ERROR: {raw_file.failure.message}", "", _RULE)
    return _text(*head, "Files:", "------", *map(_file_line, raw_file.files), "", _RULE)


def _file_line(file: FileResult) -> str:
    name = printable(file.relative_path)
    if file.failure is None:
        when = f" {file.remark}" if file.remark else ""
        return f"{name}: OK - Verified{when} ({human_size(file.size_bytes or 0)})"
    if file.failure.kind is FailureKind.NOT_ATTEMPTED:
        return f"{name}: {file.failure.message} (its size is right)"
    return f"{name}: FAILURE - {file.failure.message}"


def _text(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)
