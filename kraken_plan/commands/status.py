"""`kraken-plan status`: options -> a look at plan, S3 and local files -> words or JSON -> exit code."""

import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from applier.look.check_plan import check_plan
from applier.look.status import StatusTotals
from applier.reports.confirm_results import confirm_results
from applier.reports.merge_results import check_same_place
from applier.reports.run_summary import RunSummary
from applier.restore.check_file import Look
from applier.restore.crew import Crew
from applier.restore.output_root import reroot_plan
from applier.restore.preflight import look_before_flight
from applier.restore.session import open_session
from applier.restore.tools import CheckTools
from applier.s3.credential_process import end_helpers
from applier.s3.lists.objects_ahead import ObjectsAhead
from kraken_plan.console import leave, say
from kraken_plan.finish.finish import Finish, summary_options, take_finish
from kraken_plan.kept_results import load_kept_runs, state_dir_option
from kraken_plan.options.plan_options import html_option
from kraken_plan.options.run_options import AccessOptions, access_options, progress_option, rate_option
from kraken_plan.output_files import write_page
from kraken_plan.screen.kinds import ProgressKind
from kraken_plan.screen.progress import shown_progress
from kraken_plan.screen.run_counts import RunCounts, plan_at_start
from kraken_plan.signals import stop_on_signals
from kraken_plan.this_run import begin_run
from kraken_plan.views.last_run_text import last_run_lines
from kraken_plan.views.pages.page import render_page
from kraken_plan.views.pages.result_page import result_page
from kraken_plan.views.pages.status_page import status_page
from kraken_plan.views.status_text import PlanStatus, status_as_json, status_lines
from kraken_plan.views.terminal import show_lines, stdout_paint, write_all
from schemas.plan import Plan
from schemas.plan_source import load_plan, plan_name
from schemas.results import RunEnd
from schemas.tally import Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusOptions(AccessOptions):
    """What the command line asks for."""

    no_local_hash: bool
    with_all: bool
    rate: int | None
    as_json: bool
    progress: ProgressKind
    html: str | None
    last: bool
    state_dir: Path | None


@click.command(
    "status",
    epilog="""\b
Exit codes:
  0        nothing to do: every file is right (with --no-local-hash: none is missing or of the wrong size)
  1        something to do, or something that cannot be done (--last: not everything was verified)
  2        refused: plan, settings or output location cannot be used
  129      hung up (SIGHUP)
  130/143  interrupted (SIGINT/SIGTERM)

\b
Examples:
  kraken-plan status plan.json
  kraken-plan status plan.json --rate 200M
  kraken-plan status plan.json --no-local-hash --json | jq .totals
  kraken-plan status plan.json --html status.html
  kraken-plan status plan.json --last

S3 is asked for the etag of every file and, where a file would be fetched, for one byte, which an archived object does
not give. The time is estimated only for a rate that you name, because nothing is fetched that could be measured.
""",
)
@access_options
@click.option(
    "--no-local-hash", is_flag=True, help="Compare only the sizes of local files: quick, but verifies nothing."
)
@click.option("--all", "with_all", is_flag=True, help="Show a line for every file, and not only what is not right.")
@rate_option("--rate", "Estimate the time that fetching takes at this rate")
@progress_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@html_option
@click.option(
    "--last",
    is_flag=True,
    help="Show how the last apply of PLAN ended, from its results, which are kept. Asks S3 nothing; looks whether what "
    "was verified is still there.",
)
@state_dir_option
@summary_options
def status_command(**options: object) -> None:
    """Compare PLAN, S3 and the local files, and show what apply would do; `-` reads the plan from stdin.

    Changes nothing at all. Shows how many entries are verified, the bytes to fetch, the space needed and free, and why
    apply would be refused; then, by reason, what is not right: what S3 has, what is on disk, and whether apply would
    download, heal or verify it, or cannot. `apply --dry-run` says the same.
    """
    chosen = StatusOptions(**options)  # type: ignore[arg-type]  # click checked the types
    finish = take_finish(click.get_current_context(), chosen.plan, chosen.config)
    with finish.telling_refusals():
        sys.exit(_status(chosen, finish))


def _status(options: StatusOptions, finish: Finish) -> int:
    if options.html is not None and (options.as_json or options.with_all):
        raise click.UsageError("--html holds everything: give it without --json and --all")
    plan_file = load_plan(options.plan)
    if options.last:
        return _show_last(plan_file, options, finish)
    with (
        stop_on_signals(say, end_helpers) as stop,
        open_session(plan_file, options.session_settings, stop.event) as session,
    ):
        stop.is_connecting = False
        plan = session.plan
        head = begin_run(plan)
        preflight = look_before_flight(plan, session.output, session.fetcher, session.jobs)
        look = Look.THREE_WAY_BY_SIZE if options.no_local_hash else Look.THREE_WAY
        counts = RunCounts(plan_at_start(plan), session.fetcher.outage.silence, only_looks=True)
        with shown_progress(counts, options.progress, stop):
            crew = Crew(session.jobs, stop.event)
            ahead = ObjectsAhead(session.fetcher)
            tools = CheckTools(output=session.output, fetcher=session.fetcher, ahead=ahead, crew=crew, progress=counts)
            seen = check_plan(plan, tools, look, preflight.bucket_failures)
        status = PlanStatus(
            plan_digest=plan.plan_digest or "",
            files=seen.files,
            preflight=preflight,
            hashed=not options.no_local_hash,
            rate=options.rate,
        )
        if options.html is not None:
            write_page(render_page(status_page(plan, plan_name(options.plan), status)), options.html)
        elif finish.owns_stdout:
            pass
        elif options.as_json:
            write_all(status_as_json(status))
        else:
            show_lines(status_lines(status, stdout_paint(), with_all=options.with_all))
        exit_code = stop.exit_code or (0 if StatusTotals.of(seen.files).nothing_to_do else 1)
        tally = Tally.of_entries((file.fate, file.size_bytes) for file in seen.files)
        end = RunEnd(ended_at=datetime.now(UTC), exit_code=exit_code)
        if not finish.pass_on(RunSummary(head=head, end=end, tally=tally, causes=())):
            exit_code = exit_code or 1
        if not seen.ended:  # threads still wait for S3
            stop.end_helpers()
            leave(exit_code)
        return exit_code


def _show_last(plan_file: Plan, options: StatusOptions, finish: Finish) -> int:
    """Show how the last apply of a plan ended.

    Raises:
        ResultsError: no results of it are kept.
    """
    plan = plan_file if options.output_root is None else reroot_plan(plan_file, options.output_root)
    kept = load_kept_runs(plan, options.state_dir)
    check_same_place(plan, kept[-1:])
    run, name = kept[-1], plan_name(options.plan)
    result = confirm_results(plan, [run], datetime.now(UTC))
    summary = RunSummary.of(result, run.head, run.end or RunEnd(ended_at=run.head.started_at))
    if options.html is not None:
        write_page(render_page(result_page(plan, name, result, [run])), options.html)
    elif finish.owns_stdout:
        pass
    elif options.as_json:
        write_all([json.dumps(summary.as_record(), indent=2), "\n"])
    else:
        show_lines(last_run_lines(run, result, name, stdout_paint()))
    exit_code = 0 if result.succeeded else 1
    return exit_code if finish.pass_on(summary.with_exit_code(exit_code)) else 1
