"""`kraken-plan apply`: options -> plan -> run -> exit code."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kraken_plan.finish.finish import Finish, finish_options, take_finish
from kraken_plan.kept_results import state_dir_option
from kraken_plan.options.required_approvals import approved_options
from kraken_plan.options.run_options import (
    accept_options,
    access_options,
    max_wait_option,
    progress_option,
    rate_option,
    report_dir_option,
)
from schemas.errors import PlanError
from schemas.text import printable

if TYPE_CHECKING:  # what a run needs, and help does not
    from kraken_plan.apply_run import ApplyOptions
    from schemas.plan import Plan


@click.command(
    "apply",
    epilog="""\b
Exit codes:
  0        everything is verified
  1        not everything is verified: something failed, was not attempted or is unresolvable (see the reports)
  2        refused, nothing touched
  129      hung up (SIGHUP), what was done is reported
  130/143  interrupted (SIGINT/SIGTERM), what was done is reported

\b
Examples:
  kraken-plan apply plan.json
  kraken-plan apply plan.json --dry-run
  kraken-plan apply plan.json --expect-digest sha256:65fa8cb5… --on-corrupt quarantine
  kraken-plan apply plan.json --require-approvals 2 --allowed-signers allowed_signers
  kraken-plan apply plan.json --output-root /mnt/restore --results results.jsonl

However it was stopped, the same command resumes. The first signal stops a run cleanly, with reports; a second one ends
it at once. SIGUSR1 prints the progress.
""",
)
@access_options
@click.option("--dry-run", is_flag=True, help="Check S3 and the local files, say what would be done, change nothing.")
@click.option("--expect-digest", metavar="DIGEST", help="Refuse any plan but the one with this plan_digest.")
@approved_options
@click.option(
    "--skip-space-check",
    is_flag=True,
    help="Start even if there is no room for what is missing, plus 10 %. (The check never sees quotas.)",
)
@click.option(
    "--results",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Also write the result of each file to FILE, as JSON lines. Replaces earlier results, but not those of "
    "another plan. Not for two runs at once.",
)
@state_dir_option
@rate_option("--max-bandwidth", "Fetch at most this much over all jobs; the default is no limit")
@click.option(
    "--on-corrupt",
    type=click.Choice(["replace", "quarantine"]),
    default="replace",
    show_default=True,
    help="What to do with the bytes of a corrupt local file once it is healed: quarantine keeps them as "
    "NAME.corrupted.",
)
@accept_options
@click.option(
    "--wait-for-thaw",
    is_flag=True,
    help="Restore what can be read, then wait for the objects that S3 is restoring from its archives, and restore each "
    "as it gets ready. (`kraken-plan thaw` asks S3 to restore them.)",
)
@max_wait_option
@click.option(
    "--skip-conflicts",
    is_flag=True,
    help="If the destination's file system does not keep two names of the plan apart (such as A.raw and a.raw), "
    "report both as failures and restore everything else.",
)
@report_dir_option
@click.option(
    "--report",
    type=click.Choice(["always", "changes", "never"]),
    default="always",
    show_default=True,
    help="When to write txt reports: changes leaves them out if every file was right already.",
)
@progress_option
@finish_options()
@click.option("--no-report", is_flag=True, help="Write no txt reports, as --report never does.")
def apply_command(**options: object) -> None:
    """Restore what PLAN says, and verify it; `-` reads the plan from stdin.

    Safe to repeat: correct files are skipped, missing ones fetched, corrupt ones healed. Checks destinations, buckets
    and free space before fetching anything. Prints the paths of the reports.
    """
    from kraken_plan.apply_run import ApplyOptions  # noqa: PLC0415  # see above

    chosen = ApplyOptions(**options)  # type: ignore[arg-type]  # click checked the types
    finish = take_finish(click.get_current_context(), chosen.plan, chosen.config)
    with finish.telling_refusals():
        sys.exit(_apply(chosen, finish))


def _apply(options: "ApplyOptions", finish: Finish) -> int:
    from kraken_plan.apply_run import carry_out  # noqa: PLC0415  # see above
    from schemas.plan_source import load_plan  # noqa: PLC0415  # see above

    if options.dry_run and options.results is not None:
        raise click.UsageError(
            "--results is for what was restored: leave it out with --dry-run, which restores nothing"
        )
    options.report_choice.check()
    reviewed = load_plan(options.plan)
    check_digest(reviewed, options)
    return carry_out(reviewed, options, finish)


def check_digest(plan: "Plan", options: "ApplyOptions") -> None:
    """See that a plan is the one that is expected, where `--expect-digest` says which.

    Raises:
        PlanError: it is another one.
    """
    expected = options.expect_digest
    if expected is None or plan.plan_digest == f"sha256:{expected.lower().removeprefix('sha256:')}":
        return
    raise PlanError(
        printable(options.plan),
        [f"--expect-digest asks for {printable(expected)}, but this plan has {plan.plan_digest}: review it first"],
    )
