"""Which approvals a plan needs before it is applied: what the command line asks for, and what the site does.

Each is checked on its own. No option takes back what the site asks for: not `--allowed-signers`, and not a `--config`
with another YAML than that of `KRAKEN_PLAN_CONFIG`.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kraken_plan.shared_options import AcceptOptions, take_duration
from schemas.errors import ApprovalError, ConfigError
from schemas.plan import Plan
from schemas.plan_source import STDIN, plan_name
from schemas.site.settings import SECTION, ApprovalRule

if TYPE_CHECKING:
    from applier.approvals.approval import Approval

_Command = Callable[..., Any]
_CONFIG_VARIABLE = "KRAKEN_PLAN_CONFIG"

allowed_signers_option = click.option(
    "--allowed-signers",
    metavar="FILE",
    type=click.Path(),
    help="Whose approval counts: keys and names of people, as ssh-keygen(1) describes it under ALLOWED SIGNERS.",
)
revoked_keys_option = click.option(
    "--revoked-keys",
    metavar="FILE",
    type=click.Path(),
    help="Keys that count no more: a revocation list or public keys.",
)
max_approval_age_option = click.option(
    "--max-approval-age",
    metavar="TIME",
    callback=take_duration,
    help="Approvals that are older do not count: seconds, or a number with m, h or d.",
)
approvals_option = click.option(
    "--approvals", metavar="FILE", type=click.Path(), help="The file of approvals. [default: PLAN.approvals]"
)


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
    for option in reversed(_OPTIONS):  # click lists the one that is put on last first
        command = option(command)
    return command


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
    described = (
        approval.describe()
        for rule in rules
        for approval in require_approvals(plan.plan_digest or "", approvals, rule, now, name)
    )
    return tuple(dict.fromkeys(described))


def refuse_if_site_asks(config: str | None) -> None:
    """Refuse to make and apply a plan in one step where the site wants plans to be approved in between.

    Raises:
        ApprovalError: it does.
    """
    for rule in site_rules(config):
        raise ApprovalError(
            f"{rule.origin} asks for approvals of every plan, which one that is made and applied in one step cannot "
            "have: compile, approve and apply it"
        )


def site_rules(config: str | None) -> Iterator[ApprovalRule]:
    """Yield what the site asks for: its YAML on the command line, and that of the environment."""
    configs = dict.fromkeys(path for path in (config, os.environ.get(_CONFIG_VARIABLE)) if path)
    yield from (rule for path in configs if (rule := site_rule(path)) is not None and rule.required)


def site_rule(config: str | None) -> ApprovalRule | None:
    """Return what a site YAML says about approvals; None if there is none, or it says nothing."""
    if config is None:
        return None
    from schemas.site.config import read_site_settings  # noqa: PLC0415  # yaml, if there is a YAML

    return read_site_settings(config).approvals


def load_approvals(plan: str, named: str | None) -> "tuple[Approval, ...]":
    """Return the approvals of a plan, unchecked.

    Raises:
        ApprovalError: they cannot be read.
        ConfigError: nothing says where they are.
    """
    from applier.approvals.approvals_file import read_approvals  # noqa: PLC0415  # most runs ask for none

    return read_approvals(approvals_path(plan, named))


def approvals_path(plan: str, named: str | None) -> Path:
    """Return where the approvals of a plan are.

    Raises:
        ConfigError: the plan has no path.
    """
    if named is None and plan == STDIN:
        raise ConfigError("the plan comes from stdin: say where its approvals are, with --approvals FILE")
    from applier.approvals.approvals_file import ENDING  # noqa: PLC0415  # most runs ask for none

    return Path(named or f"{plan}{ENDING}")


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
