"""`kraken-plan restore`: compile, show, ask and apply in one go."""

import gc
import sys
from collections.abc import Collection, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import TypeVar, cast

import click

from kraken_plan.apply_run import ApplyOptions, carry_out
from kraken_plan.commands.apply import apply_command
from kraken_plan.commands.compile import CompileOptions, compile_command, make_plan
from kraken_plan.confirm import confirm
from kraken_plan.console import say, say_unless_quiet
from kraken_plan.finish.finish import Finish, finish_options, take_finish
from kraken_plan.options.approvals import refuse_if_site_asks
from kraken_plan.options.run_options import yes_option
from kraken_plan.output_files import STDOUT
from kraken_plan.signals import stop_on_signals
from kraken_plan.views.plan_text import plan_lines
from kraken_plan.views.table import unpainted
from schemas.plan import Plan
from schemas.plan_file import decode_plan, read_plan_text, serialize_plan
from schemas.text import counted, human_size, printable

_EXIT_REFUSED = 2
_PLAN_NAME = "<this plan>"

T = TypeVar("T")

# Options of one of the two steps that say nothing where both are one, with what they are then. The site's settings
# are those that the plan was made by: there is nothing to check it against.
_FIXED_FOR_COMPILE = {"probe_s3": False, "output": STDOUT}
_FIXED_FOR_APPLY = {
    "plan": _PLAN_NAME,
    "output_root": None,
    "config": None,
    "allow_output_root": (),
    "dry_run": False,
    "expect_digest": None,
    "results": None,
    "require_approvals": None,
    "allowed_signers": None,
    "revoked_keys": None,
    "max_approval_age": None,
    "approvals": None,
    "no_report": False,
    "report": "always",
    "keep_run": True,
    "adds_results": False,
}


def _parameters(command: click.Command, left_out: Collection[str]) -> list[click.Parameter]:
    """Return the parameters of a step, as it defines them, less the log's and those left out."""
    return [parameter for parameter in command.params if parameter.expose_value and parameter.name not in left_out]


_OF_COMPILE = _parameters(compile_command, _FIXED_FOR_COMPILE)
_OF_APPLY = _parameters(apply_command, {*_FIXED_FOR_APPLY, *(str(parameter.name) for parameter in _OF_COMPILE)})


@click.command(
    "restore",
    params=[*_OF_COMPILE, *_OF_APPLY],
    epilog="""\b
Exit codes:
  0        everything is verified
  1        something could not be resolved, or failed (see the reports)
  2        refused, or the answer was no: nothing touched
  129      hung up (SIGHUP), what was done is reported
  130/143  interrupted (SIGINT/SIGTERM), what was done is reported

\b
Examples:
  kraken-plan restore 20250115_a.d 20250116_b.raw --config alphakraken.prod.yaml
  kraken-plan restore --ids-file ids.txt --config alphakraken.prod.yaml --yes
  kraken-plan restore --project PRID001 --catalog raw_file.jsonl --output-root /mnt/restore --yes

This is for emergencies and scripts. Where there is time for a review, compile and apply are the better way: then what
was reviewed is what is restored. The plan and the results are kept beside the report, as
_download_status_batch_….plan.json and ….results.jsonl: `kraken-plan apply` resumes from the plan. Where the site asks
for approvals, it is refused: nobody could have approved the plan.
""",
)
@finish_options()
@yes_option("Restore without asking.")
def restore_command(**options: object) -> None:
    """Restore the raw files with these IDs in one step: compile a plan, show it, ask, apply it.

    Prints the paths of the reports, of the plan and of the results. Safe to repeat, and with any number of others at
    the same time.
    """
    finish = take_finish(click.get_current_context(), _PLAN_NAME, cast("str | None", options["config"]))
    with finish.telling_refusals():
        sys.exit(_restore(options, finish))


def _restore(options: Mapping[str, object], finish: Finish) -> int:
    apply_options = _pick(ApplyOptions, options, _FIXED_FOR_APPLY)
    apply_options.report_choice.check()
    made_from = _pick(CompileOptions, options, _FIXED_FOR_COMPILE)
    refuse_if_site_asks(made_from.config)
    plan, summary = _make_checked_plan(made_from)
    is_asked = not options["yes"]
    shown = [*plan_lines(plan, _PLAN_NAME, unpainted, with_files=False, exact=False), "", *summary]
    (say if is_asked else say_unless_quiet)("\n".join(shown))
    if is_asked:
        with stop_on_signals(say) as stop:
            if not confirm(_question(plan), stop.event):
                say("nothing was restored")
                return stop.exit_code or _EXIT_REFUSED
    return carry_out(plan, apply_options, finish)


def _make_checked_plan(options: CompileOptions) -> tuple[Plan, list[str]]:
    """Return a plan as apply would read it, with every check that it makes, and in words what it holds."""
    made, summary = make_plan(options, datetime.now(UTC))
    plan = read_plan_text(decode_plan(b"".join(serialize_plan(made)), _PLAN_NAME), _PLAN_NAME)
    gc.freeze()  # making a plan goes without collecting
    gc.enable()
    return plan, list(summary)


def _pick(kind: type[T], options: Mapping[str, object], fixed: Mapping[str, object]) -> T:
    """Return the options of one step."""
    return kind(**{field.name: {**options, **fixed}[field.name] for field in fields(kind)})  # type: ignore[arg-type]  # a dataclass, whose types click checked


def _question(plan: Plan) -> str:
    totals = plan.totals()
    amount = f"{counted(totals.files, 'file')} ({human_size(totals.size_bytes)})"
    return f"Restore {amount} below {printable(plan.output_location)}?"
