"""Ends a run: writes the reports that are wanted, prints their paths, and sums it up for its results."""

import logging
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import click

from applier.disk.folders import OutputFolder
from applier.disk.run_folders import Stagings
from applier.reports.report import Reporting, WrittenReports, check_report_dir, write_reports
from applier.reports.report_text import ReportedRun
from applier.reports.run_summary import RunSummary
from schemas.paths import path_below
from schemas.results import ApplyResult, Outcome, RunEnd, RunHead
from schemas.text import printable, shown_on

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportChoice:
    """Which reports to write, and where.

    Args:
        report: `always`, `changes` (unless everything was right already) or `never`.
        report_dir: the folder to write them into; by default, each into its destination.
    """

    report: str
    report_dir: str | None = None

    def check(self) -> None:
        """See that reports can be written.

        Raises:
            ConfigError: they cannot.
        """
        if self.report_dir is not None:
            check_report_dir(self.report_dir)

    def wants_report_of(self, result: ApplyResult) -> bool:
        """Tell whether a run that ended like this is reported."""
        if self.report != "changes":
            return self.report == "always"
        return not result.succeeded or any(file.outcome is not Outcome.SKIPPED for file in result.files())


def write_wanted_reports(
    result: ApplyResult, head: RunHead, place: tuple[OutputFolder, Stagings], choice: ReportChoice
) -> WrittenReports:
    """Write the reports of a run that has ended, if they are wanted.

    Args:
        result: of the run.
        head: how it began.
        place: the output location, and staging folders below it.
        choice: which reports to write, and where.
    """
    output, stagings = place
    now = datetime.now(UTC)
    if choice.wants_report_of(result):
        runs = [ReportedRun(head=head, end=RunEnd(ended_at=now))]
        reporting = Reporting(written_at=now, runs=runs, folder=choice.report_dir)
        reports = write_reports(result, output, stagings, reporting)
        if choice.report_dir is None:  # each was seen at its path
            return reports
        return replace(reports, complete=is_in_place(output) and reports.complete)
    for destination in result.by_destination():
        stagings.sweep(path_below(destination, output.path))
    return WrittenReports(paths=(), complete=is_in_place(output))


def summarize_end(
    result: ApplyResult, head: RunHead, exit_code: int, reports: Sequence[str], fetched_bytes: int
) -> RunSummary:
    """Sum up a run that ends now, and fetched so many bytes."""
    end = RunEnd(ended_at=datetime.now(UTC), exit_code=exit_code, fetched_bytes=fetched_bytes, reports=tuple(reports))
    return RunSummary.of(result, head, end)


def print_paths(paths: Iterable[str]) -> bool:
    """Print the paths of what a run has written, a line each, and tell whether that succeeded."""
    try:
        for path in paths:
            click.echo(shown_on(sys.stdout, path))
    except OSError as error:
        logger.error("the paths of the reports cannot be printed: %s", error.strerror)  # noqa: TRY400  # not a bug
        return False
    return True


def is_in_place(output: OutputFolder) -> bool:
    """Tell whether the output location is where the run found it; only reports in it would notice that at the end."""
    try:
        output.check_in_place()
    except OSError as error:
        logger.error("%s: %s", printable(output.path), error.strerror)  # noqa: TRY400  # not a bug
        return False
    return True
