"""Carries out a run of `verify`: the local files against the plan -> report -> exit code, and healing if asked for."""

import hashlib
import logging
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from applier.disk.folders import OutputFolder, open_output_location
from applier.reports.results_target import results_sink
from applier.reports.run_summary import RunSummary
from applier.restore.crew import Crew
from applier.restore.jobs import allowed_jobs
from applier.restore.output_root import reroot_plan
from applier.restore.progress import Progress
from applier.restore.site_policy import SitePolicy, absolute_roots
from applier.s3.bandwidth import BandwidthLimit
from applier.verify.pace import PacedProgress
from applier.verify.pass_record import open_pass
from applier.verify.verification_report import VerificationReport, remove_old_reports, write_verification_report
from applier.verify.verify_plan import Extent, VerifyTools, verify_plan
from kraken_plan.apply_run import ApplyOptions, carry_out
from kraken_plan.console import leave, say, say_error, say_unless_quiet
from kraken_plan.finish.finish import Finish, HealingFinish
from kraken_plan.finish.finished_run import FinishedRun, Refusal
from kraken_plan.kept_results import find_state_folder
from kraken_plan.report_results import is_in_place, summarize_end
from kraken_plan.screen.progress import shown_progress
from kraken_plan.screen.run_counts import RunCounts, plan_at_start
from kraken_plan.signals import StopRequest, stop_on_signals
from kraken_plan.this_run import begin_run
from kraken_plan.views.verify_text import unresolvable_summary, verify_summary
from planner.select_plan import select_wrong
from schemas.errors import KrakenPlanError
from schemas.plan import Plan
from schemas.plan_source import plan_name
from schemas.results import ApplyResult
from schemas.tally import Tally
from schemas.text import counted, printable

logger = logging.getLogger(__name__)

_KEPT_REPORTS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyOptions:
    """What the command line asks for.

    Args:
        apply: what apply would be given here: the plan's place and site, and how to heal.
        results: where to write the result of each file.
        jobs: how many things to read at once.
        max_read: bytes a second.
        max_time: seconds after which no further file is begun.
        share: of the plan's bytes to read, 1 for all that the pass has not read yet.
        restart: begin a new pass.
        heal: go on with apply for the files that are wrong.
        report_dir: where to write the report.
    """

    apply: ApplyOptions
    results: Path | None
    jobs: int
    max_read: int | None
    max_time: int | None
    share: float
    restart: bool
    heal: bool
    report_dir: Path | None

    @property
    def is_partial(self) -> bool:
        """Whether a pass takes several runs, because each of them reads only a part."""
        return self.max_time is not None or self.share < 1

    def extent(self) -> Extent:
        """Return how much to read in a run that begins now."""
        begun = time.monotonic()
        return Extent(
            share=self.share,
            is_over=lambda: self.max_time is not None and time.monotonic() - begun >= self.max_time,
        )

    def pass_folder(self, plan: Plan) -> Path | None:
        """Return where the pass over a plan, as it lies here, is remembered; None where there is no such place."""
        state_folder = find_state_folder(self.apply.state_dir)
        if state_folder is None:
            return None
        digest = (plan.plan_digest or "").removeprefix("sha256:")
        location = hashlib.sha256(plan.output_location.encode()).hexdigest()
        return state_folder / "verify" / f"{digest}-{location[:8]}"


def carry_out_verify(reviewed: Plan, options: VerifyOptions, finish: Finish) -> int:
    """Verify the local files of a plan; return the exit code.

    Args:
        reviewed: the plan as it was read.
        options: what the command line asks for.
        finish: passes on how the run has ended.

    Raises:
        KrakenPlanError: it is refused.
    """
    apply = options.apply
    plan = reviewed if apply.output_root is None else reroot_plan(reviewed, apply.output_root)
    policy = SitePolicy(
        config=apply.config,
        allowed_roots=absolute_roots(apply.allow_output_root),
        own_output=apply.output_root is not None,
        own_endpoint=True,  # S3 is not asked
    )
    trusted = policy.trusted_folder(plan, plan_name(apply.plan))
    with stop_on_signals(say) as stop:
        stop.is_connecting = False
        with open_output_location(plan.output_location, trusted) as output:
            result, summary, ended = _verify(plan, output, options, finish, stop)
            is_wrong = summary.end.exit_code == 1 and summary.tally.failed.entries > 0
            heals = options.heal and is_wrong and is_in_place(output)
    run = FinishedRun(command=finish.command, plan=finish.plan, end=summary)
    if heals:
        return _heal(reviewed, result, options, finish, run)
    well = finish.pass_on_run(run)
    exit_code = run.exit_code or (0 if well else 1)
    if not ended:  # threads still wait for the file system
        leave(exit_code)
    return exit_code


def _verify(
    plan: Plan, output: OutputFolder, options: VerifyOptions, finish: Finish, stop: StopRequest
) -> tuple[ApplyResult, RunSummary, bool]:
    """Verify the files and write the report.

    Returns:
        What was found, its summary, and whether every thread has ended.
    """
    head, folder = begin_run(plan), options.pass_folder(plan)
    record_path = None if folder is None else folder / "pass.jsonl"
    with ExitStack() as opened:
        pass_opened = open_pass(record_path, head.started_at, restart=options.restart, must_be_kept=options.is_partial)
        record = opened.enter_context(pass_opened)
        sink = opened.enter_context(results_sink(options.results, options.apply.plan, plan, head))
        counts = RunCounts(plan_at_start(plan))
        tools = _tools(output, counts, options, stop)
        with shown_progress(counts, options.apply.progress, stop):
            result, ended = verify_plan(plan, tools, record, options.extent(), sink)
            counts.end(Tally.of(result))
        tally = Tally.of(result)
        if not tally.not_attempted.entries:
            record.end()
        record.save()
        report = VerificationReport(
            result=result, pass_began_at=record.head.began_at, head=head, ended_at=datetime.now(UTC)
        )
        paths, well = _write_report(report, options.report_dir or folder, is_kept=options.report_dir is not None)
        for line in verify_summary(report, heals=options.heal, is_pass_kept=record.is_kept):
            say_unless_quiet(line)
        for line in unresolvable_summary(result):  # also when quiet: everything else that fails a run was logged
            say(line)
        # Where a run reads only a part, the next one has to know which.
        is_pass_lost = options.is_partial and not record.is_kept
        if is_pass_lost:
            logger.error("the next run will read the same files again: this pass may never be complete")
        is_right = not (tally.failed.entries or tally.unresolvable.entries or is_pass_lost)
        well = finish.print_paths(paths) and is_in_place(output) and well and is_right
        summary = summarize_end(result, head, stop.exit_code or (0 if well else 1), paths, fetched_bytes=0)
        sink.run_ended(summary)
        well = sink.close() and well
    return result, summary.with_exit_code(stop.exit_code or (0 if well else 1)), ended


def _tools(output: OutputFolder, progress: Progress, options: VerifyOptions, stop: StopRequest) -> VerifyTools:
    if options.max_read is not None:
        progress = PacedProgress(progress, BandwidthLimit(options.max_read), stop.event)
    crew = Crew(allowed_jobs(options.jobs), stop.event)
    return VerifyTools(output=output, crew=crew, progress=progress, accept=options.apply.accept)


def _write_report(report: VerificationReport, folder: Path | None, *, is_kept: bool) -> tuple[tuple[str, ...], bool]:
    """Write the report; return its path, and whether that succeeded."""
    if folder is None:
        logger.warning("no report is written: there is no state folder; --report-dir names one")
        return (), True
    try:
        path = write_verification_report(report, folder)
    except OSError as error:
        logger.error("%s: the report cannot be written: %s", printable(str(folder)), error.strerror)  # noqa: TRY400  # not a bug
        return (), False
    if not is_kept:
        remove_old_reports(folder, _KEPT_REPORTS)
    return (str(path),), True


def _heal(reviewed: Plan, result: ApplyResult, options: VerifyOptions, finish: Finish, run: FinishedRun) -> int:
    """Apply the plan to what is wrong; return the exit code. The digest stays that of the reviewed plan.

    The results of apply are added to those of `verify`, and count in their place: they are of a later run.
    """
    wrong = replace(select_wrong(reviewed, result), plan_digest=reviewed.plan_digest)
    say_unless_quiet(f"applying the plan to {counted(wrong.totals().files, 'file')}")
    healing = HealingFinish(command="apply", plan=finish.plan, summary=finish.summary, run=run, finish=finish)
    try:
        heal = replace(options.apply, results=options.results, adds_results=True)
        return carry_out(wrong, heal, healing) or run.exit_code_of_unresolvable
    except KrakenPlanError as error:
        say_error(f"error: nothing was healed: {error}")
        finish.pass_on_run(replace(run, healing=Refusal(reason=str(error), at=datetime.now(UTC))))
        return 1
