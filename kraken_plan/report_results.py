"""Ends a run, of `apply` or out of several applies: writes the reports and prints their paths."""

import logging
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import click

from applier.disk.folders import OutputFolder
from applier.disk.run_folders import Stagings
from applier.reports.report import write_reports
from schemas.results import ApplyResult
from schemas.text import shown_on

logger = logging.getLogger(__name__)


def report_results(
    result: ApplyResult, output: OutputFolder, stagings: Stagings, kept_paths: Sequence[str] = ()
) -> bool:
    """Write the report of every destination and print their paths; tell whether all of that succeeded.

    Args:
        result: of the run.
        output: the output location.
        stagings: lend folders on the same file system as a destination.
        kept_paths: of what else was kept of the run, printed after those of the reports.
    """
    reports = write_reports(result, output, stagings, datetime.now(UTC))
    return print_paths([*reports.paths, *kept_paths]) and reports.complete


def print_paths(paths: Iterable[str]) -> bool:
    """Print paths on stdout, a line each; tell whether all of them could be printed."""
    try:
        for path in paths:
            click.echo(shown_on(sys.stdout, path))
    except OSError as error:
        logger.error("the paths of the reports cannot be printed: %s", error.strerror)  # noqa: TRY400  # not a bug
        return False
    return True
