"""`kraken-plan approvals`: a plan and its approvals -> which of them count -> exit code."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import click

from applier.approvals.check_approvals import CheckedApproval, check_approvals
from applier.approvals.ssh_keygen import TrustedKeys
from kraken_plan.options.approvals import (
    allowed_signers_option,
    approvals_option,
    load_approvals,
    max_approval_age_option,
    revoked_keys_option,
    site_rule,
)
from kraken_plan.plan_options import plan_argument, site_option
from kraken_plan.views.terminal import show_lines
from schemas.plan_source import load_plan, plan_name
from schemas.text import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalsOptions:
    """What the command line asks for."""

    plan: str
    config: str | None
    require_approvals: int | None
    allowed_signers: str | None
    revoked_keys: str | None
    max_approval_age: int | None
    approvals: str | None
    as_json: bool


@click.command(
    "approvals",
    epilog="""\b
Exit codes:
  0  as many people have approved the plan as the site, or --require-approvals, asks for; at least one
  1  fewer
  2  refused: the plan, its approvals or a file of keys cannot be read

\b
Examples:
  kraken-plan approvals plan.json --config alphakraken.prod.yaml
  kraken-plan approvals plan.json --allowed-signers allowed_signers --require-approvals 2
  kraken-plan approvals plan.json --json | jq -r '.approvals[] | select(.valid) | .person'

Approvals are checked by `ssh-keygen -Y verify`, by what is known now: one whose key has expired or been revoked since
does not count. Without allowed signers nobody knows whose keys these are: then none counts.
""",
)
@plan_argument
@site_option("whose approval counts there, and how many it asks for")
@click.option(
    "--require-approvals", metavar="N", type=click.IntRange(1, 20), help="How many people are to have approved it."
)
@allowed_signers_option
@revoked_keys_option
@max_approval_age_option
@approvals_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def approvals_command(**options: object) -> None:
    """Show who has approved PLAN, and check it; `-` reads the plan from stdin."""
    sys.exit(_approvals(ApprovalsOptions(**options)))  # type: ignore[arg-type]  # click checked the types


def _approvals(options: ApprovalsOptions) -> int:
    plan = load_plan(options.plan)
    approvals = load_approvals(options.plan, options.approvals)
    site = site_rule(options.config)
    signers = options.allowed_signers or (site.allowed_signers if site else "")
    revoked = options.revoked_keys or (site.revoked_keys if site else None)
    trusted = TrustedKeys(allowed_signers=signers, revoked_keys=revoked) if signers else None
    max_age = options.max_approval_age or (site.max_age_seconds if site else None)
    checked = check_approvals(plan.plan_digest or "", approvals, trusted, datetime.now(UTC), max_age)
    required = options.require_approvals or (site.required if site else 0) or 1
    valid = sum(one.problem is None for one in checked)
    if options.as_json:
        record = {"plan_digest": plan.plan_digest, "required": required, "valid": valid}
        click.echo(json.dumps({**record, "approvals": [_as_record(one) for one in checked]}, indent=2))
    else:
        show_lines(_lines(checked, plan.plan_digest or "", plan_name(options.plan), required))
    return 0 if valid >= required else 1


def _lines(checked: Sequence[CheckedApproval], plan_digest: str, name: str, required: int) -> Iterator[str]:
    valid = sum(one.problem is None for one in checked)
    yield f"{name}: {counted(valid, 'valid approval')} of {required} needed, for {plan_digest}"
    for one in checked:
        yield f"  {one.describe_fully()}"


def _as_record(one: CheckedApproval) -> dict[str, object]:
    statement = one.approval.statement.as_record()
    return {"valid": one.problem is None, "problem": one.problem, "person": one.person, "key": one.key, **statement}
