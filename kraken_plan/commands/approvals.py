"""`kraken-plan approvals`: plans and their approvals -> which of them count -> exit code."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import click

from applier.approvals.approval import Approval
from applier.approvals.check_approvals import CheckedApproval, check_approvals
from applier.approvals.trusted_keys import TrustedKeys
from kraken_plan.console import say_unless_quiet
from kraken_plan.options.approvals import (
    allowed_signers_option,
    approvals_option,
    explain_other_root,
    load_approvals,
    max_approval_age_option,
    revoked_keys_option,
    site_rule,
    site_rules,
)
from kraken_plan.options.plan_options import site_option
from kraken_plan.views.terminal import show_lines
from schemas.errors import ConfigError
from schemas.plan_source import load_plan, plan_name
from schemas.site.settings import ApprovalRule
from schemas.text import counted, printable


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalsOptions:
    """What the command line asks for."""

    plans: tuple[str, ...]
    config: str | None
    require_approvals: int | None
    allowed_signers: str | None
    revoked_keys: str | None
    max_approval_age: int | None
    approvals: str | None
    output_root: str | None
    if_required: bool
    as_json: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """The approvals of a plan, as one who asks for them sees them."""

    rule: ApprovalRule
    checked: tuple[CheckedApproval, ...]

    @property
    def valid(self) -> int:
        """How many count."""
        return sum(one.problem is None for one in self.checked)

    @property
    def is_enough(self) -> bool:
        """Whether apply would take them."""
        return self.valid >= self.rule.required


@dataclass(frozen=True, slots=True, kw_only=True)
class _Check:
    """A plan, and its approvals as each sees them who asks for some."""

    name: str
    plan_digest: str
    looks: tuple[_Look, ...]


@click.command(
    "approvals",
    epilog="""\b
Exit codes:
  0  as many people have approved each plan as the site and --require-approvals ask for; at least one
  1  fewer have approved one of them
  2  refused: a plan, its approvals or a file of keys cannot be read

\b
Examples:
  kraken-plan approvals plan.json --config alphakraken.prod.yaml
  kraken-plan approvals plan.json --allowed-signers allowed_signers --require-approvals 2
  kraken-plan approvals parts/plan-*-of-*.json --if-required
  kraken-plan approvals plan.json --json | jq -r '.approvals[] | select(.valid) | .person'

Approvals are checked by `ssh-keygen -Y verify`, by what is known now: one whose key has expired or been revoked since
does not count. Without allowed signers nobody knows whose keys these are: then none counts.
""",
)
@click.argument("plans", metavar="PLAN...", nargs=-1, required=True)
@site_option("whose approval counts there, and how many it asks for")
@click.option(
    "--require-approvals",
    metavar="N",
    type=click.IntRange(1, 20),
    envvar="KRAKEN_PLAN_APPLY_REQUIRE_APPROVALS",
    help="How many people are to have approved it. What the site asks for applies in any case.",
)
@allowed_signers_option
@revoked_keys_option
@max_approval_age_option
@approvals_option
@click.option(
    "--output-root",
    metavar="DIR",
    envvar=["KRAKEN_PLAN_OUTPUT_ROOT", "KRAKEN_PLAN_APPLY_OUTPUT_ROOT"],
    help="Where apply is to restore to: also check that the site allows it, as apply does.",
)
@click.option(
    "--if-required", is_flag=True, help="Exit with 0 where neither the site nor an option asks for approvals."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def approvals_command(**options: object) -> None:
    """Show who has approved each PLAN, and check it; `-` reads the plan from stdin."""
    sys.exit(_approvals(ApprovalsOptions(**options)))  # type: ignore[arg-type]  # click checked the types


def _approvals(options: ApprovalsOptions) -> int:
    if len(options.plans) > 1 and options.approvals is not None:
        raise ConfigError("--approvals is about a single plan")
    rules = list(_demands(options))
    if options.if_required and not rules:
        say_unless_quiet("nobody asks for approvals")
        return 0
    checks = [_check(source, options, rules or [_own_rule(options)]) for source in options.plans]
    if options.as_json:
        records = [_as_record(check) for check in checks]
        click.echo(json.dumps(records if len(records) > 1 else records[0], indent=2))
    else:
        show_lines(line for check in checks for line in _lines(check))
    return 0 if all(look.is_enough for check in checks for look in check.looks) else 1


def _demands(options: ApprovalsOptions) -> Iterator[ApprovalRule]:
    """Yield what the site asks for, and what the command line does: apply heeds each."""
    yield from site_rules(options.config)
    given = (options.require_approvals, options.allowed_signers, options.revoked_keys, options.max_approval_age)
    if any(one is not None for one in given):
        yield _own_rule(options)


def _own_rule(options: ApprovalsOptions) -> ApprovalRule:
    """Return what the command line asks for; what it leaves out is as the site has it."""
    site = site_rule(options.config)
    max_age_seconds = options.max_approval_age
    if max_age_seconds is None and site is not None:
        max_age_seconds = site.max_age_seconds
    return ApprovalRule(
        required=options.require_approvals or (site.required if site else 0) or 1,
        allowed_signers=options.allowed_signers or (site.allowed_signers if site else ""),
        revoked_keys=options.revoked_keys or (site.revoked_keys if site else None),
        max_age_seconds=max_age_seconds,
        origin="the command line",
    )


def _check(source: str, options: ApprovalsOptions, rules: Sequence[ApprovalRule]) -> _Check:
    plan = load_plan(source)
    if words := explain_other_root(plan.output_location, options.output_root, options.config):
        say_unless_quiet(f"{plan_name(source)}: {printable(words)}")
    digest, approvals = plan.plan_digest or "", load_approvals(source, options.approvals)
    return _Check(
        name=plan_name(source), plan_digest=digest, looks=tuple(_look(digest, approvals, rule) for rule in rules)
    )


def _look(plan_digest: str, approvals: Sequence[Approval], rule: ApprovalRule) -> _Look:
    trusted = None
    if rule.allowed_signers:
        trusted = TrustedKeys(allowed_signers=rule.allowed_signers, revoked_keys=rule.revoked_keys)
    checked = check_approvals(plan_digest, approvals, trusted, datetime.now(UTC), rule.max_age_seconds)
    return _Look(rule=rule, checked=checked)


def _lines(check: _Check) -> Iterator[str]:
    for look in check.looks:
        origin = f" by {look.rule.origin}" if len(check.looks) > 1 else ""
        needed = f"{counted(look.valid, 'valid approval')} of {look.rule.required} needed{origin}"
        yield f"{check.name}: {needed}, for {check.plan_digest}"
        for one in look.checked:
            yield f"  {one.describe_fully()}"


def _as_record(check: _Check) -> dict[str, object]:
    """Return what was found, as the first sees it who has not enough, or else the first who asks."""
    shown = next((look for look in check.looks if not look.is_enough), check.looks[0])
    return {
        "plan_digest": check.plan_digest,
        "required": shown.rule.required,
        "valid": shown.valid,
        "demands": [
            {"origin": look.rule.origin, "required": look.rule.required, "valid": look.valid} for look in check.looks
        ],
        "approvals": [_approval_record(one) for one in shown.checked],
    }


def _approval_record(one: CheckedApproval) -> dict[str, object]:
    statement = one.approval.statement.as_record()
    return {"valid": one.problem is None, "problem": one.problem, "person": one.person, "key": one.key, **statement}
