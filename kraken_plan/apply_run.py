"""Carries out a plan for `apply` and `restore`: preflight -> run -> reports -> exit code."""

import functools
import os
import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from applier.disk.leftovers import planned_names, unfinished_names
from applier.disk.names import find_merged_files
from applier.disk.run_folders import Stagings
from applier.disk.verified_files import VerifiedFiles
from applier.reports.kept_run import keep_run
from applier.reports.results_target import results_sink
from applier.reports.results_writer import ResultSink, SinkPair
from applier.reports.run_records import RunRecords
from applier.restore.apply_plan import apply_plan
from applier.restore.crew import Crew
from applier.restore.find_object import Acceptance
from applier.restore.jobs import allowed_idle_folders
from applier.restore.preflight import Preflight, look_before_flight
from applier.restore.progress import Progress
from applier.restore.session import Session, open_session
from applier.restore.tools import CheckTools, Quarantine, RestoreTools
from applier.s3.archive import ThawWait
from applier.s3.bandwidth import BandwidthLimit
from applier.s3.credential_process import end_helpers
from applier.s3.lists.objects_ahead import ObjectsAhead
from kraken_plan.console import leave, say, say_unless_quiet
from kraken_plan.finish.finish import Finish
from kraken_plan.kept_results import find_state_folder
from kraken_plan.options.required_approvals import ApprovedOptions, check_required_approvals
from kraken_plan.options.s3_choice import S3Options, explain_other_s3
from kraken_plan.report_results import ReportChoice, summarize_end, write_wanted_reports
from kraken_plan.screen.begin_and_end import EndOfRun, describe_s3, say_end, say_start
from kraken_plan.screen.kinds import ProgressKind
from kraken_plan.screen.progress import shown_progress
from kraken_plan.screen.run_counts import RunCounts, plan_at_start
from kraken_plan.signals import StopRequest, stop_on_signals
from kraken_plan.this_run import begin_run
from schemas.errors import DestinationError, PreflightError
from schemas.plan import Plan
from schemas.plan_conflicts import explain_one_file, refuse_one_file, with_conflicts_as_errors
from schemas.plan_file import serialize_plan
from schemas.results import Failure, RunHead
from schemas.tally import Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyOptions(ApprovedOptions):
    """What the command line asks for."""

    dry_run: bool
    expect_digest: str | None
    skip_space_check: bool
    results: Path | None
    state_dir: Path | None
    max_bandwidth: int | None
    on_corrupt: str
    wait_for_thaw: bool
    max_wait: int
    skip_conflicts: bool
    report: str
    report_dir: str | None
    no_report: bool
    progress: ProgressKind
    adds_results: bool = False  # to those that the results file has
    keep_run: bool = False  # the plan stands in no file yet: keep it, and the results, beside the reports

    @property
    def keep_corrupt(self) -> bool:
        """Whether the old bytes of a healed file stay."""
        return self.on_corrupt == "quarantine"

    @property
    def report_choice(self) -> ReportChoice:
        """Which reports to write, and where."""
        return ReportChoice(report="never" if self.no_report else self.report, report_dir=self.report_dir)

    @property
    def thaw_wait(self) -> ThawWait | None:
        """How long to wait for what S3 is restoring from its archives; None not to wait."""
        return ThawWait(max_seconds=self.max_wait) if self.wait_for_thaw else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """What a run is asked for, who has approved it, and to whom its end is passed on."""

    options: ApplyOptions
    finish: Finish
    approvals: tuple[str, ...]


def carry_out(reviewed: Plan, options: ApplyOptions, finish: Finish) -> int:
    """Restore a plan, or only look at it for `--dry-run`; return the exit code.

    Args:
        reviewed: the plan as it was read.
        options: what the command line asks for.
        finish: passes on how the run has ended.

    Raises:
        KrakenPlanError: it is refused, and nothing was touched.
    """
    approvals = check_required_approvals(reviewed, options)
    for approval in approvals:
        say_unless_quiet(f"approved by {approval}")
    s3 = S3Options(endpoint_url=options.endpoint_url, region=options.region, profile=options.profile)
    if words := explain_other_s3(reviewed, s3, os.environ):
        say_unless_quiet(words)
    limit = None if options.max_bandwidth is None else BandwidthLimit(options.max_bandwidth)
    with (
        stop_on_signals(say, end_helpers) as stop,
        open_session(reviewed, options.session_settings, stop.event, limit) as session,
    ):
        stop.is_connecting = False
        say_start(session, options)
        preflight = look_before_flight(
            session.plan, session.output, session.fetcher, session.jobs, keep_corrupt=options.keep_corrupt
        )
        s3_name = str(describe_s3(session))
        if problems := preflight.problems(skip_space_check=options.skip_space_check, s3_name=s3_name):
            raise PreflightError(problems)
        if options.dry_run:
            return _dry_run(session, stop, options, preflight)
        request = _Request(options=options, finish=finish, approvals=approvals)
        return _restore(session, stop, request, preflight.bucket_failures)


def _restore(session: Session, stop: StopRequest, request: _Request, bucket_failures: Mapping[str, Failure]) -> int:
    options, finish = request.options, request.finish
    plan, output = _without_merged_files(session, options), session.output
    resumable_names, max_idle_folders = functools.partial(planned_names, plan), allowed_idle_folders(session.jobs)
    run_id, head = uuid.uuid4().hex[:16], begin_run(plan, request.approvals)
    stagings = Stagings(output, run_id, resumable_names, max_idle_folders)
    records = RunRecords(find_state_folder(options.state_dir), plan.plan_digest)
    kept_paths: tuple[str, ...] = ()
    with ExitStack() as opened:
        if options.keep_run:
            kept_paths, results = _keep_run(session, stagings, head)
            opened.callback(results.close)
        else:
            sink_of_results = results_sink(options.results, options.plan, plan, head, adds=options.adds_results)
            results = opened.enter_context(sink_of_results)
        counts = RunCounts(plan_at_start(plan, bucket_failures), session.fetcher.outage.silence)
        sink = SinkPair(results, records.start(head, run_id))
        tools = RestoreTools(
            check=_check_tools(session, counts, options.accept),
            stagings=stagings,
            verified_files=VerifiedFiles(output),
            quarantine=Quarantine.of(plan, keep_healed=options.keep_corrupt),
            hints=records,
            s3_name=str(describe_s3(session)),
        )
        with shown_progress(counts, options.progress, stop):
            result, ended = apply_plan(plan, tools, sink, bucket_failures, options.thaw_wait)
            counts.end(Tally.of(result))
        try:
            reports = write_wanted_reports(result, head, (output, stagings), options.report_choice)
        finally:
            if ended:
                stagings.close(functools.partial(unfinished_names, plan, result))
        state = counts.state()
        say_end(session, options, EndOfRun(plan=plan, result=result, state=state, stop=stop, kept=kept_paths))
        well = finish.print_paths([*reports.paths, *kept_paths]) and reports.complete and result.succeeded
        exit_code = stop.exit_code or (0 if well else 1)
        summary = summarize_end(result, head, exit_code, reports.paths, state.fetched_bytes)
        sink.run_ended(summary)
        well = sink.close() and well
        exit_code = stop.exit_code or (0 if well else 1)
        if not finish.pass_on(summary.with_exit_code(exit_code)):
            exit_code = exit_code or 1
    return _leave_unless_ended(stop, exit_code, ended=ended)


def _keep_run(session: Session, stagings: Stagings, head: RunHead) -> tuple[tuple[str, ...], ResultSink]:
    """Keep the plan, and give the sink that keeps the results.

    Raises:
        DestinationError: they cannot be kept, and nothing is left behind.
    """
    try:
        return keep_run(session.plan, serialize_plan(session.plan), (session.output, stagings), head)
    except DestinationError:
        stagings.close(lambda _destination: frozenset())
        raise


def _without_merged_files(session: Session, options: ApplyOptions) -> Plan:
    """Return the plan with those files as errors that the file system would merge.

    Raises:
        DestinationError: there are some, and the options do not say to go on without them.
    """
    conflicts = find_merged_files(session.plan, session.output)
    if conflicts and not options.skip_conflicts:
        raise DestinationError(refuse_one_file(conflicts))
    return with_conflicts_as_errors(session.plan, conflicts, explain_one_file)


def _dry_run(session: Session, stop: StopRequest, options: ApplyOptions, preflight: Preflight) -> int:
    from applier.look.check_plan import check_plan  # noqa: PLC0415
    from applier.restore.check_file import Look  # noqa: PLC0415  # most runs are not dry
    from kraken_plan.views.status_text import PlanStatus, status_lines  # noqa: PLC0415
    from kraken_plan.views.terminal import show_lines, stdout_paint  # noqa: PLC0415

    counts = RunCounts(plan_at_start(session.plan), session.fetcher.outage.silence, only_looks=True)
    with shown_progress(counts, options.progress, stop):
        tools = _check_tools(session, counts, options.accept)
        look = check_plan(session.plan, tools, Look.THREE_WAY, preflight.bucket_failures)
    status = PlanStatus(
        plan_digest=session.plan.plan_digest or "", files=look.files, preflight=preflight, hashed=True, rate=None
    )
    show_lines(status_lines(status, stdout_paint()))
    well = all(file.action is not None for file in look.files)
    return _leave_unless_ended(stop, stop.exit_code or (0 if well else 1), ended=look.ended)


def _leave_unless_ended(stop: StopRequest, exit_code: int, *, ended: bool) -> int:
    """Return the exit code of a run; where threads still wait for S3, leave with it at once."""
    if not ended:
        stop.end_helpers()
        leave(exit_code)
    return exit_code


def _check_tools(session: Session, progress: Progress, accept: Acceptance) -> CheckTools:
    crew = Crew(session.jobs, session.fetcher.stop)
    ahead = ObjectsAhead(session.fetcher)
    return CheckTools(
        output=session.output, fetcher=session.fetcher, ahead=ahead, crew=crew, progress=progress, accept=accept
    )
