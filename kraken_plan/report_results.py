"""Ends a run, of `apply` or out of several applies: writes the reports, prints their paths, says a summary."""

import logging
import sys
from collections.abc import Iterable
from datetime import UTC, datetime

import click

from applier.disk.folders import OutputFolder
from applier.disk.run_folders import Stagings
from applier.reports.report import write_reports
from kraken_plan.console import say, say_unless_quiet
from kraken_plan.views.result_text import failures_line, summary_line
from schemas.results import ApplyResult
from schemas.text import shown_on

logger = logging.getLogger(__name__)


def report_results(result: ApplyResult, output: OutputFolder, stagings: Stagings) -> bool:
    """Write the report of every destination and print their paths; tell whether all of that succeeded."""
    reports = write_reports(result, output, stagings, datetime.now(UTC))
    return _print_paths(reports.paths) and reports.complete


def say_summary(result: ApplyResult) -> None:
    """Say how a run has ended; of --quiet, why it did not end well is left."""
    say_unless_quiet(summary_line(result))
    if line := failures_line(result):
        say(line)


def _print_paths(paths: Iterable[str]) -> bool:
    try:
        for path in paths:
            click.echo(shown_on(sys.stdout, path))
    except OSError as error:
        logger.error("the paths of the reports cannot be printed: %s", error.strerror)  # noqa: TRY400  # not a bug
        return False
    return True
