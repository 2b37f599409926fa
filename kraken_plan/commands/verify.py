"""`kraken-plan verify`: options -> the local files against the plan, without S3 -> report -> exit code."""

import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from applier.restore.jobs import MOST_JOBS
from kraken_plan.apply_run import ApplyOptions
from kraken_plan.commands.apply import apply_command, check_digest
from kraken_plan.finish.finish import finish_options, take_finish
from kraken_plan.options.plan_options import plan_argument
from kraken_plan.options.run_options import max_time_option, rate_option
from kraken_plan.verify_run import VerifyOptions, carry_out_verify
from schemas.plan_source import load_plan

_DEFAULT_JOBS = 4
_GIVEN = frozenset({ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT})
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?) ?%")
# Options of apply that verify has, too: of the place, and of what --heal does.
_PLACE = ("output_root", "config", "allow_output_root", "results", "state_dir", "progress")
_FOR_HEALING = (
    *("endpoint_url", "region", "profile", "max_bandwidth", "on_corrupt"),
    *("recover_versions", "accept_other_parts", "accept_md5"),
)


def _parse_share(_context: click.Context, _parameter: click.Parameter, text: str | None) -> float:
    """Return a share, above 0 and at most 1."""
    if text is None:
        return 1.0
    found = _PERCENT.fullmatch(text)
    share = float(found[1]) / 100 if found else 0.0
    if not 0 < share <= 1:
        raise click.BadParameter(f"{text!r} is not a share: expected a percentage above 0, as in 5% or 0.5%")
    return share


def _options_of_apply(names: tuple[str, ...]) -> list[click.Parameter]:
    return [parameter for parameter in apply_command.params if parameter.name in names]


@click.command(
    "verify",
    epilog="""\b
Exit codes:
  0        every entry is verified (with --sample, --max-time: or is left for the next run, with its right size)
  1        a file is wrong or missing (with --heal: and could not be healed), the plan has unresolvable entries, or the
           report (with --sample, --max-time: or the record of the pass) could not be written
  2        refused: plan, settings or output location cannot be used, or another run verifies the same
  129      hung up (SIGHUP), what was found is reported
  130/143  interrupted (SIGINT/SIGTERM), what was found is reported

\b
Examples:
  kraken-plan verify plan.json
  kraken-plan verify plan.json --max-read 200M --max-time 6h
  kraken-plan verify plan.json --sample 5%
  kraken-plan verify plan.json --heal --on-corrupt quarantine

Each run reads what its pass over all files has not read yet; once everything has been read, the next run begins a new
pass. In every run, all files have to be there with their right sizes, and those that were wrong are read again, as are
those that were touched since they were read. Unresolvable entries make every run end with 1:
`kraken-plan select PLAN --resolvable -o FILE` leaves them out. A pass that takes several runs needs a state folder.

--heal takes all further settings from apply: its variables (such as KRAKEN_PLAN_APPLY_JOBS) and the site YAML.
""",
)
@plan_argument
@click.option(
    "--jobs",
    type=click.IntRange(1, MOST_JOBS),
    default=_DEFAULT_JOBS,
    show_default=True,
    help="How many files, and parts of files, to read at once.",
)
@rate_option("--max-read", "Read at most this much over all jobs; the default is no limit")
@max_time_option
@click.option(
    "--sample",
    metavar="PERCENT",
    callback=_parse_share,
    help="Read this share of the plan's bytes, chosen at random from what the pass has not read yet: with 5%, twenty "
    "runs read everything.",
)
@click.option("--restart", is_flag=True, help="Begin a new pass: forget what the runs before have read.")
@click.option("--heal", is_flag=True, help="Then apply the plan to the files that are wrong or missing; asks S3.")
@click.option(
    "--report-dir",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Write the report into DIR, and keep all reports there. [default: the state folder, the last ten]",
)
@finish_options(notify_on="problem")
@click.pass_context
def verify_command(ctx: click.Context, /, **options: Any) -> None:  # noqa: ANN401  # click checked the types
    """Verify the local files of PLAN against it, without asking S3; `-` reads the plan from stdin.

    Reads the files, computes their etags, and changes nothing; read access is enough. Prints the path of its report.
    """
    verify_options = VerifyOptions(
        apply=_apply_options(ctx, options),
        results=options["results"],
        jobs=options["jobs"],
        max_read=options["max_read"],
        max_time=options["max_time"],
        share=options["sample"],
        restart=options["restart"],
        heal=options["heal"],
        report_dir=options["report_dir"],
    )
    finish = take_finish(ctx, options["plan"], options["config"])
    with finish.telling_refusals():
        if verify_options.heal:
            _check_healing(verify_options.apply)
        plan = load_plan(options["plan"])
        if verify_options.heal:
            check_digest(plan, verify_options.apply)
        sys.exit(carry_out_verify(plan, verify_options, finish))


# in the help behind those of verify itself
verify_command.params += _options_of_apply(_PLACE) + _options_of_apply(_FOR_HEALING)


def _check_healing(options: ApplyOptions) -> None:
    """See that apply is set up to heal, and to report it.

    Raises:
        KrakenPlanError, click.UsageError: it is not.
    """
    if options.dry_run:
        raise click.UsageError(
            "--heal would change nothing, because apply is set to --dry-run (KRAKEN_PLAN_APPLY_DRY_RUN): unset that, "
            "or leave out --heal"
        )
    options.report_choice.check()


def _apply_options(ctx: click.Context, options: Mapping[str, Any]) -> ApplyOptions:
    """Return the options that apply would have here, with those that verify was given in their place."""
    config = [] if options["config"] is None else ["--config", options["config"]]
    of_apply = apply_command.make_context("apply", [*config, "--", options["plan"]], parent=ctx.find_root())
    given = {name: options[name] for name in (*_PLACE, *_FOR_HEALING) if _counts(name, ctx, of_apply)}
    return replace(ApplyOptions(**of_apply.params), **{**given, "results": None})


def _counts(name: str, ctx: click.Context, of_apply: click.Context) -> bool:
    """Tell whether what verify has for an option takes the place of what apply has: environment comes before YAML."""
    source = ctx.get_parameter_source(name)
    if source is ParameterSource.DEFAULT_MAP:
        return of_apply.get_parameter_source(name) is not ParameterSource.ENVIRONMENT
    return source in _GIVEN
