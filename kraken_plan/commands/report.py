"""`kraken-plan report`: a plan and the results of several applies -> one set of reports -> exit code."""

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
from kraken_plan.console import say, say_unless_quiet
from kraken_plan.output_files import write_page
from kraken_plan.report_results import report_results
from kraken_plan.shared_options import allow_output_root_option, config_option, output_root_option
from kraken_plan.views.page import render_page
from kraken_plan.views.plan_page import plan_page
from kraken_plan.views.result_text import failures_line, summary_line
from schemas.plan import Plan
from schemas.plan_source import load_plan, plan_name
from schemas.results import ApplyResult
from schemas.results_file import load_results


@click.command(
    "report",
    epilog="""\b
Exit codes:
  0  every file of the plan was verified by one of the runs
  1  something failed or was not attempted (see the reports), or a report could not be written
  2  refused: a plan or results that cannot be used, or results of another plan; nothing is written

\b
Examples:
  kraken-plan report --plan plan.json shard-*.results
  kraken-plan report --plan plan.json first-night.jsonl second-night.jsonl --output-root /mnt/restore
  kraken-plan report --plan plan.json results.jsonl --html results.html

Every file is reported once. What counts is the latest run that attempted it, by the time that run began, and only if it
fetched the bytes that the plan asks for to the place that the plan asks for. A file that a run verified also has to be
there still, with its right size. What no run attempted is reported as `FAILURE - Not attempted`. With --output-root,
give the one that the applies were given.
""",
)
@click.argument("results", metavar="RESULTS...", nargs=-1, required=True)
@click.option("--plan", metavar="PLAN", required=True, help="The whole plan; `-` reads it from stdin.")
@output_root_option
@config_option
@allow_output_root_option
@click.option("--html", metavar="FILE", help="Also write the plan's page, with what happened to each file, to FILE.")
def report_command(  # noqa: PLR0913  # an argument for each option
    *,
    results: tuple[str, ...],
    plan: str,
    output_root: str | None,
    config: str | None,
    allow_output_root: tuple[str, ...],
    html: str | None,
) -> None:
    """Write one set of reports from the RESULTS of several applies of PLAN, or of the plans it was split into.

    RESULTS are files that `apply --results` wrote. Prints the paths of the reports.
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
    if html is not None:  # first: if it cannot be written, nothing is
        write_page(render_page(plan_page(moved, plan_name(plan), result)), html)
    with ExitStack() as opened:
        output = opened.enter_context(open_output_location(moved.output_location, trusted))
        stagings = Stagings(output, uuid.uuid4().hex[:16], lambda _destination: frozenset())
        opened.callback(stagings.close)
        well = report_results(result, output, stagings) and result.succeeded
    say_unless_quiet(summary_line(result))
    if line := failures_line(result):
        say(line)
    sys.exit(0 if well else 1)


def merged_result(plan: Plan, results: tuple[str, ...]) -> ApplyResult:
    """Return the result of a plan from the results files of applies that restored to the same place.

    Raises:
        ResultsError: one of them is not a results file, or is of another plan or place.
    """
    runs = [run for path in results for run in load_results(path)]
    check_same_place(plan, runs)
    return confirm_results(plan, runs, datetime.now(UTC))
