"""Decides which approvals a plan needs before it is applied: what the command line asks for, and what the site does.

Each is checked on its own. No option takes back what the site asks for: not `--allowed-signers`, and not a `--config`
with another YAML than a variable names. Nor is an approved plan restored to a place that the site does not allow.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import click

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
from kraken_plan.options.plan_options import with_options
from kraken_plan.options.run_options import AcceptOptions
from schemas.errors import ConfigError
from schemas.plan import Plan
from schemas.plan_source import plan_name
from schemas.site.settings import SECTION, ApprovalRule
from schemas.text import printable

_Command = Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovedOptions(AcceptOptions):
    """Besides, how the plan has to be approved."""

    require_approvals: int | None
    allowed_signers: str | None
    revoked_keys: str | None
    max_approval_age: int | None
    approvals: str | None


_OPTIONS = (
    click.option(
        "--require-approvals",
        metavar="N",
        type=click.IntRange(1, 20),
        help="Refuse a plan unless N people have approved exactly its digest (kraken-plan approve). What the site "
        "asks for applies in any case.",
    ),
    allowed_signers_option,
    revoked_keys_option,
    max_approval_age_option,
    approvals_option,
)


def approved_options(command: _Command) -> _Command:
    """Give a command the further options of `ApprovedOptions`."""
    return with_options(command, *_OPTIONS)


def check_required_approvals(plan: Plan, options: ApprovedOptions) -> tuple[str, ...]:
    """Return in words who has approved a plan, as far as anybody asks for approvals.

    Raises:
        KrakenPlanError: it is not approved as it has to be, or that cannot be checked.
    """
    rules = [*site_rules(options.config), *_asked_rule(options)]
    if not rules:
        return ()
    from applier.approvals.check_approvals import require_approvals  # noqa: PLC0415  # most runs ask for none

    approvals = load_approvals(options.plan, options.approvals)
    now, name = datetime.now(UTC), plan_name(options.plan)
    other_root = explain_other_root(plan.output_location, options.output_root, options.config)
    described = (
        f"{approval.describe()}; {printable(other_root)}" if other_root else approval.describe()
        for rule in rules
        for approval in require_approvals(plan.plan_digest or "", approvals, rule, now, name)
    )
    return tuple(dict.fromkeys(described))


def _asked_rule(options: ApprovedOptions) -> Iterator[ApprovalRule]:
    """Yield what the command line asks for, if anything; whose approval counts may stand in the site YAML."""
    if options.require_approvals is None:
        if (options.allowed_signers, options.revoked_keys, options.max_approval_age) != (None, None, None):
            raise ConfigError(
                "--allowed-signers, --revoked-keys and --max-approval-age go with --require-approvals N; what the site "
                "asks for they do not change"
            )
        return
    site = site_rule(options.config)
    allowed_signers = options.allowed_signers or (site.allowed_signers if site else "")
    if not allowed_signers:
        raise ConfigError(
            "--require-approvals needs to know whose approval counts: give --allowed-signers FILE, or set "
            f"{SECTION}.approvals.allowed_signers in the site YAML"
        )
    yield ApprovalRule(
        required=options.require_approvals,
        allowed_signers=allowed_signers,
        revoked_keys=options.revoked_keys or (site.revoked_keys if site else None),
        max_age_seconds=options.max_approval_age,
        origin="--require-approvals",
    )
