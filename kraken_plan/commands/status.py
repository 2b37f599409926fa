"""`kraken-plan status`: what a plan, S3 and the local files are to each other, and what apply would do."""

import sys
from dataclasses import dataclass

import click

from applier.restore.check_file import Look
from applier.restore.check_plan import check_plan
from applier.restore.crew import Crew
from applier.restore.preflight import look_before_flight
from applier.restore.session import open_session
from applier.restore.status import Totals
from applier.restore.tools import CheckTools
from kraken_plan.console import leave, say, shown_progress
from kraken_plan.shared_options import AccessOptions, access_options, rate
from kraken_plan.signals import stop_on_signals
from kraken_plan.views.status_text import PlanStatus, status_json, status_lines
from kraken_plan.views.terminal import show_lines, stdout_paint, write_all
from schemas.plan_source import load_plan


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusOptions(AccessOptions):
    """What the command line asks for."""

    no_local_hash: bool
    rate: int | None
    as_json: bool


@click.command(
    "status",
    epilog="""\b
Exit codes:
  0        nothing to do: every file is right (with --no-local-hash: none is missing or of the wrong size)
  1        something to do, or something that cannot be done
  2        refused: plan, settings or output location cannot be used
  130/143  interrupted

\b
Examples:
  kraken-plan status plan.json
  kraken-plan status plan.json --rate 200M
  kraken-plan status plan.json --no-local-hash --json | jq .totals

S3 is asked for every file's etag and, where a file would be fetched, for one byte: an archived object gives none. The
time is estimated for a rate that you give, and for no other: looking fetches nothing.
""",
)
@access_options
@click.option(
    "--no-local-hash", is_flag=True, help="Look at the sizes of local files only: quick, and verifies nothing."
)
@click.option(
    "--rate",
    metavar="RATE",
    callback=rate,
    help="Estimate the time at so many bytes a second: a number, which K, M or G (powers of 1024) may follow.",
)
@click.option("--json", "as_json", is_flag=True, help="JSON for programs.")
def status_command(**options: object) -> None:
    """Hold PLAN, S3 and the local files against each other, and say what apply would do; `-` reads it from stdin.

    Changes nothing at all. Of every file: what S3 has, what is there locally, and hence whether apply would skip,
    download or heal it, or cannot; then bytes to fetch, space needed and free, and why apply would be refused.
    """
    sys.exit(_status(StatusOptions(**options)))  # type: ignore[arg-type]  # click checked the types


def _status(options: StatusOptions) -> int:
    plan_file = load_plan(options.plan)
    with stop_on_signals(say) as stop, open_session(plan_file, options.session_settings, stop.event) as session:
        plan = session.plan
        preflight = look_before_flight(plan, session.output, session.fetcher, session.jobs)
        look = Look.THREE_WAY_BY_SIZE if options.no_local_hash else Look.THREE_WAY
        with shown_progress(plan) as progress:
            crew = Crew(session.jobs, stop.event)
            tools = CheckTools(output=session.output, fetcher=session.fetcher, crew=crew, progress=progress)
            seen = check_plan(plan, tools, look, preflight.bucket_failures)
        status = PlanStatus(
            plan_digest=plan.plan_digest or "",
            files=seen.files,
            preflight=preflight,
            hashed=not options.no_local_hash,
            rate=options.rate,
        )
        if options.as_json:
            write_all(status_json(status))
        else:
            show_lines(status_lines(status, stdout_paint()))
        return leave(stop.exit_code or (0 if Totals.of(seen.files).nothing_to_do else 1), ended=seen.ended)
