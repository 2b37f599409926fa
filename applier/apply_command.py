"""`kraken-plan apply`: options -> collaborators -> run -> reports -> exit code."""

import functools
import logging
import os
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from applier.apply_plan import apply_plan
from applier.bandwidth import BandwidthLimit, parse_rate
from applier.boto_store import BotoStore, S3Access
from applier.dry_run import dry_run
from applier.fetch import Fetcher, RetryPolicy
from applier.folded_names import check_names
from applier.folders import OutputFolder, open_output_location
from applier.jobs import DEFAULT_JOBS, MOST_JOBS, allowed_idle_folders, allowed_jobs
from applier.leftovers import planned_names, unfinished_names
from applier.obstore_store import ObstoreStore
from applier.output_root import check_destinations, reroot_plan
from applier.progress import LineProgress, Progress
from applier.report import write_batch_status_report
from applier.restore_file import RestoreTools
from applier.results_writer import results_sink
from applier.run_folders import Stagings
from applier.signals import stop_on_signals
from applier.site_policy import SitePolicy, absolute_roots
from schemas.errors import ConfigError, PlanError
from schemas.paths import path_below
from schemas.plan import Plan
from schemas.plan_source import load_plan, plan_name
from schemas.results import ApplyResult, Outcome
from schemas.text import counted, printable

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyOptions:
    """What the command line asks for."""

    plan: str
    jobs: int
    dry_run: bool
    expect_digest: str | None
    output_root: str | None
    config: str | None
    allow_output_root: tuple[str, ...]
    endpoint_url: str | None
    region: str | None
    profile: str | None
    results: Path | None
    retries: int
    timeout: float
    max_bandwidth: int | None
    on_corrupt: str
    no_report: bool


def _rate(_context: click.Context, _parameter: click.Parameter, text: str | None) -> int | None:
    try:
        return None if text is None else parse_rate(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


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
@click.argument("plan", metavar="PLAN")
@click.option(
    "--jobs",
    type=click.IntRange(1, MOST_JOBS),
    default=DEFAULT_JOBS,
    show_default=True,
    help="Parts and files at once.",
)
@click.option("--dry-run", is_flag=True, help="Check S3 and the local files, say what would be done, change nothing.")
@click.option("--expect-digest", metavar="DIGEST", help="Refuse any plan but the one with this plan_digest.")
@click.option(
    "--output-root",
    envvar="KRAKEN_PLAN_OUTPUT_ROOT",
    show_envvar=True,
    metavar="DIR",
    help="Restore below DIR in place of the plan's output_location.",
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
    help="A folder that plans may restore below, beside the site's output location; any other is refused. "
    "Can be given several times.",
)
@click.option("--endpoint-url", metavar="URL", help="S3 server; goes before the plan's and the AWS chain's.")
@click.option("--region", help="AWS region; goes before the plan's and the AWS chain's.")
@click.option("--profile", help="Profile of the AWS configuration.")
@click.option(
    "--results",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write each file's result to FILE, as JSON lines.",
)
@click.option(
    "--retries",
    type=click.IntRange(0, 100),
    default=7,
    show_default=True,
    help="How often a request is repeated after a transient fault, with growing waits of up to 20 s.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0.1, 3600),
    default=20,
    show_default=True,
    metavar="SECONDS",
    help="How long S3 may say nothing before a request is repeated.",
)
@click.option(
    "--max-bandwidth",
    metavar="RATE",
    callback=_rate,
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
@click.option("--no-report", is_flag=True, help="Write no txt reports.")
def apply_command(**options: object) -> None:
    """Restore what PLAN says, verified; `-` reads the plan from stdin.

    Can be run as often as one likes: what is right is skipped, what is missing is fetched, what is corrupt is healed.
    Prints the paths of the reports.
    """
    sys.exit(_apply(ApplyOptions(**options)))  # type: ignore[arg-type]  # click checked the types


def _apply(options: ApplyOptions) -> int:
    if sys.getfilesystemencoding() != "utf-8":
        raise ConfigError("file names are not UTF-8 here: set a UTF-8 locale (LC_ALL=C.UTF-8) or PYTHONUTF8=1")
    reviewed = load_plan(options.plan)
    _check_digest(reviewed, options)
    plan = reviewed if options.output_root is None else reroot_plan(reviewed, options.output_root)
    trusted = _policy(options).trusted_folder(plan, plan_name(options.plan))
    jobs = allowed_jobs(options.jobs)
    store = ObstoreStore(BotoStore(_access(plan, options)), most_buckets=jobs)
    with ExitStack() as opened:
        output = opened.enter_context(open_output_location(plan.output_location, trusted))
        check_destinations(plan, output)
        if not options.dry_run:
            check_names(plan, output)
        stop = opened.enter_context(stop_on_signals(_say))
        stagings = Stagings(
            output, uuid.uuid4().hex[:16], functools.partial(planned_names, plan), allowed_idle_folders(jobs)
        )
        tools = RestoreTools(
            output=output,
            fetcher=Fetcher(
                store=store,
                retry=RetryPolicy(attempts=options.retries + 1),
                stop=stop.event,
                limit=None if options.max_bandwidth is None else BandwidthLimit(options.max_bandwidth),
            ),
            progress=opened.enter_context(_progress(plan)),
            stagings=stagings,
            keep_corrupt=options.on_corrupt == "quarantine",
            claimed=_claimed_as_corrupted(plan),
        )
        if options.dry_run:
            found = dry_run(plan, tools, jobs)
            for line in found.lines:
                click.echo(line)
            return _leave(stop.exit_code or (0 if found.well else 1), ended=found.ended)
        digest = plan.plan_digest or ""
        sink = opened.enter_context(results_sink(options.results, options.plan, digest, datetime.now(UTC)))
        result, ended = apply_plan(plan, tools, jobs, sink)
        well = result.succeeded and sink.succeeded
        try:
            if options.no_report:
                for destination in result.by_destination():
                    stagings.sweep(path_below(destination, output.path))
            else:
                well = _write_reports(result, output, stagings) and well
            if logger.isEnabledFor(logging.WARNING):
                _say_summary(result)
        finally:
            if ended:
                stagings.close(functools.partial(unfinished_names, plan, result))
        return _leave(stop.exit_code or (0 if well else 1), ended=ended)


def _leave(exit_code: int, *, ended: bool) -> int:
    """Return the exit code, or leave with it at once where threads still wait for S3.

    They must not find their files closed, and their numbers given to others; the kernel closes them all at once.
    """
    if not ended:
        with suppress(OSError):
            sys.stdout.flush()
        os._exit(exit_code)
    return exit_code


def _check_digest(plan: Plan, options: ApplyOptions) -> None:
    expected = options.expect_digest
    if expected is None or plan.plan_digest == f"sha256:{expected.lower().removeprefix('sha256:')}":
        return
    raise PlanError(
        printable(options.plan),
        [f"--expect-digest asks for {printable(expected)}, this plan's is {plan.plan_digest}: review it first"],
    )


def _policy(options: ApplyOptions) -> SitePolicy:
    return SitePolicy(
        config=options.config,
        allowed_roots=absolute_roots(options.allow_output_root),
        own_output=options.output_root is not None,
        own_endpoint=options.endpoint_url is not None,
    )


def _access(plan: Plan, options: ApplyOptions) -> S3Access:
    """Option > plan > AWS chain."""
    return S3Access(
        region=options.region or plan.s3.region,
        endpoint_url=options.endpoint_url or plan.s3.endpoint_url,
        profile=options.profile,
        read_timeout_seconds=options.timeout,
    )


@contextmanager
def _progress(plan: Plan) -> Iterator[Progress]:
    """A bar on a terminal, a line now and then elsewhere, nothing under --quiet."""
    files = [file for _, file in plan.planned_files()]
    total_bytes = sum(file.expected_size or 0 for file in files)
    if not logger.isEnabledFor(logging.WARNING):
        yield Progress()
    elif sys.stderr is not None and sys.stderr.isatty():
        from applier.progress_bar import progress_bar  # noqa: PLC0415  # tqdm takes its time

        with progress_bar(len(files), total_bytes) as bar:
            yield bar
    else:
        yield LineProgress(len(files), total_bytes, _say)


def _write_reports(result: ApplyResult, output: OutputFolder, stagings: Stagings) -> bool:
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
        for path in map(printable, paths) if sys.stdout is not None and sys.stdout.isatty() else paths:
            click.echo(path)
    except OSError as error:
        logger.error("the paths of the reports cannot be printed: %s", error.strerror)  # noqa: TRY400  # no bug
        well = False
    return well


def _say(words: str) -> None:
    """Say something on stderr, if anybody still listens: whoever does not must not stop a restore."""
    with suppress(OSError):
        click.echo(words, err=True)


def _say_summary(result: ApplyResult) -> None:
    outcomes = Counter(file.outcome for file in result.files())
    counts = ", ".join(f"{outcomes[outcome]} {outcome.value}" for outcome in Outcome)
    failed = sum(raw_file.failure is not None for raw_file in result.raw_files)
    as_a_whole = f"; {counted(failed, 'raw file')} failed as a whole" if failed else ""
    total = counted(sum(raw_file.planned_files for raw_file in result.raw_files), "file")
    _say(f"{counted(len(result.raw_files), 'raw file')}, {total}: {counts}{as_a_whole}")


def _claimed_as_corrupted(plan: Plan) -> frozenset[str]:
    """Return the planned paths that look like those of corrupt files that are kept, relative to the output location."""
    return frozenset(
        path_below(raw_file.absolute_dest_path(file), plan.output_location)
        for raw_file, file in plan.planned_files()
        if ".corrupted" in file.relative_path
    )
