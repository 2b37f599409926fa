"""Ends a run, of `apply` or out of several applies: writes the reports and prints their paths."""

import logging
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import click

from applier.disk.folders import OutputFolder
from applier.disk.run_folders import Stagings
from applier.reports.report import WrittenReports, write_reports
from applier.reports.report_text import ReportedRun
from schemas.results import ApplyResult
from schemas.text import shown_on

logger = logging.getLogger(__name__)


def report_results(
    result: ApplyResult,
    output: OutputFolder,
    stagings: Stagings,
    runs: Sequence[ReportedRun],
    report_dir: str | None = None,
) -> WrittenReports:
    """Write the report of every destination.

    Args:
        result: of the run.
        output: the output location.
        stagings: lend folders on the same file system as a destination.
        runs: which are reported.
        report_dir: a folder to write all reports into; by default, each into its destination.
    """
    return write_reports(result, output, stagings, datetime.now(UTC), runs, report_dir)


def print_paths(paths: Iterable[str]) -> bool:
    """Print the paths of what a run has written, a line each, and tell whether that succeeded."""
    try:
        for path in paths:
            click.echo(shown_on(sys.stdout, path))
    except OSError as error:
        logger.error("the paths of the reports cannot be printed: %s", error.strerror)  # noqa: TRY400  # not a bug
        return False
    return True
