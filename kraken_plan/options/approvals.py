"""Where a plan's approvals are, whose count, and how many the site asks for: for approvers, and for those who apply."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kraken_plan.plan_options import take_duration
from schemas.errors import ApprovalError, ConfigError
from schemas.plan_source import STDIN
from schemas.site.settings import ApprovalRule

if TYPE_CHECKING:
    from applier.approvals.approval import Approval

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
