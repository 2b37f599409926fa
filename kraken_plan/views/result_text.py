"""How a run ends, of `apply` or out of several applies: the reports, their paths on stdout, a line of summary."""

import logging
import sys
from collections import Counter
from datetime import UTC, datetime

import click

from applier.disk.folders import OutputFolder
from applier.disk.run_folders import Stagings
from applier.reports.report import write_batch_status_report
from schemas.paths import path_below
from schemas.results import ApplyResult, Outcome
from schemas.text import counted, printable, shown_on

logger = logging.getLogger(__name__)


def write_reports(result: ApplyResult, output: OutputFolder, stagings: Stagings) -> bool:
    """Write the report of every destination, then print their paths, and tell whether all of that could be done."""
    written_at = datetime.now(UTC)
    paths, well = [], True
    for destination, raw_files in result.by_destination().items():
        try:
            with stagings.lent(path_below(destination, output.path)) as staging:
                place = output, staging
                paths.append(write_batch_status_report(result, destination, raw_files, written_at, place))
        except OSError as error:
            logger.error("%s: the report cannot be written: %s", printable(destination), error.strerror)  # noqa: TRY400  # no bug
            well = False
    try:
        for path in paths:
            click.echo(shown_on(sys.stdout, path))
    except OSError as error:
        logger.error("the paths of the reports cannot be printed: %s", error.strerror)  # noqa: TRY400  # no bug
        well = False
    return well


def summary(result: ApplyResult) -> str:
    """Return in one line how a plan's files have ended."""
    outcomes = Counter(file.outcome for file in result.files())
    counts = ", ".join(f"{outcomes[outcome]} {outcome.value}" for outcome in Outcome)
    failed = sum(raw_file.failure is not None for raw_file in result.raw_files)
    as_a_whole = f"; {counted(failed, 'raw file')} failed as a whole" if failed else ""
    total = counted(sum(raw_file.planned_files for raw_file in result.raw_files), "file")
    return f"{counted(len(result.raw_files), 'raw file')}, {total}: {counts}{as_a_whole}"
