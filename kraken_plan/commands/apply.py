"""`kraken-plan apply`: options -> collaborators -> run -> reports -> exit code."""

import functools
import logging
import os
import platform
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from applier.disk.folders import OutputFolder
from applier.disk.names import find_merged_files
from applier.disk.run_folders import Stagings
from applier.disk.verified_files import VerifiedFiles
from applier.reports.results_writer import SinkPair, results_sink
from applier.reports.run_records import RunRecords
from applier.restore.apply_plan import apply_plan
from applier.restore.check_file import Look
from applier.restore.check_plan import check_plan
from applier.restore.crew import Crew
from applier.restore.find_object import Acceptance
from applier.restore.jobs import allowed_idle_folders
from applier.restore.leftovers import planned_names, unfinished_names
from applier.restore.preflight import look_before_flight
from applier.restore.progress import Progress
from applier.restore.session import Session, open_session
from applier.restore.tools import CheckTools, Quarantine, RestoreTools
from applier.s3.bandwidth import BandwidthLimit
from kraken_plan.console import leave, say, say_unless_quiet
from kraken_plan.progress import shown_progress
from kraken_plan.report_results import report_results
from kraken_plan.s3_choice import S3Options, explain_other_s3
from kraken_plan.shared_options import AccessOptions, access_options, rate_option
from kraken_plan.signals import StopRequest, stop_on_signals
from kraken_plan.views.result_text import summary_line, unresolvable_line
from kraken_plan.views.status_text import dry_run_line
from schemas.errors import DestinationError, PlanError, PreflightError
from schemas.paths import path_below
from schemas.plan import Plan
from schemas.plan_conflicts import explain_one_file, refuse_one_file, with_conflicts_as_errors
from schemas.plan_source import load_plan
from schemas.results import Failure
from schemas.text import printable

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyOptions(AccessOptions):
    """What the command line asks for."""

    dry_run: bool
    expect_digest: str | None
    skip_space_check: bool
    results: Path | None
    state_dir: Path | None
    max_bandwidth: int | None
    on_corrupt: str
    recover_versions: bool
    accept_other_parts: bool
    accept_md5: bool
    skip_conflicts: bool
    no_report: bool

    @property
    def keep_corrupt(self) -> bool:
        """Whether the old bytes of a healed file stay."""
        return self.on_corrupt == "quarantine"

    @property
    def state_folder(self) -> Path | None:
        """Where the results of runs are kept: https://specifications.freedesktop.org/basedir-spec; None if nowhere."""
        if self.state_dir is not None:
            return self.state_dir
        base = Path(os.environ.get("XDG_STATE_HOME", ""))
        try:
            return (base if base.is_absolute() else Path("~/.local/state").expanduser()) / "kraken-plan"
        except RuntimeError:  # a user without a home
            return None

    @property
    def accept(self) -> Acceptance:
        """Which objects to accept besides those that the plan names."""
        return Acceptance(
            older_versions=self.recover_versions, other_parts=self.accept_other_parts, md5=self.accept_md5
        )


@click.command(
    "apply",
    epilog="""\b
Exit codes:
  0        everything is verified
  1        something failed (see the reports)
  2        refused, nothing touched
  129      hung up (SIGHUP), what was done is reported
  130/143  interrupted (SIGINT/SIGTERM), what was done is reported

\b
Examples:
  kraken-plan apply plan.json
  kraken-plan apply plan.json --dry-run
  kraken-plan apply plan.json --expect-digest sha256:65fa8cb5… --on-corrupt quarantine
  kraken-plan apply plan.json --output-root /mnt/restore --results results.jsonl

However it was stopped, the same command resumes. The first signal ends a run in order, the second one at once; SIGUSR1
makes it say how far it has come.
""",
)
@access_options
@click.option("--dry-run", is_flag=True, help="Check S3 and the local files, say what would be done, change nothing.")
@click.option("--expect-digest", metavar="DIGEST", help="Refuse any plan but the one with this plan_digest.")
@click.option(
    "--skip-space-check",
    is_flag=True,
    help="Start even if there is no room for what is missing, plus 10 %. (The check never sees quotas.)",
)
@click.option(
    "--results",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write the result of each file to FILE, as JSON lines. Not for two runs at once.",
)
@click.option(
    "--state-dir",
    envvar="KRAKEN_PLAN_STATE_DIR",
    show_envvar=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Keep the results of the last ten runs of each plan in DIR. [default: ~/.local/state/kraken-plan]",
)
@rate_option("--max-bandwidth", "Fetch at most this much over all jobs; the default is no limit")
@click.option(
    "--on-corrupt",
    type=click.Choice(["replace", "quarantine"]),
    default="replace",
    show_default=True,
    help="What to do with the bytes of a corrupt local file once it is healed: quarantine keeps them as "
    "NAME.corrupted.",
)
@click.option(
    "--recover-versions",
    is_flag=True,
    help="If S3's current object is missing or has another etag, restore the newest older version that has the planned "
    "one. Needs s3:ListBucketVersions and s3:GetObjectVersion.",
)
@click.option(
    "--accept-other-parts",
    is_flag=True,
    help="Also fetch objects of the right size whose etag differs because they were uploaded again in other parts (a "
    "copied or migrated bucket). The planned etag, computed from the bytes read back, decides.",
)
@click.option(
    "--accept-md5",
    is_flag=True,
    help="If S3's etag is not made of the object's bytes (SSE-KMS, SSE-C, some S3 clones), verify by the MD5 in the "
    "plan.",
)
@click.option(
    "--skip-conflicts",
    is_flag=True,
    help="If the destination's file system does not keep two names of the plan apart (such as A.raw and a.raw), "
    "report both as failures and restore everything else.",
)
@click.option("--no-report", is_flag=True, help="Write no txt reports.")
def apply_command(**options: object) -> None:
    """Restore what PLAN says, and verify it; `-` reads the plan from stdin.

    Safe to repeat: correct files are skipped, missing ones fetched, corrupt ones healed. Checks destinations, buckets
    and free space before fetching anything. Prints the paths of the reports.
    """
    sys.exit(_apply(ApplyOptions(**options)))  # type: ignore[arg-type]  # click checked the types


def _apply(options: ApplyOptions) -> int:
    if options.dry_run and options.results is not None:
        raise click.UsageError(
            "--results is for what was restored: leave it out with --dry-run, which restores nothing"
        )
    reviewed = load_plan(options.plan)
    _check_digest(reviewed, options)
    s3 = S3Options(endpoint_url=options.endpoint_url, region=options.region, profile=options.profile)
    if words := explain_other_s3(reviewed, s3, os.environ):
        say_unless_quiet(words)
    limit = None if options.max_bandwidth is None else BandwidthLimit(options.max_bandwidth)
    with (
        stop_on_signals(say) as stop,
        open_session(reviewed, options.session_settings, stop.event, limit) as session,
    ):
        preflight = look_before_flight(
            session.plan, session.output, session.fetcher, session.jobs, keep_corrupt=options.keep_corrupt
        )
        if problems := preflight.problems(skip_space_check=options.skip_space_check):
            raise PreflightError(problems)
        if options.dry_run:
            return _dry_run(session, stop, options, preflight.bucket_failures)
        return _restore(session, stop, options, preflight.bucket_failures)


def _restore(session: Session, stop: StopRequest, options: ApplyOptions, bucket_failures: Mapping[str, Failure]) -> int:
    plan, output = _without_merged_files(session, options), session.output
    wanted, most_idle = functools.partial(planned_names, plan), allowed_idle_folders(session.jobs)
    run_id, started_at, host = uuid.uuid4().hex[:16], datetime.now(UTC), platform.node()
    stagings = Stagings(output, run_id, wanted, most_idle)
    records = RunRecords(options.state_folder, plan.plan_digest)
    with (
        shown_progress(plan, stop) as progress,
        results_sink(options.results, options.plan, plan, started_at, host) as results,
    ):
        sink = SinkPair(results, records.start(plan, started_at, host, run_id))
        tools = RestoreTools(
            check=_check_tools(session, progress, options.accept),
            stagings=stagings,
            verified_files=VerifiedFiles(output),
            quarantine=Quarantine.of(plan, keep_healed=options.keep_corrupt),
            hints=records,
        )
        result, ended = apply_plan(plan, tools, sink, bucket_failures)
        well = sink.close() and result.succeeded
        try:
            if options.no_report:
                for destination in result.by_destination():
                    stagings.sweep(path_below(destination, output.path))
                well = _is_in_place(output) and well
            else:
                well = report_results(result, output, stagings) and well
            say_unless_quiet(summary_line(result))
            if line := unresolvable_line(result):  # everything else that failed was logged
                say(line)
        finally:
            if ended:
                stagings.close(functools.partial(unfinished_names, plan, result))
    return _exit_code(stop, well=well, ended=ended)


def _is_in_place(output: OutputFolder) -> bool:
    """Tell whether the output location is where the run found it; without a report, nothing else notices at the end."""
    try:
        output.check_in_place()
    except OSError as error:
        logger.error("%s: %s", printable(output.path), error.strerror)  # noqa: TRY400  # not a bug
        return False
    return True


def _without_merged_files(session: Session, options: ApplyOptions) -> Plan:
    """Return the plan with those files as errors that the file system would merge.

    Raises:
        DestinationError: there are some, and the options do not say to go on without them.
    """
    conflicts = find_merged_files(session.plan, session.output)
    if conflicts and not options.skip_conflicts:
        raise DestinationError(refuse_one_file(conflicts))
    return with_conflicts_as_errors(session.plan, conflicts, explain_one_file)


def _dry_run(session: Session, stop: StopRequest, options: ApplyOptions, bucket_failures: Mapping[str, Failure]) -> int:
    with shown_progress(session.plan, stop) as progress:
        tools = _check_tools(session, progress, options.accept)
        look = check_plan(session.plan, tools, Look.THREE_WAY, bucket_failures)
    for file in look.files:
        click.echo(dry_run_line(file))
    return _exit_code(stop, well=all(file.action is not None for file in look.files), ended=look.ended)


def _exit_code(stop: StopRequest, *, well: bool, ended: bool) -> int:
    """Return the exit code of a run; where threads still wait for S3, leave with it at once."""
    exit_code = stop.exit_code or (0 if well else 1)
    if not ended:
        leave(exit_code)
    return exit_code


def _check_tools(session: Session, progress: Progress, accept: Acceptance) -> CheckTools:
    crew = Crew(session.jobs, session.fetcher.stop)
    return CheckTools(output=session.output, fetcher=session.fetcher, crew=crew, progress=progress, accept=accept)


def _check_digest(plan: Plan, options: ApplyOptions) -> None:
    expected = options.expect_digest
    if expected is None or plan.plan_digest == f"sha256:{expected.lower().removeprefix('sha256:')}":
        return
    raise PlanError(
        printable(options.plan),
        [f"--expect-digest asks for {printable(expected)}, but this plan has {plan.plan_digest}: review it first"],
    )
