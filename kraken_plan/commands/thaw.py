"""`kraken-plan thaw`: options -> a look at S3's archives -> a question -> requests to restore -> exit code."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import click

from applier.restore.crew import Crew
from applier.restore.preflight import find_bucket_failures
from applier.restore.progress import Progress
from applier.restore.session import Session, open_session
from applier.restore.thaw import (
    ThawLook,
    ThawState,
    ThawTools,
    look_at_archives,
    request_restores,
    wait_until_ready,
)
from applier.restore.tools import CheckTools
from applier.s3.archive import Archives, RestoreRequest, ThawWait, Tier
from applier.s3.credential_process import end_helpers
from applier.s3.lists.objects_ahead import ObjectsAhead
from kraken_plan.confirm import confirm
from kraken_plan.console import leave, say, say_unless_quiet
from kraken_plan.options.run_options import AcceptOptions, accept_options, access_options, max_wait_option, yes_option
from kraken_plan.signals import StopRequest, stop_on_signals
from kraken_plan.views.terminal import show_lines, stdout_paint
from kraken_plan.views.thaw_text import failure_lines, thaw_lines, thaw_question, thaw_summary
from schemas.plan import Plan
from schemas.plan_source import load_plan
from schemas.text import counted

_EXIT_REFUSED = 2
# A year: whoever needs a copy for longer does not need an archive.
_MOST_DAYS = 366


@dataclass(frozen=True, slots=True, kw_only=True)
class ThawOptions(AcceptOptions):
    """What the command line asks for."""

    tier: str
    days: int
    yes: bool
    wait: bool
    max_wait: int

    @property
    def request(self) -> RestoreRequest:
        """How objects are to be restored."""
        return RestoreRequest(tier=next(tier for tier in Tier if tier.value == self.tier), days=self.days)


@click.command(
    "thaw",
    epilog="""\b
Exit codes:
  0        everything can be read, or its restore is under way (with --wait: everything can be read)
  1        something cannot be restored (it is named), or was not ready in time
  2        refused, or the answer was no: S3 was asked for nothing
  129      hung up (SIGHUP)
  130/143  interrupted (SIGINT/SIGTERM)

\b
Examples:
  kraken-plan thaw plan.json --tier Bulk --days 7
  kraken-plan thaw plan.json --yes --wait && kraken-plan apply plan.json
  kraken-plan thaw plan.json --yes && kraken-plan apply plan.json --wait-for-thaw

This is the only command that asks S3 to do anything; all others only read. AWS charges for it by bytes and tier. It
needs s3:RestoreObject, which no other command does. Safe to repeat: what is under way or ready is not asked for again,
nor is what the local files hold already (they are read to make sure). Entries that the plan could not resolve are left
out.
""",
)
@access_options
@accept_options
@click.option(
    "--tier",
    type=click.Choice([tier.value for tier in Tier], case_sensitive=False),
    default=Tier.STANDARD.value,
    show_default=True,
    help="How fast: minutes, hours, or up to two days. DEEP_ARCHIVE and DEEP_ARCHIVE_ACCESS have no Expedited.",
)
@click.option(
    "--days",
    type=click.IntRange(1, _MOST_DAYS),
    default=7,
    show_default=True,
    help="How long S3 keeps the readable copies. (Objects of INTELLIGENT_TIERING move back for good.)",
)
@yes_option("Ask S3 without asking first.")
@click.option("--wait", is_flag=True, help="Wait until everything can be read.")
@max_wait_option
def thaw_command(**options: object) -> None:
    """Ask S3 to restore what PLAN needs and S3 has archived; `-` reads the plan from stdin.

    Shows what is ready, what is being restored, and how much is archived where (GLACIER, DEEP_ARCHIVE, the archives of
    INTELLIGENT_TIERING), and asks before it acts. Restores nothing to this machine: apply does.
    """
    sys.exit(_thaw(ThawOptions(**options)))  # type: ignore[arg-type]  # click checked the types


def _thaw(options: ThawOptions) -> int:
    plan = load_plan(options.plan)
    with stop_on_signals(say, end_helpers) as stop, open_session(plan, options.session_settings, stop.event) as session:
        stop.is_connecting = False
        tools = _tools(session, options)
        _say_what_is_asked(session.plan)
        bucket_failures = find_bucket_failures(session.plan, session.fetcher, session.jobs)
        look = look_at_archives(session.plan, tools, bucket_failures)
        show_lines(thaw_lines(look, tools.request, stdout_paint()))
        archived = look.of(ThawState.ARCHIVED)
        if archived and look.ended and not stop.event.is_set():
            if not (options.yes or confirm(thaw_question(archived, tools.request), stop.event)):
                say("S3 was asked for nothing")
                return stop.exit_code or _EXIT_REFUSED
            look = _request(look, tools)
        if options.wait and look.ended and not stop.event.is_set():
            look = wait_until_ready(look, tools, ThawWait(max_seconds=options.max_wait), _teller(stop))
        show_lines([thaw_summary(look)])
        exit_code = stop.exit_code or _exit_code(look, has_waited=options.wait)
        if not look.ended:  # threads still wait for S3
            stop.end_helpers()
            leave(exit_code)
        return exit_code


def _tools(session: Session, options: ThawOptions) -> ThawTools:
    check = CheckTools(
        output=session.output,
        fetcher=session.fetcher,
        ahead=ObjectsAhead(session.fetcher),
        crew=Crew(session.jobs, session.fetcher.stop),
        progress=Progress(),
        accept=options.accept,
    )
    return ThawTools(check=check, archives=Archives(session.boto), request=options.request)


def _say_what_is_asked(plan: Plan) -> None:
    totals = plan.totals()
    say_unless_quiet(f"asking S3 how it keeps {counted(totals.files, 'file')}")
    if totals.skipped_files:
        say_unless_quiet(f"left out, because the plan could not resolve them: {counted(totals.skipped_files, 'file')}")


def _request(look: ThawLook, tools: ThawTools) -> ThawLook:
    """Ask S3 to restore what is archived, and say what it refused."""
    asked = request_restores(look, tools)
    changed = [after for before, after in zip(look.files, asked.files, strict=True) if before is not after]
    show_lines(failure_lines([file for file in changed if file.state is ThawState.CANNOT]))
    return asked


def _teller(stop: StopRequest) -> Callable[[ThawLook], None]:
    """Return what says how far S3 has come, whenever something has changed."""
    said = ""

    def tell(look: ThawLook) -> None:
        nonlocal said
        words = thaw_summary(look)
        stop.describe_progress = lambda: words
        if words != said and look.of(ThawState.UNDER_WAY):
            say_unless_quiet(f"{words}; waiting")
        said = words

    return tell


def _exit_code(look: ThawLook, *, has_waited: bool) -> int:
    missing = {ThawState.CANNOT, ThawState.ARCHIVED} | ({ThawState.UNDER_WAY} if has_waited else set())
    return 1 if look.of(*missing) else 0
