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

from applier.disk.folded_names import check_names
from applier.disk.run_folders import Stagings
from applier.reports.results_writer import results_sink
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
from applier.restore.status import WouldDo
from applier.restore.tools import CheckTools, Quarantine, RestoreTools
from applier.s3.bandwidth import BandwidthLimit
from kraken_plan.console import leave, say, shown_progress
from kraken_plan.s3_choice import S3Options, explain_other_s3
from kraken_plan.shared_options import AccessOptions, access_options, rate
from kraken_plan.signals import StopRequest, stop_on_signals
from kraken_plan.views.dry_run import dry_run_line
from kraken_plan.views.result_text import summary, write_reports
from schemas.errors import PlanError, PreflightError
from schemas.paths import path_below
from schemas.plan import Plan
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
    max_bandwidth: int | None
    on_corrupt: str
    recover_versions: bool
    accept_other_parts: bool
    accept_md5: bool
    no_report: bool

    @property
    def keep_corrupt(self) -> bool:
        """Whether a healed file's old bytes stay."""
        return self.on_corrupt == "quarantine"

    @property
    def accept(self) -> Acceptance:
        """Which objects are accepted beside those that the plan names."""
        return Acceptance(
            older_versions=self.recover_versions, other_parts=self.accept_other_parts, md5=self.accept_md5
        )


@click.command(
    "apply",
    epilog="""\b
Exit codes: 0 everything is verified, 1 something failed (see the reports), 2 refused, nothing touched,
            130/143 interrupted (what was done is reported).

\b
Examples:
  kraken-plan apply plan.json
  kraken-plan apply plan.json --dry-run
  kraken-plan apply plan.json --expect-digest sha256:65fa8cb5… --on-corrupt quarantine
  kraken-plan apply plan.json --output-root /mnt/restore --results results.jsonl
""",
)
@access_options
@click.option("--dry-run", is_flag=True, help="Check S3 and the local files, say what would be done, change nothing.")
@click.option("--expect-digest", metavar="DIGEST", help="Refuse any plan but the one with this plan_digest.")
@click.option(
    "--skip-space-check",
    is_flag=True,
    help="Begin even where what is missing, and 10 % more, does not fit. (Quotas are never seen by that check.)",
)
@click.option(
    "--results",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write each file's result to FILE, as JSON lines.",
)
@click.option(
    "--max-bandwidth",
    metavar="RATE",
    callback=rate,
    help="Most bytes to fetch a second, over all jobs together: a number, which K, M or G (powers of 1024) may "
    "follow, for example 200M. [default: no limit]",
)
@click.option(
    "--on-corrupt",
    type=click.Choice(["replace", "quarantine"]),
    default="replace",
    show_default=True,
    help="What becomes of a corrupt local file's bytes when it is healed: quarantine keeps them as NAME.corrupted.",
)
@click.option(
    "--recover-versions",
    is_flag=True,
    help="Where S3's current object is missing or has another etag, restore the newest older version that has the "
    "planned one. Needs s3:ListBucketVersions and s3:GetObjectVersion.",
)
@click.option(
    "--accept-other-parts",
    is_flag=True,
    help="Fetch objects of the right size that were uploaded anew in other parts (a copied or migrated bucket), whose "
    "etag therefore differs. The planned etag, computed from the bytes as read back, decides.",
)
@click.option(
    "--accept-md5",
    is_flag=True,
    help="Where S3's etag is not made of the object's bytes (SSE-KMS, SSE-C, some S3 clones), verify by the MD5 that "
    "the plan has.",
)
@click.option("--no-report", is_flag=True, help="Write no txt reports.")
def apply_command(**options: object) -> None:
    """Restore what PLAN says, verified; `-` reads the plan from stdin.

    Can be run as often as one likes: what is right is skipped, what is missing is fetched, what is corrupt is healed.
    Before the first byte it sees that destinations, buckets and space are there. Prints the paths of the reports.
    """
    sys.exit(_apply(ApplyOptions(**options)))  # type: ignore[arg-type]  # click checked the types


def _apply(options: ApplyOptions) -> int:
    reviewed = load_plan(options.plan)
    _check_digest(reviewed, options)
    s3 = S3Options(endpoint_url=options.endpoint_url, region=options.region, profile=options.profile)
    if logger.isEnabledFor(logging.WARNING) and (words := explain_other_s3(reviewed, s3, os.environ)):
        say(words)
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
    plan, output = session.plan, session.output
    check_names(plan, output)
    wanted, most_idle = functools.partial(planned_names, plan), allowed_idle_folders(session.jobs)
    stagings = Stagings(output, uuid.uuid4().hex[:16], wanted, most_idle)
    started_at = datetime.now(UTC)
    with (
        shown_progress(plan) as progress,
        results_sink(options.results, options.plan, plan, started_at, platform.node()) as sink,
    ):
        tools = RestoreTools(
            check=_check_tools(session, progress, options.accept),
            stagings=stagings,
            quarantine=Quarantine(keep_healed=options.keep_corrupt, planned_paths=_planned_as_corrupted(plan)),
        )
        result, ended = apply_plan(plan, tools, sink, bucket_failures)
        well = result.succeeded and sink.succeeded
        try:
            if options.no_report:
                for destination in result.by_destination():
                    stagings.sweep(path_below(destination, output.path))
            else:
                well = write_reports(result, output, stagings) and well
            if logger.isEnabledFor(logging.WARNING):
                say(summary(result))
        finally:
            if ended:
                stagings.close(functools.partial(unfinished_names, plan, result))
        return leave(stop.exit_code or (0 if well else 1), ended=ended)


def _dry_run(session: Session, stop: StopRequest, options: ApplyOptions, bucket_failures: Mapping[str, Failure]) -> int:
    with shown_progress(session.plan) as progress:
        tools = _check_tools(session, progress, options.accept)
        look = check_plan(session.plan, tools, Look.THREE_WAY, bucket_failures)
        for file in look.files:
            click.echo(dry_run_line(file))
        well = all(file.would_do is not WouldDo.CANNOT for file in look.files)
        return leave(stop.exit_code or (0 if well else 1), ended=look.ended)


def _check_tools(session: Session, progress: Progress, accept: Acceptance) -> CheckTools:
    crew = Crew(session.jobs, session.fetcher.stop)
    return CheckTools(output=session.output, fetcher=session.fetcher, crew=crew, progress=progress, accept=accept)


def _check_digest(plan: Plan, options: ApplyOptions) -> None:
    expected = options.expect_digest
    if expected is None or plan.plan_digest == f"sha256:{expected.lower().removeprefix('sha256:')}":
        return
    raise PlanError(
        printable(options.plan),
        [f"--expect-digest asks for {printable(expected)}, this plan's is {plan.plan_digest}: review it first"],
    )


def _planned_as_corrupted(plan: Plan) -> frozenset[str]:
    """Return the planned paths that look like those of corrupt files that are kept, relative to the output location."""
    return frozenset(
        path_below(raw_file.absolute_dest_path(file), plan.output_location)
        for raw_file, file in plan.planned_files()
        if ".corrupted" in file.relative_path
    )
