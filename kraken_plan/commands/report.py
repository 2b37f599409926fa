"""`kraken-plan report`: a plan and the results of several applies -> one set of reports -> exit code."""

import logging
import sys
import uuid
from contextlib import ExitStack
from datetime import UTC, datetime

import click

from applier.disk.folders import open_output_location
from applier.disk.run_folders import Stagings
from applier.reports.confirm_results import confirm_results
from applier.reports.merge_results import check_same_place
from applier.restore.output_root import reroot_plan
from applier.restore.site_policy import SitePolicy, absolute_roots
from kraken_plan.console import say
from kraken_plan.views.page_file import write_page
from kraken_plan.views.plan_page import plan_page
from kraken_plan.views.result_text import summary, write_reports
from schemas.plan import Plan
from schemas.plan_source import load_plan, plan_name
from schemas.results import ApplyResult
from schemas.results_file import load_results

logger = logging.getLogger(__name__)


@click.command(
    "report",
    epilog="""\b
Exit codes:
  0  every file of the plan was verified by one of the runs
  1  something failed or was not attempted (see the reports), or a report could not be written
  2  refused: no plan, no results, or not this plan's; nothing is written

\b
Examples:
  kraken-plan report --plan plan.json shard-*.results
  kraken-plan report --plan plan.json first-night.jsonl second-night.jsonl --output-root /mnt/restore
  kraken-plan report --plan plan.json results.jsonl --html results.html

Each file is reported once. The newest run that attempted it counts, by the time when it began, and only if it was of
the bytes that the plan asks for, at the place that the plan asks for. What no run attempted is `FAILURE - Not
attempted`.
""",
)
@click.argument("results", metavar="RESULTS...", nargs=-1, required=True)
@click.option("--plan", metavar="PLAN", required=True, help="The plan as a whole; `-` reads it from stdin.")
@click.option(
    "--output-root",
    envvar="KRAKEN_PLAN_OUTPUT_ROOT",
    show_envvar=True,
    metavar="DIR",
    help="The --output-root that the applies were given.",
)
@click.option(
    "--config",
    envvar="KRAKEN_PLAN_CONFIG",
    show_envvar=True,
    metavar="YAML",
    help="The site's alphakraken.<env>.yaml: refuse a plan that names another output location or S3 server.",
)
@click.option(
    "--allow-output-root",
    metavar="DIR",
    type=click.Path(),
    multiple=True,
    help="As for apply: a folder that plans may name, beside the site's output location.",
)
@click.option("--html", metavar="FILE", help="Write the plan's page with what became of each file to FILE, too.")
def report_command(  # noqa: PLR0913  # an argument for each option
    *,
    results: tuple[str, ...],
    plan: str,
    output_root: str | None,
    config: str | None,
    allow_output_root: tuple[str, ...],
    html: str | None,
) -> None:
    """Write one set of reports out of the RESULTS of several applies of PLAN, or of what it was split into.

    RESULTS are files of `apply --results`. Prints the paths of the reports.
    """
    policy = SitePolicy(
        config=config,
        allowed_roots=absolute_roots(allow_output_root),
        own_output=output_root is not None,
        own_endpoint=False,
    )
    reviewed = load_plan(plan)
    moved = reviewed if output_root is None else reroot_plan(reviewed, output_root)
    trusted = policy.trusted_folder(moved, plan_name(plan))
    result = merged_result(moved, results)
    if html is not None:  # first: where it cannot be written, nothing is
        write_page(plan_page(moved, plan_name(plan), result), html)
    with ExitStack() as opened:
        output = opened.enter_context(open_output_location(moved.output_location, trusted))
        stagings = Stagings(output, uuid.uuid4().hex[:16], lambda _destination: frozenset())
        opened.callback(stagings.close)
        well = write_reports(result, output, stagings) and result.succeeded
    if logger.isEnabledFor(logging.WARNING):
        say(summary(result))
    sys.exit(0 if well else 1)


def merged_result(plan: Plan, results: tuple[str, ...]) -> ApplyResult:
    """Return the result of a plan out of results files of applies that restored to the same place.

    Raises:
        ResultsError: one of them is no results file, or of another plan or place.
    """
    runs = [run for path in results for run in load_results(path)]
    check_same_place(plan, runs)
    return confirm_results(plan, runs, datetime.now(UTC))
