"""`kraken-plan report`: a plan and the results of several applies -> one set of reports -> exit code."""

import sys
import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from applier.disk.folders import open_output_location
from applier.disk.run_folders import Stagings
from applier.reports.confirm_results import confirm_results
from applier.reports.merge_results import check_same_place
from applier.reports.report import Reporting, write_reports
from applier.reports.report_text import ReportedRun
from applier.reports.run_summary import count_fetched_bytes
from applier.restore.output_root import reroot_plan
from applier.restore.site_policy import SitePolicy, absolute_roots
from kraken_plan.console import say, say_unless_quiet
from kraken_plan.finish.finish import Finish, finish_options, take_finish
from kraken_plan.kept_results import load_kept_runs, state_dir_option
from kraken_plan.options.run_options import (
    allow_output_root_option,
    config_option,
    output_root_option,
    report_dir_option,
)
from kraken_plan.output_files import write_page
from kraken_plan.report_results import ReportChoice, summarize_end
from kraken_plan.this_run import begin_run
from kraken_plan.views.end_text import failures_line, summary_line
from kraken_plan.views.pages.page import render_page
from kraken_plan.views.pages.result_page import result_page
from schemas.plan import Plan
from schemas.plan_source import load_plan, plan_name
from schemas.results import RecordedRun
from schemas.results_file import load_results


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOptions:
    """What the command line asks for."""

    results: tuple[str, ...]
    plan: str
    output_root: str | None
    config: str | None
    allow_output_root: tuple[str, ...]
    state_dir: Path | None
    report_dir: str | None
    html: str | None


@click.command(
    "report",
    epilog="""\b
Exit codes:
  0  every file of the plan was verified by one of the runs
  1  something failed, was not attempted or is unresolvable (see the reports), or a report could not be written
  2  refused: a plan or results that cannot be used, or results of another plan; nothing is written

\b
Examples:
  kraken-plan report --plan plan.json
  kraken-plan report --plan plan.json shard-*.results
  kraken-plan report --plan plan.json first-night.jsonl second-night.jsonl --output-root /mnt/restore
  kraken-plan report --plan plan.json results.jsonl --html results.html

Every file is reported once. What counts is the latest run that attempted it, by the time that run began, and only if it
fetched the bytes that the plan asks for to the place that the plan asks for. A file that a run verified also has to be
there still, with its right size. What no run attempted is reported as `FAILURE - Not attempted`. With --output-root,
give the one that the applies were given.
""",
)
@click.argument("results", metavar="[RESULTS...]", nargs=-1)
@click.option("--plan", metavar="PLAN", required=True, help="The whole plan; `-` reads it from stdin.")
@output_root_option
@config_option
@allow_output_root_option
@state_dir_option
@report_dir_option
@finish_options()
@click.option("--html", metavar="FILE", help="Also write the plan's page, with what happened to each file, to FILE.")
def report_command(**options: object) -> None:
    """Write one set of reports from the RESULTS of several applies of PLAN, or of the plans it was split into.

    RESULTS are files that `apply --results` wrote; without any, they are those that are kept of the last ten applies of
    PLAN. Prints the paths of the reports.
    """
    chosen = ReportOptions(**options)  # type: ignore[arg-type]  # click checked the types
    finish = take_finish(click.get_current_context(), chosen.plan, chosen.config)
    with finish.telling_refusals():
        sys.exit(_report(chosen, finish))


def _report(options: ReportOptions, finish: Finish) -> int:
    ReportChoice(report="always", report_dir=options.report_dir).check()
    policy = SitePolicy(
        config=options.config,
        allowed_roots=absolute_roots(options.allow_output_root),
        own_output=options.output_root is not None,
        own_endpoint=False,
    )
    name, reviewed = plan_name(options.plan), load_plan(options.plan)
    plan = reviewed if options.output_root is None else reroot_plan(reviewed, options.output_root)
    trusted = policy.trusted_folder(plan, name)
    runs = _find_runs(plan, options)
    result = confirm_results(plan, runs, datetime.now(UTC))
    if options.html is not None:  # first: if it cannot be written, nothing is
        write_page(render_page(result_page(plan, name, result, runs)), options.html)
    with ExitStack() as opened:
        output = opened.enter_context(open_output_location(plan.output_location, trusted))
        stagings = Stagings(output, uuid.uuid4().hex[:16], lambda _destination: frozenset())
        opened.callback(stagings.close)
        reported = [ReportedRun(head=run.head, end=run.end, name=run.name) for run in runs]
        head = begin_run(plan)
        reporting = Reporting(written_at=head.started_at, runs=reported, folder=options.report_dir)
        reports = write_reports(result, output, stagings, reporting)
        well = finish.print_paths(reports.paths) and reports.complete and result.succeeded
    say_unless_quiet(summary_line(result))
    if line := failures_line(result):
        say(line)
    summary = summarize_end(result, head, 0 if well else 1, reports.paths, count_fetched_bytes(result))
    well = finish.pass_on(summary) and well
    return 0 if well else 1


def _find_runs(plan: Plan, options: ReportOptions) -> list[RecordedRun]:
    """Return the runs that restored to the plan's place: from the files that are named, else those that are kept.

    Raises:
        ResultsError: there are none, one is not a results file, or one is of another place.
    """
    if options.results:
        runs = [run for path in options.results for run in load_results(path)]
        check_same_place(plan, runs)
        return runs
    kept = load_kept_runs(plan, options.state_dir)
    runs = [run for run in kept if run.head.output_location == plan.output_location]
    if not runs:
        check_same_place(plan, kept[-1:])
    return runs
